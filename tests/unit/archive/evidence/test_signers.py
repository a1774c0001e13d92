"""Bundles of a run during which the signing key was replaced: each key of the chain verifies them, no other."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bodycam.archive.evidence.signers import Signers, words_in
from bodycam.archive.findings import Verified
from bodycam.archive.head import Head
from bodycam.archive.leaf import Leaf
from bodycam.archive.succession import Succession
from tests.unit.archive.evidence.made import Bundle, Made, told, verified

KEYS = [Ed25519PrivateKey.generate() for _ in range(2)]
STRANGER = Ed25519PrivateKey.generate()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    made = Made(tmp_path_factory.mktemp("made"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def first(made: Made) -> tuple[Bundle, Head]:
    """A bundle of the time before, and a head of then."""
    return made.export(), made.head()


@pytest.fixture(scope="module")
def replaced(made: Made, first: tuple[Bundle, Head]) -> Bundle:
    """Two keys later, and with one more recording."""
    key = made.kept.house.keys.signing
    for new in KEYS:
        made.archivist.sign_with(new, [Succession.by(key, new.public_key())])
        key = new
        made.record(made.run, "orders")
    return made.export(kept=[first[1].size])


def test_every_key_of_the_chain_verifies_it(
    made: Made, first: tuple[Bundle, Head], replaced: Bundle, tmp_path: Path
) -> None:
    file = replaced.write(tmp_path / "b.tar")
    for key in (made.kept.house.keys.signing, *KEYS):
        report = verified(file, key.public_key(), first[1], made.head())
        assert (told(report), report.state) == ([], Verified.AUTHENTIC)
    assert verified(file, None).state is Verified.SELF_CONSISTENT


def test_another_key_does_not(made: Made, replaced: Bundle, tmp_path: Path) -> None:
    report = verified(replaced.write(tmp_path / "b.tar"), STRANGER.public_key(), made.head())
    assert report.state is Verified.BROKEN
    said = "\n".join(told(report))
    assert "signing.pem: is another key than the pinned one" in said
    assert "manifest.json: is not signed by the pinned key" in said
    assert "the ledger's head is not signed by this key" in said


def test_one_of_the_time_before_is_not_the_later_keys(
    made: Made, first: tuple[Bundle, Head], replaced: Bundle, tmp_path: Path
) -> None:
    file = first[0].write(tmp_path / "b.tar")
    assert verified(file, made.kept.house.keys.signing.public_key(), first[1]).state is Verified.AUTHENTIC
    assert verified(file, KEYS[0].public_key(), first[1]).state is Verified.BROKEN


def test_a_key_that_vouches_for_the_pinned_one_is_none_of_its_chain() -> None:
    anchor = KEYS[0].public_key()
    forged = Succession.by(STRANGER, anchor)
    signers = Signers(anchor, [forged])
    assert not signers.has(STRANGER.public_key())
    # not even from a leaf, where what comes first does not lead there
    signers.proved(
        {3: [Leaf.SIGNING, 0, *Succession.by(KEYS[1], anchor).leaf], 4: [Leaf.SIGNING, 0, *forged.leaf]}
    )
    assert not signers.has(STRANGER.public_key())


def test_a_word_that_is_not_the_old_keys_makes_no_heir() -> None:
    anchor = KEYS[0].public_key()
    own = Succession.by(STRANGER, STRANGER.public_key())
    forged = Succession(anchor.public_bytes_raw(), STRANGER.public_key().public_bytes_raw(), own.signature)
    assert not Signers(anchor, [forged]).has(STRANGER.public_key())


def test_words_are_read_from_a_bundle_whatever_else_it_holds(replaced: Bundle, tmp_path: Path) -> None:
    from bodycam.archive.evidence.opened import OpenedBundle
    from bodycam.archive.findings import Findings

    replaced.write(tmp_path / "b.tar")
    with (tmp_path / "b.tar").open("rb") as stream:
        words = words_in(OpenedBundle(stream, Findings()))
    assert [one.new for one in words] == [key.public_key().public_bytes_raw() for key in KEYS]
