import contextlib
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bodycam.archive import frames, ledger, merkle
from bodycam.archive.head import Head
from bodycam.archive.leaf import decode_leaf
from bodycam.archive.ledger import Leaf, Ledger, LedgerDamaged, new_salt, salted
from bodycam.archive.treefile import TreeFile

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def opened(number: int) -> list[object]:
    return [Leaf.OPENED, number.to_bytes(16, "big"), b"w" * 16, number]


def filled(folder: Path, groups: list[int]) -> Head:
    """A ledger with groups of so many leaves, each under a head of its own."""
    log = Ledger(folder, KEY)
    for group in groups:
        for _ in range(group):
            log.append([Leaf.ADMIN, os.urandom(32)])
        log.commit()
    head = log.head()
    log.close()
    return head


def hashes(folder: Path) -> list[bytes]:
    with (folder / "entries").open("rb") as stream:
        return [merkle.leaf_hash(data) for _, data in frames.read(stream)]


def test_a_new_ledger_has_a_signed_head_over_nothing(tmp_path: Path) -> None:
    log = Ledger(tmp_path / "ledger", KEY)
    head = log.head()
    assert (head.size, head.root) == (0, merkle.EMPTY_ROOT)
    assert head.holds(KEY.public_key())
    assert (tmp_path / "ledger" / "entries").stat().st_mode & 0o777 == 0o600
    log.close()


def test_leaves_come_back_in_order_with_their_times(tmp_path: Path) -> None:
    log = Ledger(tmp_path, KEY)
    assert [log.append(opened(1)), log.append([Leaf.SEALED, bytes(16), bytes(32)])] == [0, 1]
    assert log.commit().size == log.size == 2
    found = list(log.leaves())
    assert [leaf[0] for leaf in found] == [Leaf.OPENED, Leaf.SEALED]
    assert found[0][2:] == opened(1)[1:]
    assert found[0][1] > 1_600_000_000_000
    log.close()


def test_what_is_not_committed_is_under_no_head(tmp_path: Path) -> None:
    log = Ledger(tmp_path, KEY)
    log.append(opened(1))
    assert log.size == 0
    assert list(log.leaves()) == []
    log.close()


def test_it_goes_on_where_it_was(tmp_path: Path) -> None:
    before = filled(tmp_path, [1, 2, 3])
    log = Ledger(tmp_path, KEY)
    assert log.head() == before
    log.append(opened(1))
    after = log.commit()
    assert (after.log, after.size, after.root) == (before.log, 7, merkle.root(hashes(tmp_path)))
    proof = log.consistency(before.size, after.size)
    assert merkle.verify_consistency(before.size, after.size, before.root, after.root, proof)
    log.close()


def test_proofs_hold_before_and_after_opening_again(tmp_path: Path) -> None:
    head = filled(tmp_path, [5, 8, 1, 20])
    leaves = hashes(tmp_path)
    log = Ledger(tmp_path, KEY)
    for index in range(head.size):
        proof = log.inclusion(index, head.size)
        assert merkle.verify_inclusion(leaves[index], index, head.size, proof, head.root)
    for first in range(1, head.size + 1):
        proof = log.consistency(first, head.size)
        root = merkle.root(leaves[:first])
        assert merkle.verify_consistency(first, head.size, root, head.root, proof)
    with pytest.raises(ValueError, match="has 34 leaves"):
        log.consistency(1, 35)
    with pytest.raises(ValueError, match="has 34 leaves"):
        log.inclusion(1, 35)
    log.close()


@pytest.mark.parametrize("leaf", [[Leaf.OPENED, b"short", b"w" * 16, 1], [Leaf.ADMIN], [9, bytes(32)]])
def test_a_leaf_of_the_wrong_shape_is_refused(tmp_path: Path, leaf: list[object]) -> None:
    log = Ledger(tmp_path, KEY)
    with pytest.raises(ValueError, match="not a leaf"):
        log.append(leaf)
    log.close()


def test_one_writer_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "LOCK_PATIENCE", 0.1)
    log = Ledger(tmp_path, KEY)
    with pytest.raises(LedgerDamaged, match="in use by another process"):
        Ledger(tmp_path, KEY)
    log.close()


