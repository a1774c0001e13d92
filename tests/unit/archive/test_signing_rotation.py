"""Signing keys that take each other's places: what verification follows, and what it names."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from bodycam.archive import keys, rotation
from bodycam.archive.findings import Report
from bodycam.archive.frames import LedgerDamaged
from bodycam.archive.kept import KeptHead
from bodycam.archive.ledger import Leaf, Ledger
from bodycam.archive.succession import Succession, path_between, successions
from bodycam.archive.verify import Verifier
from tests.unit.archive.recordings import Archive

Key = Ed25519PrivateKey


def word(old: Key, new: Key, by: Key | None = None) -> Succession:
    """A word of `old` for `new`, signed by it or by somebody else."""
    made = Succession.by(by or old, new.public_key())
    return Succession(old.public_key().public_bytes_raw(), made.new, made.signature)


def report(archive: Archive, key: Key) -> Report:
    kept = [KeptHead("the head", archive.ledger.head())]
    public = key.public_key()
    return Verifier(archive.folder / "ledger", archive.store, public, pinned=True, kept=kept).run()


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path)


def rotate(archive: Archive, new: Key) -> Key:
    old = archive.signing
    archive.ledger.replace_key(new, [word(old, new)])
    archive.signing = new
    return old


def test_each_key_that_was_pinned_leads_to_the_others(archive: Archive) -> None:
    every = [archive.signing]
    archive.seal("2026/01/01/rec_a.bcr", [3, 5])
    for name in "bcd":
        rotate(archive, Key.generate())
        every.append(archive.signing)
        archive.seal(f"2026/01/01/rec_{name}.bcr", [2])
    for key in every:
        found = report(archive, key)
        assert (found.findings, found.state.value) == ((), "authentic")
        assert len(found.successions) == 3
    assert report(archive, Key.generate()).state.value == "broken"


def test_a_recording_that_the_old_key_signed_late_is_in_order(archive: Archive) -> None:
    new = Key.generate()
    old = archive.signing
    archive.ledger.replace_key(new, [word(old, new)])
    archive.seal("2026/01/01/rec_a.bcr", [3])  # was being put into the store as the key changed
    assert report(archive, old).findings == ()


def forged_by_another(archive: Archive) -> Key:
    """Somebody else's key vouches for itself."""
    thief = Key.generate()
    archive.ledger.append([Leaf.SIGNING, *word(archive.signing, thief, by=thief).leaf])
    archive.ledger._signing = thief
    archive.ledger.commit()
    return archive.signing


def out_of_turn(archive: Archive) -> Key:
    """A key that was replaced vouches for another one."""
    thief, old = Key.generate(), rotate(archive, Key.generate())
    archive.ledger.append([Leaf.SIGNING, *word(old, thief).leaf])
    archive.ledger._signing = thief
    archive.ledger.commit()
    return old


def the_old_key_goes_on(archive: Archive) -> Key:
    """A key that was replaced signs heads."""
    old = rotate(archive, Key.generate())
    archive.ledger._signing = old
    archive.seal("2026/01/01/rec_z.bcr", [1])
    return old


def old_head_over_the_word(archive: Archive) -> Key:
    """The word for a new key is there, and the head over it is the old key's."""
    archive.ledger.append([Leaf.SIGNING, *word(archive.signing, Key.generate()).leaf])
    archive.ledger.commit()
    return archive.signing


def a_ring(archive: Archive) -> Key:
    """A key comes back that was replaced."""
    old = rotate(archive, Key.generate())
    archive.ledger.append([Leaf.SIGNING, *word(archive.signing, old).leaf])
    archive.ledger._signing = old
    archive.ledger.commit()
    return old


def pinned_by_word_alone(archive: Archive) -> Key:
    """All is another's, who vouches for the pinned key at the end."""
    pinned = Key.generate()
    archive.ledger.append([Leaf.SIGNING, *word(archive.signing, pinned).leaf])
    archive.ledger.commit()
    return pinned


