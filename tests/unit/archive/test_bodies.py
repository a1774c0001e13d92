"""Bodies that make no sense: kept out of blocks, and where one got into a block, its session's fault alone."""

import hashlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cbor2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine
from structlog.testing import capture_logs

from bodycam.archive import bodies
from bodycam.archive.format import v1
from bodycam.archive.format.container import SessionReader, read_footer
from bodycam.archive.format.v1 import FormatDamaged
from bodycam.archive.index import Indexer
from bodycam.archive.indexing import ContainerIndexer, IndexThread, Markers
from bodycam.archive.keystore import KeyStore
from bodycam.archive.staging import CHECK_BYTES, RECORD, StagingFile, staged
from bodycam.catalog import sessions
from bodycam.catalog.engine import make_engine, reading
from bodycam.catalog.exchanges import ExchangeFilter, list_exchanges
from bodycam.model import ids
from bodycam.model.event import Event, Kind
from bodycam.session import encoding
from tests.catalogs import migrated
from tests.unit.archive.house import House, Worker, opened, without_times

GARBAGE = {
    "no CBOR": b"\xff",
    "cut off": b"\x85",
    "a text without its end": b"\x7a\x00\x0f\x00\x00short",
    "two items": b"\x01\x02",
    "an end and more": b"\xf6\xff\x01",
    "nothing": b"",
    "a date that is none": cbor2.dumps(cbor2.CBORTag(1000, 0)).replace(b"\xd9\x03\xe8", b"\xc0"),
}
CYCLIC = bytes.fromhex("d81c81d81d00")
"""A list that holds itself (tags 28 and 29): it decodes, and can't be encoded again."""


class TestABody:
    @pytest.mark.parametrize("body", GARBAGE.values(), ids=GARBAGE.keys())
    @pytest.mark.parametrize("kind", list(Kind))
    def test_that_is_not_one_item_is_refused(self, kind: Kind, body: bytes) -> None:
        with pytest.raises(FormatDamaged):
            bodies.checked(kind, body)

    @given(st.integers(0, 3), st.integers(0, 2**64 - 1), st.binary(max_size=300))
    def test_of_data_is_known_by_its_form(self, flavor: int, count: int, data: bytes) -> None:
        body = cbor2.dumps([flavor, count, data])
        assert bodies.checked(Kind.TO_CLIENT, body) is None
        for altered in (body[:-1], body + b"\0"):
            with pytest.raises(FormatDamaged):
                bodies.checked(Kind.TO_CLIENT, altered)

    @given(st.binary(max_size=40))
    def test_of_any_bytes_passes_only_if_a_block_can_hold_it(self, body: bytes) -> None:
        for kind in (Kind.REQUEST, Kind.TO_CLIENT):
            try:
                bodies.checked(kind, body)
            except FormatDamaged:
                continue
            between = b"\x84\x07\x00\x00" + b"\xa0"
            events = list(v1.decode_events(between + b"\x84\x02\x00\x01" + body + between))
            assert len(events) == 3

    @pytest.mark.parametrize("flavor", [0, 23, 24])
    @pytest.mark.parametrize("count", [0, 23, 24, 70_000])
    @pytest.mark.parametrize("size", [0, 1, 2, 23, 24, 255, 256, 65_535, 65_536])
    def test_of_data_of_any_width_is_judged_as_the_decoder_does(
        self, flavor: int, count: int, size: int
    ) -> None:
        body = encoding.data(flavor, count, b"\xff" * size)
        assert bodies.checked(Kind.TO_CLIENT, body) is None
        heads = [
            body[:at] + bytes((value,)) + body[at + 1 :] for at in range(4) for value in range(0, 256, 5)
        ]
        for altered in (body[:-1], body[:4], body + b"\0", *heads):
            assert refused(Kind.TO_CLIENT, altered) == refused(Kind.NOTE, altered)

    @pytest.mark.parametrize("error", [None, {"code": "42601", "message": "x" * 300}])
    def test_of_an_end_is_one_item_whether_it_is_short_or_long(self, error: dict[str, str] | None) -> None:
        body = encoding.finish("ok", 3, 70_000, 5, "SELECT 3", error)
        for _ in range(2):  # the second time it may be remembered
            assert bodies.ending(body) == (3, 70_000, 5)
            for altered in (body[:-1], body + b"\0"):
                with pytest.raises(FormatDamaged):
                    bodies.ending(altered)

    @pytest.mark.parametrize(
        "plain", [None, [], {}, {"session": 1, "started": 1}, {"session": "ses_a"}, {"started": 5}, "x"]
    )
    def test_that_opens_nothing_is_refused(self, plain: Any) -> None:
        with pytest.raises(ValueError, match="an opening without"):
            bodies.opened(cbor2.dumps(plain))

    @pytest.mark.parametrize(
        "plain",
        [
            None,
            [],
            ["ok", 1, 2],
            ["ok", 1, 2, None],
            ["ok", -1, 0, 0],
            ["ok", 1.5, 0, 0],
            ["ok", 2**62, 0, 0],
        ],
    )
    def test_that_ends_an_exchange_without_numbers_is_refused(self, plain: Any) -> None:
        with pytest.raises(ValueError, match="an exchange's end"):
            bodies.moved(plain)


