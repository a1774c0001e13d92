import secrets
from collections.abc import Callable

import cbor2
import pytest
import zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from bodycam.archive.format import v1
from bodycam.archive.format.container import (
    END,
    MAGIC,
    Place,
    Read,
    SessionReader,
    footer,
    header_session,
    read_footer,
)
from bodycam.archive.format.v1 import FormatDamaged
from tests.unit.archive.recordings import Recorded, blocks_of, container, event, record

SIGNING = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
SESSION, KEY = b"s" * 16, b"k" * 32


def reads(data: bytes) -> Read:
    return lambda offset, length: data[offset : offset + length]


def reader(recorded: Recorded) -> SessionReader:
    return SessionReader(reads(recorded.data), 0, len(recorded.data))


def plain(blocks: list[list[bytes]]) -> list[object]:
    return [cbor2.loads(one) for block in blocks for one in block]


class TestSession:
    def test_events_come_back(self) -> None:
        blocks = blocks_of(40, blocks=4)
        recorded = record(SIGNING, 1, blocks)
        assert list(reader(recorded).events(recorded.key)) == plain(blocks)

    def test_without_events(self) -> None:
        recorded = record(SIGNING, 1, [])
        assert list(reader(recorded).events(recorded.key)) == []
        assert reader(recorded).index() == []
        assert list(reader(recorded).events(recorded.key, since=5)) == []

    def test_the_manifest_tells_what_is_in_it(self) -> None:
        recorded = record(SIGNING, 7, blocks_of(40, blocks=4))
        manifest = reader(recorded).manifest()
        assert (manifest.session, manifest.opening) == (recorded.session, 7)
        assert (manifest.blocks, manifest.events, manifest.last_at) == (4, 42, 41)
        assert manifest.chain == recorded.entries[-1].chain
        assert v1.session_root(manifest.encode()) == recorded.root

    def test_any_moment_is_found_from_the_end(self) -> None:
        blocks = blocks_of(100, blocks=10)
        recorded = record(SIGNING, 1, blocks)
        for since in range(110):
            found = list(reader(recorded).events(recorded.key, since))
            every = plain(blocks)
            assert found == every[len(every) - len(found) :]
            assert [one for one in found if one[1] >= since] == [one for one in every if one[1] >= since]  # type: ignore[index]
            assert len([one for one in found if one[1] < since]) < 11

    def test_seeking_reads_no_other_blocks(self) -> None:
        recorded = record(
            SIGNING, 1, [[event(4, at, 1, [0, 0, secrets.token_bytes(9000)])] for at in range(50)]
        )
        total = 0

        def read(offset: int, length: int) -> bytes:
            nonlocal total
            total += length
            return recorded.data[offset : offset + length]

        assert len(list(SessionReader(read, 0, len(recorded.data)).events(recorded.key, since=49))) == 1
        assert total < len(recorded.data) / 10

    def test_the_writer_resumes_from_its_frames(self) -> None:
        writer = v1.SessionWriter(SESSION, KEY, created=9)
        frames = [writer.block(event(4, at, 1, "x"), 1, at, at) for at in range(3)]
        again = v1.SessionWriter.resumed(KEY, writer.header, iter(frames))
        assert (again.chain, again.size, again.entries, again.events) == (
            writer.chain,
            writer.size,
            writer.entries,
            writer.events,
        )
        frames.append(again.block(event(4, 3, 1, "y"), 1, 3, 3))
        tail, root = again.finish(
            SIGNING, totals={}, outcome="ended", markers=[], worker=b"w" * 16, opening=1, sealed=1
        )
        whole = Recorded(SESSION, KEY, writer.header + b"".join(frames) + tail, root, again.entries)
        assert [one[3] for one in reader(whole).events(KEY)] == ["x", "x", "x", "y"]

    def test_two_writings_of_the_same_events_share_no_nonce(self) -> None:
        """A crash may make a block anew from other events under the same key and number."""
        one = v1.SessionWriter(SESSION, KEY, created=9).block(event(4, 0, 1, "x"), 1, 0, 0)
        two = v1.SessionWriter(SESSION, KEY, created=9).block(event(4, 0, 1, "y"), 1, 0, 0)
        assert one[5:17] != two[5:17]

    @pytest.mark.parametrize("header", [b"", b"H\0\0\0\1\xf6", v1.frame(b"H", cbor2.dumps({"v": 1}))])
    def test_it_does_not_resume_from_another_header(self, header: bytes) -> None:
        with pytest.raises(FormatDamaged):
            v1.SessionWriter.resumed(KEY, header, iter(()))

    def test_too_much_for_a_block_is_refused(self) -> None:
        writer = v1.SessionWriter(SESSION, KEY, created=9)
        with pytest.raises(ValueError, match="more than a recording can hold"):
            writer.block(bytes(v1.MAX_PLAIN + 1), 1, 0, 0)

    def test_the_largest_block_that_does_not_compress_is_read(self) -> None:
        body = secrets.token_bytes(v1.MAX_PLAIN - 40)
        recorded = record(SIGNING, 1, [[event(4, 0, 1, body)]])
        assert next(reader(recorded).events(recorded.key))[3] == body