@pytest.mark.parametrize(
    ("attack", "says"),
    [
        (forged_by_another, "the one before it did not vouch for"),
        (out_of_turn, "another key than the one in use vouches for"),
        (the_old_key_goes_on, "a head that this key did not sign"),
        (old_head_over_the_word, "signed by a key that had been replaced"),
        (a_ring, "a signing key that was replaced before"),
        (pinned_by_word_alone, "signed by a key that had been replaced"),
    ],
)
def test_a_key_that_nobody_vouched_for_is_named(
    attack: Callable[[Archive], Key], says: str, archive: Archive
) -> None:
    archive.seal("2026/01/01/rec_a.bcr", [3])
    found = report(archive, attack(archive))
    assert found.state.value == "broken"
    assert any(says in one.what for one in found.findings), found.findings


def test_a_recording_that_a_stranger_signed_is_named(archive: Archive) -> None:
    archive.seal("2026/01/01/rec_a.bcr", [3])
    rotate(archive, Key.generate())
    own, archive.signing = archive.signing, Key.generate()
    archive.seal("2026/01/01/rec_b.bcr", [3])
    assert any("signature over the manifest" in one.what for one in report(archive, own).findings)


@pytest.mark.parametrize("cut", ["before", "leaf", "head"])
def test_a_ledger_takes_a_new_key_over_wherever_it_was_cut_off(cut: str, archive: Archive) -> None:
    archive.seal("2026/01/01/rec_a.bcr", [3])
    old, new = archive.signing, Key.generate()
    words = [word(old, new)]
    if cut == "leaf":
        archive.ledger.append([Leaf.SIGNING, *words[0].leaf])
        from bodycam.archive import frames
        from bodycam.archive.ledger import _write

        _write(archive.ledger._entries, frames.encode(archive.ledger._pending.pop()), archive.ledger._extent)
    elif cut == "head":
        archive.ledger.replace_key(new, words)
    archive.ledger._release()
    with pytest.raises(LedgerDamaged):
        Ledger(archive.folder / "ledger", Key.generate(), words)
    archive.ledger = Ledger(archive.folder / "ledger", new, words)
    archive.signing = new
    archive.seal("2026/01/01/rec_b.bcr", [3])
    assert [leaf[0] for leaf in archive.ledger.leaves()].count(Leaf.SIGNING) == 1
    for key in (old, new):
        assert report(archive, key).findings == ()


def test_the_folder_after_each_step_of_a_rotation_is_usable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call that writes may be the last one; `settle` finishes, and every word leads to the key in use."""
    for step in range(8):
        folder = tmp_path / str(step)
        keys.generate(folder)
        first = keys.load_public(folder).signing.public_bytes_raw()
        left = step

        def dies(real: Callable[..., None]) -> Callable[..., None]:
            def call(*given: object, **named: object) -> None:
                nonlocal left
                if left == 0:
                    raise KeyboardInterrupt
                left -= 1
                real(*given, **named)

            return call

        with monkeypatch.context() as patched:
            for name in ("write_secret", "add_succession", "_overwrite", "_publish"):
                patched.setattr(rotation, name, dies(getattr(rotation, name)))
            try:
                rotation.rotate_signing(folder)
                done = True
            except KeyboardInterrupt:
                done = False
        rotation.settle(folder)
        now = keys.load_archivist(folder).signing.public_key().public_bytes_raw()
        assert not done or now != first
        assert path_between(successions(folder / "public"), first, now) is not None
        rotation.rotate_signing(folder)
        last = keys.load_archivist(folder).signing.public_key().public_bytes_raw()
        assert path_between(successions(folder / "public"), first, last) is not None


def test_half_a_word_is_passed_over(tmp_path: Path) -> None:
    keys.generate(tmp_path)
    rotation.rotate_signing(tmp_path)
    file = tmp_path / "public" / "signing-keys"
    file.write_bytes(file.read_bytes() + os.urandom(5))
    assert len(successions(tmp_path / "public")) == 1
    assert Ed25519PublicKey.from_public_bytes(successions(tmp_path / "public")[0].new)