def refused(kind: Kind, body: bytes) -> bool:
    try:
        bodies.checked(kind, body)
    except FormatDamaged:
        return True
    return False


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    built = House(tmp_path)
    yield built
    built.stop()


@pytest.fixture
def worker(house: House) -> Iterator[Worker]:
    made = Worker(house.writer())
    yield made
    if not made.writer._closed:
        made.die()


def put(worker: Worker, session: str, kind: Kind, body: bytes, exchange: int = 1) -> None:
    worker.writer.append(worker.numbers[session], exchange, kind, body)
    worker.writer.commit()


def notes(events: list[tuple[int, int, Any]]) -> list[str]:
    return [body["note"] for kind, _, body in events if kind == Kind.NOTE]


@pytest.mark.parametrize("body", GARBAGE.values(), ids=GARBAGE.keys())
@pytest.mark.parametrize("kind", [Kind.REQUEST, Kind.TO_CLIENT, Kind.FINISH, Kind.NOTE, 99])
def test_garbage_from_a_worker_is_marked_and_costs_no_other_event(
    house: House, worker: Worker, kind: Kind, body: bytes
) -> None:
    house.start()
    session = worker.open()
    worker.query(session, 1)
    put(worker, session, kind, body)
    worker.query(session, 2)
    worker.close(session)
    with capture_logs() as logged:
        house.until_sealed(session)
    events = without_times(house.recordings()[session])
    assert [one for one in events if one[0] != Kind.NOTE] == worker.committed[session]
    assert notes(events) == ["lost-tail"]
    assert [one["event"] for one in logged] == ["a journaled event makes no sense"]
    assert house.verified() == "self-consistent"


@pytest.mark.parametrize("identifier", ["x", "ses_", "ses_aa", "ses_1", "ses_" + "a" * 60])
def test_an_opening_without_a_sound_id_opens_nothing(house: House, worker: Worker, identifier: str) -> None:
    house.start()
    worker.open(identifier)
    good = worker.open()
    worker.close(good)
    house.until_sealed(good)
    assert set(house.recordings()) == {good}
    assert house.archivist is not None
    assert house.archivist.status()["damages"] == 1


class TestInAStagedBlock:
    """What an earlier version took in, before bodies were looked at."""

    def crashed(
        self, house: House, worker: Worker, monkeypatch: pytest.MonkeyPatch, body: bytes, queries: int
    ) -> tuple[str, str]:
        """Two sessions, one with garbage in a staged block, and an archivist that was killed."""
        house.start()
        bad, good = worker.open(), worker.open()
        for exchange in range(1, queries + 1):
            worker.query(bad, exchange)
        worker.query(good, 1)
        with monkeypatch.context() as patched:
            real = bodies.checked
            patched.setattr(bodies, "checked", lambda kind, data: data == body or real(kind, data))
            put(worker, bad, Kind.REQUEST, body, queries + 1)
            house.until(
                lambda: (
                    len(staged(house.root / "staging")) == 2
                    and house.archivist is not None
                    and not house.archivist._unstaged()
                )
            )
        house.crash()
        return bad, good

    @pytest.mark.parametrize("queries", [0, 3, 80])
    @pytest.mark.parametrize("body", [b"\xff", b"\x01\x02", CYCLIC], ids=["garbage", "shifted", "cyclic"])
    def test_it_keeps_no_archivist_from_starting(
        self, house: House, worker: Worker, monkeypatch: pytest.MonkeyPatch, body: bytes, queries: int
    ) -> None:
        bad, good = self.crashed(house, worker, monkeypatch, body, queries)
        for _ in range(3):
            with capture_logs() as logged:
                house.start()
            said = [one for one in logged if one["event"] == "what is staged does not decode"]
            assert [one["session"] for one in said] == [bad]
            house.crash()
        house.start()
        for session in (bad, good):
            worker.query(session, 200)
            worker.close(session)
        house.until_sealed(bad, good)
        if body != CYCLIC:
            with pytest.raises(FormatDamaged):
                house.recordings()
        assert house.verified() == "self-consistent"
        assert markers(house) == {bad: ["truncated"], good: []}

    def test_what_decodes_of_it_is_found_and_the_others_of_its_container_are_whole(
        self, house: House, worker: Worker, monkeypatch: pytest.MonkeyPatch, engine: Engine
    ) -> None:
        bad, good = self.crashed(house, worker, monkeypatch, b"\xff", 80)
        house.settings = house.settings.__class__(0.5, 0.05, 0.1, block=4096)
        keystore = KeyStore(house.root / "keystore" / "keys.db", house.keys.wrapping)
        thread = IndexThread(
            ContainerIndexer(Indexer(engine, {}), house.store, keystore),
            Markers(house.root / "staging" / "unindexed"),
        )
        house.index = thread  # type: ignore[assignment]
        thread.start()
        house.start()
        for session in (bad, good):
            worker.close(session)
        house.until_sealed(bad, good)
        soon(lambda: thread.backlog() == 0)
        thread.stop()
        keystore.close()
        assert states(engine) == {bad: "sealed", good: "sealed"}
        assert exchanges(engine, good) == [1]
        assert exchanges(engine, bad)[:20] == list(range(1, 21))