class TestAltered:
    """No altered byte of a block or its surroundings is ever given out as an event."""

    def test_any_byte(self) -> None:
        blocks = blocks_of(6)
        recorded = record(SIGNING, 1, blocks)
        until = recorded.entries[-1].offset + recorded.entries[-1].length
        every = plain(blocks)
        for offset in range(len(recorded.data)):
            data = bytearray(recorded.data)
            data[offset] ^= 1 << (offset % 8)
            altered = SessionReader(reads(bytes(data)), 0, len(data))
            found = []
            try:
                found.extend(altered.events(recorded.key))
            except FormatDamaged:
                assert found == every[: len(found)]
            else:
                assert offset >= until
                assert found == every

    def test_blocks_of_two_sessions_do_not_mix(self) -> None:
        one, two = record(SIGNING, 1, blocks_of(6)), record(SIGNING, 2, blocks_of(6))
        entry = one.entries[1]
        where = slice(entry.offset, entry.offset + entry.length)
        mixed = one.data[: where.start] + two.data[where] + one.data[where.stop :]
        with pytest.raises(FormatDamaged, match=f"at offset {entry.offset}: block 1 does not open"):
            list(SessionReader(reads(mixed), 0, len(mixed)).events(one.key))

    def test_another_key_opens_nothing(self) -> None:
        recorded = record(SIGNING, 1, blocks_of(6))
        with pytest.raises(FormatDamaged, match="does not open under the session's key"):
            list(reader(recorded).events(bytes(32)))