class TestCrashes:
    """What was under a head is kept or named; what was not is kept if whole and cut if torn."""

    def test_a_torn_leaf_is_cut(self, tmp_path: Path) -> None:
        before = filled(tmp_path, [2])
        whole = (tmp_path / "entries").read_bytes()
        for torn in (b"\0\0", b"\0\0\0\x30ab", bytes(40), frames.encode(b"\x81\x01")[:-1]):
            (tmp_path / "entries").write_bytes(whole + torn)
            log = Ledger(tmp_path, KEY)
            assert log.head() == before
            log.close()
            assert (tmp_path / "entries").read_bytes() == whole

    def test_a_whole_leaf_without_its_head_counts(self, tmp_path: Path) -> None:
        filled(tmp_path, [2])
        heads = (tmp_path / "heads").read_bytes()
        filled(tmp_path, [1])
        (tmp_path / "heads").write_bytes(heads)
        log = Ledger(tmp_path, KEY)
        assert (log.size, log.head().root) == (3, merkle.root(hashes(tmp_path)))
        log.close()

    def test_a_leaf_whose_middle_never_reached_the_disk_is_cut(self, tmp_path: Path) -> None:
        before = filled(tmp_path, [2])
        heads, size = (tmp_path / "heads").read_bytes(), (tmp_path / "entries").stat().st_size
        filled(tmp_path, [2])
        data = bytearray((tmp_path / "entries").read_bytes())
        data[size + 20 :] = bytes(len(data) - size - 20)
        (tmp_path / "entries").write_bytes(data)
        (tmp_path / "heads").write_bytes(heads)
        log = Ledger(tmp_path, KEY)
        assert log.head() == before
        log.close()

    def test_a_torn_head_is_cut(self, tmp_path: Path) -> None:
        filled(tmp_path, [2])
        whole = (tmp_path / "heads").read_bytes()
        with (tmp_path / "heads").open("rb") as stream:
            last = whole[[offset for offset, _ in frames.read(stream)][-1] :]
        for torn in (b"\0", last[:4], last[:50], last[:50] + bytes(len(last) - 50), bytes(100)):
            (tmp_path / "heads").write_bytes(whole + torn)
            log = Ledger(tmp_path, KEY)
            assert log.size == 2
            log.close()
            (tmp_path / "heads").write_bytes(whole)

    def test_a_failed_write_is_tried_again(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        log = Ledger(tmp_path, KEY)
        log.append(opened(1))
        real, failing = os.fdatasync, [True, False, True]

        def fdatasync(descriptor: int) -> None:
            if failing and failing.pop(0):
                raise OSError(28, "No space left on device")
            real(descriptor)

        monkeypatch.setattr(os, "fdatasync", fdatasync)
        with pytest.raises(OSError, match="No space"):
            log.commit()  # the leaf
        with pytest.raises(OSError, match="No space"):
            log.commit()  # its head
        assert log.size == 0
        assert log.commit().size == 1
        log.close()
        assert len(hashes(tmp_path)) == 1
        Ledger(tmp_path, KEY).close()

    @pytest.mark.parametrize("left", [b"", b"\0" * 64, None])
    def test_the_tree_is_made_anew(self, tmp_path: Path, left: bytes | None) -> None:
        head = filled(tmp_path, [3, 4])
        if left is None:
            (tmp_path / "tree").unlink()
        else:
            (tmp_path / "tree").write_bytes(left)
        log = Ledger(tmp_path, KEY)
        assert log.head() == head
        assert len(log.inclusion(3, 7)) == 3
        log.close()


class TestDamage:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        filled(tmp_path, [2, 3, 2])
        return tmp_path

    def test_any_altered_byte_of_the_entries_is_named(self, folder: Path) -> None:
        data = (folder / "entries").read_bytes()
        with (folder / "entries").open("rb") as stream:
            starts = [offset for offset, _ in frames.read(stream)]
        for offset in range(len(data)):
            (folder / "tree").unlink(missing_ok=True)
            (folder / "entries").write_bytes(data[:offset] + bytes([data[offset] ^ 4]) + data[offset + 1 :])
            with pytest.raises(LedgerDamaged) as caught:
                Ledger(folder, KEY)
            assert caught.value.offset == max(start for start in starts if start <= offset)
            assert str(folder / "entries") in str(caught.value)

    def test_with_the_tree_it_is_named_when_it_is_read(self, folder: Path) -> None:
        data = bytearray((folder / "entries").read_bytes())
        data[60] ^= 1
        (folder / "entries").write_bytes(data)
        log = Ledger(folder, KEY)
        with pytest.raises(LedgerDamaged, match="at offset"):
            list(log.leaves())
        log.close()

    def test_any_altered_byte_of_the_newest_head_is_named(self, folder: Path) -> None:
        data = (folder / "heads").read_bytes()
        with (folder / "heads").open("rb") as stream:
            last = [offset for offset, _ in frames.read(stream)][-1]
        for offset in range(last + frames.OVERHEAD, len(data)):
            (folder / "heads").write_bytes(data[:offset] + bytes([data[offset] ^ 4]) + data[offset + 1 :])
            with pytest.raises(LedgerDamaged, match=f"heads: at offset {last}"):
                Ledger(folder, KEY)

    def test_cut_entries_are_named(self, folder: Path) -> None:
        data = (folder / "entries").read_bytes()
        for keep in range(len(data)):
            (folder / "entries").write_bytes(data[:keep])
            with pytest.raises(LedgerDamaged, match=f"entries: at offset {keep}: ends here"):
                Ledger(folder, KEY)

    def test_missing_heads_are_named(self, folder: Path) -> None:
        (folder / "heads").unlink()
        with pytest.raises(LedgerDamaged, match="holds no head"):
            Ledger(folder, KEY)

    def test_another_key_is_refused(self, folder: Path) -> None:
        with pytest.raises(LedgerDamaged, match="this key did not sign"):
            Ledger(folder, Ed25519PrivateKey.generate())


class TestHeads:
    def test_as_json_and_back(self, tmp_path: Path) -> None:
        head = filled(tmp_path, [1])
        assert Head.from_plain(head.to_plain()) == head

    @pytest.mark.parametrize("size", [-1, "1", None, 2**63])
    def test_what_is_no_head_is_refused(self, tmp_path: Path, size: object) -> None:
        plain = filled(tmp_path, [1]).to_plain()
        for wrong in ({**plain, "size": size}, {}, [], None, {**plain, "root": "zz"}, {**plain, "log": "00"}):
            with pytest.raises(ValueError, match="not a signed head"):
                Head.from_plain(wrong)

    def test_the_signature_covers_every_field(self, tmp_path: Path) -> None:
        head = filled(tmp_path, [1])
        for other in (
            Head(bytes(16), head.size, head.root, head.at, head.signature),
            Head(head.log, 2, head.root, head.at, head.signature),
            Head(head.log, head.size, bytes(32), head.at, head.signature),
            Head(head.log, head.size, head.root, 1, head.signature),
        ):
            assert not other.holds(KEY.public_key())


def test_a_salted_hash_needs_its_salt() -> None:
    salt = new_salt()
    assert salted("viewed", "ann", salt=salt) == salted("viewed", "ann", salt=salt)
    assert salted("viewed", "ann", salt=salt) != salted("viewed", "ann", salt=new_salt())
    assert salted("a", "bc", salt=salt) != salted("ab", "c", salt=salt)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(1, 9), max_size=12))
def test_the_tree_file_is_the_tree(tmp_path: Path, groups: list[int]) -> None:
    file = tmp_path / "tree"
    file.unlink(missing_ok=True)
    tree, leaves = TreeFile(file), []
    for group in groups:
        for _ in range(group):
            leaves.append(merkle.leaf_hash(b"%d" % len(leaves)))
            tree.add(leaves[-1])
        assert tree.root == merkle.root(leaves)
        if group % 2:
            tree.write()
    plain = merkle.subtrees(leaves)
    for second in range(1, len(leaves) + 1, 3):
        for first in range(1, second + 1):
            expected = merkle.consistency_proof(first, second, plain)
            assert merkle.consistency_proof(first, second, tree.subtree) == expected
    tree.write()
    tree.close()
    again = TreeFile(file)
    for size in range(len(leaves) + 1):
        assert again.adopt(size) == merkle.root(leaves[:size])
    assert again.adopt(len(leaves) + 1) is None
    again.close()


@given(st.binary(max_size=80))
def test_no_bytes_trip_the_decoder_of_leaves(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert decode_leaf(data)[0] in set(Leaf)
