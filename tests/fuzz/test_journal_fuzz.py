"""Any entries come back as they went in; any bytes in a journal's files give entries or named damage."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bodycam.journal import layout, wrapping
from bodycam.journal.assembly import Assembly
from bodycam.journal.entry import Entry
from bodycam.journal.failure import JournalDamaged
from bodycam.journal.folder import segments_of
from bodycam.journal.follower import Follower, FollowState
from bodycam.journal.settings import JournalSettings
from bodycam.journal.writer import JournalWriter
from tests.unit.archive.journals import checked
from tests.unit.journal.conftest import abandon

KEY = X25519PrivateKey.generate()
BOUNDED = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])

entry = st.tuples(
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    st.integers(0, 127),
    st.one_of(st.binary(max_size=300), st.integers(0, 40_000).map(bytes)),
)


@contextmanager
def written(batches: list[list[tuple[int, int, int, bytes]]]) -> Iterator[JournalWriter]:
    """A journal of 16 KiB segments with these batches, whose writer was killed."""
    incarnation = os.urandom(16)
    with tempfile.TemporaryDirectory() as root:
        writer = JournalWriter.create(
            Path(root) / incarnation.hex(),
            incarnation=incarnation,
            recipient=KEY.public_key(),
            settings=JournalSettings(segment_bytes=16384, max_bytes=1 << 24, disk_reserve=0),
        )
        try:
            for batch in batches:
                for session, exchange, kind, body in batch:
                    writer.append(session, exchange, kind, body)
                writer.commit()
        finally:
            abandon(writer)
        yield writer


def everything(folder: Path) -> tuple[list[Entry], int, Follower]:
    """All that can be read, how often damage was named, and the follower at its end."""
    follower, entries, damage = Follower(folder, KEY), [], 0
    while follower.state is FollowState.LIVE:
        try:
            for _, batch in follower.poll(max_bytes=5000):
                entries += batch
        except JournalDamaged:
            damage += 1
            assert damage < 100, "the follower does not get past the damage"
            follower.pass_over()
    follower.close()
    return entries, damage, follower


@BOUNDED
@given(st.lists(st.lists(entry, max_size=6), max_size=8))
def test_any_entries_come_back(batches: list[list[tuple[int, int, int, bytes]]]) -> None:
    with written(batches) as writer:
        entries, damage, follower = everything(writer.folder)
    sent = [item for batch in batches for item in batch]
    assert [(e.session, e.exchange, e.kind, e.body) for e in entries] == sent
    assert (damage, follower.state, follower.torn) == (0, FollowState.DEAD, None)


def altered(folder: Path, data: st.DataObject) -> None:
    """Do something to the files of a journal."""
    for _ in range(data.draw(st.integers(1, 4))):
        _, path = data.draw(st.sampled_from(segments_of(folder)))
        content = bytearray(path.read_bytes())
        place = data.draw(st.integers(0, len(content)))
        match data.draw(st.sampled_from(["set", "cut", "insert"])):
            case "set":
                put = data.draw(st.binary(max_size=64))
                content[place : place + len(put)] = put
            case "cut":
                del content[place:]
            case _:
                content[place:place] = data.draw(st.binary(max_size=16))
        path.write_bytes(content)


@BOUNDED
@given(st.data())
def test_any_bytes_anywhere_never_crash_or_invent(data: st.DataObject) -> None:
    batches = [[(1, number, 4, bytes((number,)) * 900)] for number in range(40)]
    with written(batches) as writer:
        altered(writer.folder, data)
        entries, _, _ = everything(writer.folder)
    numbers = [e.exchange for e in entries]
    assert numbers == sorted(set(numbers))
    assert all(e.body == bytes((e.exchange,)) * 900 for e in entries)


@BOUNDED
@given(st.data(), st.booleans())
def test_verification_of_any_bytes_names_files_and_never_crashes(data: st.DataObject, with_key: bool) -> None:
    batches = [[(1, number, 4, bytes((number,)) * 900)] for number in range(40)]
    with written(batches) as writer:
        before = {path: path.read_bytes() for _, path in segments_of(writer.folder)}
        altered(writer.folder, data)
        after = {path: path.read_bytes() for path in before}
        found = checked(writer.folder.parent, KEY if with_key else None)
    assert all(one.where.startswith(str(writer.folder)) for one in [*found.findings, *found.torn])
    # of what holds records nothing but zeros can go or come without a word
    used = [path for path in before if any(before[path][layout.HEADER_BYTES :])]
    if with_key and any(before[path].rstrip(b"\0") != after[path].rstrip(b"\0") for path in used):
        assert found.findings or found.torn
    if before == after:
        assert (found.findings, found.torn) == ([], [])


@BOUNDED
@given(st.lists(st.binary(min_size=1, max_size=200), max_size=4))
def test_a_hostile_writer_gives_entries_or_damage(plains: list[bytes]) -> None:
    """The public key is all it takes to write a segment that decrypts, so plaintext is not trusted."""
    incarnation, data_key = os.urandom(16), os.urandom(32)
    name = wrapping.fingerprint(KEY.public_key())
    context = layout.header_context(incarnation, 1, name)
    sealed = wrapping.wrap(data_key, KEY.public_key(), context)
    content = layout.encode_header(layout.Header(incarnation, 1, name, sealed))
    for sequence, plain in enumerate(plains, 1):
        number = layout.SEQUENCE.pack(sequence)
        extra = layout.additional_data(incarnation, 1) + number
        cipher = AESGCM(data_key).encrypt(layout.NONCE.pack(sequence), plain, extra)
        record = layout.LENGTH.pack(len(cipher)) + number + cipher
        content += record.ljust(layout.record_bytes(len(cipher)), b"\0")
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / incarnation.hex()
        folder.mkdir()
        (folder / layout.segment_name(1)).write_bytes(content)
        everything(folder)


@given(st.lists(st.binary(max_size=100)))
def test_any_plaintext_is_entries_or_an_error(plains: list[bytes]) -> None:
    assembly = Assembly()
    for plain in plains:
        try:
            assembly.add(1, b"\0" + plain)
        except ValueError as error:
            assert str(error)  # noqa: PT017


@given(st.binary(max_size=300))
def test_any_header_is_refused_with_a_reason(data: bytes) -> None:
    try:
        layout.decode_header(data)
    except ValueError as error:
        assert str(error)  # noqa: PT017
    else:
        raise AssertionError("random bytes passed for a header")