class TestHostile:
    def sealed(self, packed: bytes, count: int = 1) -> bytes:
        head = v1.BLOCK_HEAD.pack(b"n" * 12, count, 0, 0)
        aad = SESSION + bytes(4) + bytes(32) + head
        return head + AESGCM(KEY).encrypt(b"n" * 12, packed, aad)

    @pytest.mark.parametrize(
        ("packed", "told"),
        [
            (b"not zstd", "does not say|does not decompress"),
            (zstandard.ZstdCompressor(write_content_size=False).compress(b"\x80" * 100), "does not say"),
            (zstandard.ZstdCompressor().compress(bytes(v1.MAX_PLAIN + 1)), "does not say that it is at most"),
            (zstandard.ZstdCompressor().compress(cbor2.dumps([1, 2, 3, 4]))[:-2], "does not decompress"),
            (zstandard.ZstdCompressor().compress(b"\xff" * 10), "does not decode|end early"),
            (zstandard.ZstdCompressor().compress(b"\x81" * 100_000), "does not decode"),
            (zstandard.ZstdCompressor().compress(cbor2.dumps([1, 2, 3])), "not an array of kind"),
            (zstandard.ZstdCompressor().compress(cbor2.dumps([1, "2", 3, 4])), "not an array of kind"),
            (zstandard.ZstdCompressor().compress(cbor2.dumps([1, 2, 3, 4]) * 2), "has 2 events"),
            (zstandard.ZstdCompressor().compress(cbor2.dumps([1, 2, 3, 4]) + b"\xff"), "end early"),
        ],
    )
    def test_what_no_writer_makes_is_refused(self, packed: bytes, told: str) -> None:
        with pytest.raises(FormatDamaged, match=told):
            list(v1.open_block(SESSION, KEY, 0, bytes(32), self.sealed(packed)))

    @pytest.mark.parametrize(
        "wrong",
        [
            lambda plain: plain.pop("chain"),
            lambda plain: plain.update(v=2),
            lambda plain: plain.update(session="text"),
            lambda plain: plain.update(blocks=-1),
            lambda plain: plain.update(opening=2**64),
            lambda plain: plain.update(extra=1),
        ],
    )
    def test_a_manifest_of_another_shape_is_refused(
        self, wrong: Callable[[dict[str, object]], object]
    ) -> None:
        manifest = cbor2.loads(reader(record(SIGNING, 1, [])).manifest().encode())
        wrong(manifest)
        with pytest.raises(FormatDamaged):
            v1.decode_manifest(cbor2.dumps(manifest, canonical=True))

    @pytest.mark.parametrize("payload", [b"", cbor2.dumps({"v": 1, "session": b"short"}), cbor2.dumps([1])])
    def test_a_header_of_another_shape_is_refused(self, payload: bytes) -> None:
        with pytest.raises(FormatDamaged):
            header_session(payload)

    @pytest.mark.parametrize("entry", [[], [1, 2, 3, 4, 5], [0, 0, 0, 0, 0, b"short"], 7])
    def test_an_index_of_another_shape_is_refused(self, entry: object) -> None:
        with pytest.raises(FormatDamaged, match="not a list of blocks"):
            v1.decode_index(cbor2.dumps([entry]))


class TestContainer:
    def test_sessions_are_found_from_the_end(self) -> None:
        recorded = [record(SIGNING, number, blocks_of(number)) for number in range(1, 5)]
        data = container(recorded)
        places, at = read_footer(reads(data), len(data))
        assert [data[p.offset : p.offset + p.length] for p in places] == [one.data for one in recorded]
        assert [p.root for p in places] == [one.root for one in recorded]
        assert data[at:] == footer(places)
        second = SessionReader(reads(data), places[1].offset, places[1].length)
        assert len(list(second.events(recorded[1].key))) == 4

    @pytest.mark.parametrize(
        ("data", "told"),
        [
            (b"", "at offset 0: not a container"),
            (MAGIC, "at offset 0: not a container"),
            (b"x" * 100, "at offset 0: not a container"),
            (MAGIC + b"x" * 60, "the end mark is missing"),
            (MAGIC + b"\xff\xff\xff\xff" + END, "a footer of 4294967295 bytes"),
            (MAGIC + b"\x80\x00\x00\x00\x02" + END, "a footer of 2 bytes"),
            (MAGIC + b"\xf6\x00\x00\x00\x01" + END, "at offset 21: the footer is not a list"),
            (MAGIC + b"\x9f\xff\x00\x00\x00\x02" + END, "not in the form that was written"),
            (MAGIC + b"\x80\x80\x00\x00\x00\x02" + END, "bytes too many"),
            (MAGIC + footer([Place(b"short", 1, 1, bytes(32))]), "is not a list of places"),
            (MAGIC + footer([Place(SESSION, -1, 1, bytes(32))]), "is not a list of places"),
        ],
    )
    def test_what_is_no_container_is_refused(self, data: bytes, told: str) -> None:
        with pytest.raises(FormatDamaged, match=told):
            read_footer(reads(data), len(data))


@given(st.lists(st.lists(st.binary(max_size=300), min_size=1, max_size=5), max_size=6))
def test_whatever_is_recorded_comes_back(bodies: list[list[bytes]]) -> None:
    blocks = [[event(4, 0, 1, body) for body in block] for block in bodies]
    recorded = record(SIGNING, 1, blocks)
    assert [one[3] for one in reader(recorded).events(recorded.key)] == [b for block in bodies for b in block]