@pytest.mark.parametrize(
    "meta",
    [
        None,
        [],
        {},
        {"covered": "x", "progress": {}},
        {"covered": 1, "progress": {}},
        {"covered": 1, "progress": 1},
    ],
)
@pytest.mark.parametrize("block", [b"", b"B", b"B\x00\x00\x00\x01x", b"B\xff\xff\xff\xffx"])
def test_a_staging_file_that_no_builder_wrote_is_put_away(
    house: House, worker: Worker, meta: Any, block: bytes
) -> None:
    house.start()
    house.stop()
    session = worker.open()
    raw = ids.raw(session)
    writer = v1.SessionWriter(raw, bytes(32), created=1)
    keystore = KeyStore(house.root / "keystore" / "keys.db", house.keys.wrapping)
    keystore.put([(raw, bytes(32))])
    keystore.close()
    file = StagingFile.create(house.root / "staging", bytes(16), 1, writer.header)
    encoded = cbor2.dumps(meta)
    record = RECORD.pack(len(encoded), len(block)) + encoded + block
    with file.path.open("ab") as stream:
        stream.write(record + hashlib.sha256(record).digest()[:CHECK_BYTES])
    with capture_logs() as logged:
        house.start()
    assert [one["event"] for one in logged] == [
        "a staging file is unusable; what the journal still has is kept"
    ]
    assert not staged(house.root / "staging")
    worker.close(session)
    house.until_sealed(session)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = make_engine(f"sqlite:///{tmp_path / 'catalog.db'}")
    migrated(made)
    yield made
    made.dispose()


def soon(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 15
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def states(engine: Engine) -> dict[str, str]:
    with reading(engine) as connection:
        listed = sessions.list_sessions(connection, sessions.SessionFilter()).items
        return {one.id: one.state.value for one in listed}


def exchanges(engine: Engine, session: str) -> list[int]:
    with reading(engine) as connection:
        found = list_exchanges(connection, ExchangeFilter(session=session, asides=True), limit=500).items
        return sorted(one.number for one in found)


def markers(house: House) -> dict[str, list[str]]:
    """What each sealed session's manifest says."""
    found = {}
    for name in house.store.list():

        def read(at: int, size: int, name: str = name) -> bytes:
            return house.store.get_range(name, at, size)

        for place in read_footer(read, house.store.size(name))[0]:
            manifest = SessionReader(read, place.offset, place.length).manifest()
            found[ids.session_id(place.session)] = manifest.markers
    return found


odd = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=True)
    | st.text(max_size=8)
    | st.binary(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def nearly(draw: st.DrawFn, sound: dict[str, Any] | list[Any]) -> Any:
    """A sound body of which something is replaced."""
    if draw(st.integers(0, 9)) == 0:
        return draw(odd)
    places: list[Any] = list(sound) if isinstance(sound, dict) else list(range(len(sound)))
    altered: Any = dict(sound) if isinstance(sound, dict) else list(sound)
    for place in draw(st.lists(st.sampled_from(places), max_size=2)):
        altered[place] = draw(odd)
    return altered


SESSION = "ses_" + "b" * 26


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_body_stops_the_index_of_others(engine: Engine, data: st.DataObject) -> None:
    indexer = Indexer(engine, {})
    good = ids.new_id(ids.SESSION)
    request = ["query", "select 1", [], {}, "statement", None, 0]
    finish = ["error", 1, 2, 3, None, {"code": "1", "message": "no", "detail": "x", "hint": "y"}]
    odd_events = [
        Event(Kind.OPENED, 0, 0, data.draw(nearly(opened(ids.new_id(ids.SESSION), b"w" * 16, 1)))),
        Event(Kind.REQUEST, 1, 1, data.draw(nearly(request))),
        Event(Kind.TO_CLIENT, 2, 1, data.draw(nearly([1, 1, b"x"]))),
        Event(Kind.FINISH, 3, 1, data.draw(nearly(finish))),
        Event(Kind.CLOSED, 4, 0, data.draw(nearly({"outcome": "ended", "reason": ""}))),
    ]
    bad = ids.new_id(ids.SESSION)
    for event in odd_events:
        try:
            indexer.feed(bad, event)
        except Exception:  # as the index's thread does: it reads the session again once it is sealed
            indexer.forget(bad)
            break
    indexer.feed(good, Event(Kind.OPENED, 0, 0, opened(good, b"w" * 16, 2)))
    indexer.feed(good, Event(Kind.REQUEST, 1, 1, request))
    indexer.feed(good, Event(Kind.FINISH, 2, 1, finish))
    indexer.flush()
    assert exchanges(engine, good) == [1]
