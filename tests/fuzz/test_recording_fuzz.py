"""Any bytes in a recording or a ledger give a report or a named damage, never another exception."""

import contextlib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bodycam.archive.findings import Verified
from bodycam.archive.format import v1
from bodycam.archive.format.container import MAGIC, SessionReader, read_footer
from bodycam.archive.format.v1 import FormatDamaged
from bodycam.archive.ledger import Ledger, LedgerDamaged
from bodycam.archive.store.local import LocalStore
from bodycam.archive.verify import Verifier
from tests.unit.archive.recordings import Archive, blocks_of, container, record

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
NAME = "2026/01/02/rec_a.bcr"
SEALED = record(KEY, 1, blocks_of(8))
WHOLE = container([SEALED, record(KEY, 2, blocks_of(2))])

slow = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def changes(draw: st.DrawFn, data: bytes) -> bytes:
    """`data` with some pieces cut out, put in, overwritten or moved."""
    for _ in range(draw(st.integers(1, 4))):
        begin = draw(st.integers(0, len(data)))
        end = draw(st.integers(begin, min(len(data), begin + draw(st.sampled_from([0, 1, 4, 64, 5000])))))
        new = draw(
            st.one_of(st.binary(max_size=12), st.just(data[end : end + 40]), st.just(bytes(end - begin)))
        )
        data = data[:begin] + new + data[end:]
    return data


def read_all(data: bytes) -> None:
    """All that a reader of a container can be asked."""
    places, _ = read_footer(lambda at, size: data[at : at + size], len(data))
    for place in places:
        reader = SessionReader(lambda at, size: data[at : at + size], place.offset, place.length)
        for ask in (
            lambda: list(reader.events(SEALED.key)),  # noqa: B023 - called at once
            lambda: list(reader.events(SEALED.key, 5)),  # noqa: B023
            reader.index,
            reader.manifest,
        ):
            with contextlib.suppress(FormatDamaged):
                ask()


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_random_bytes(data: bytes) -> None:
    for whole in (data, MAGIC + data, WHOLE[:200] + data + WHOLE[-60:]):
        with contextlib.suppress(FormatDamaged):
            read_all(whole)


@settings(deadline=None, max_examples=300)
@given(changes(WHOLE))
def test_changed_containers(data: bytes) -> None:
    with contextlib.suppress(FormatDamaged):
        read_all(data)


@given(st.binary(max_size=200))
def test_random_payloads(data: bytes) -> None:
    for decode in (
        v1.decode_manifest,
        v1.decode_index,
        v1.decode_ending,
        lambda plain: list(v1.decode_events(plain)),
        lambda payload: list(v1.open_block(bytes(16), bytes(32), 0, bytes(32), payload)),
    ):
        with contextlib.suppress(FormatDamaged):
            decode(data)


@pytest.mark.parametrize("tag", [0, 1, 2, 3, 4, 5, 25, 28, 29, 30, 35, 36, 37, 100, 256, 258, 260, 261, 1004])
@given(st.binary(max_size=40))
def test_tags_that_a_decoder_acts_on(tag: int, data: bytes) -> None:
    head = b"\xd9" + tag.to_bytes(2, "big")
    for payload in (head + data, head + b"\x82" + data, head + b"\x78\x05" + data):
        with contextlib.suppress(FormatDamaged):
            v1.load(payload, "thing")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    archive = Archive(tmp_path_factory.mktemp("archive"), KEY)
    archive.seal(NAME, [6, 2])
    archive.seal("2026/01/02/rec_b.bcr", [3])
    archive.ledger.close()
    return archive.folder


class TestVerification:
    """The archive is broken or, where nothing was changed after all, whole; it never raises."""

    @slow
    @given(st.sampled_from([f"recordings/{NAME}", "ledger/entries", "ledger/heads"]), st.data())
    def test_of_changed_files(self, folder: Path, file: str, data: st.DataObject) -> None:
        whole = (folder / file).read_bytes()
        changed = data.draw(changes(whole))
        try:
            (folder / file).write_bytes(changed)
            store = LocalStore(folder / "recordings")
            report = Verifier(folder / "ledger", store, KEY.public_key(), pinned=False).run()
            assert (report.state is Verified.BROKEN) == (changed != whole)
        finally:
            (folder / file).write_bytes(whole)

    @slow
    @given(st.sampled_from(["entries", "heads", "tree"]), st.data())
    def test_of_opening_a_changed_ledger(self, folder: Path, file: str, data: st.DataObject) -> None:
        files = {name: (folder / "ledger" / name).read_bytes() for name in ("entries", "heads", "tree")}
        try:
            (folder / "ledger" / file).write_bytes(data.draw(changes(files[file])))
            with contextlib.suppress(LedgerDamaged):
                ledger = Ledger(folder / "ledger", KEY)
                with contextlib.closing(ledger):
                    list(ledger.leaves())
        finally:
            for name, whole in files.items():
                (folder / "ledger" / name).write_bytes(whole)
