"""Exchanges by their traces, and what is handed on to those who trace, in both databases."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from bodycam.catalog import runs, spans, tail
from bodycam.catalog.engine import make_engine, reading, writing
from bodycam.catalog.exchanges import ExchangeFilter, list_exchanges
from bodycam.catalog.schema import migrate
from bodycam.catalog.search import search
from bodycam.catalog.tables import bundles
from bodycam.model.identity import Run
from bodycam.model.trace import TraceParent
from tests.contract.catalog_cases import CI, NOON, add_session, bundled, exchange, write

MINE, OTHER, SPAN = "1" * 32, "2" * 32, "a" * 16


@pytest.fixture
def engine(catalog_url: str) -> Iterator[Engine]:
    made = make_engine(catalog_url)
    migrate(made)
    yield made
    made.dispose()


def add_run(engine: Engine, name: str, trace: str | None = None, ttl: float = 60) -> None:
    with writing(engine) as connection:
        runs.add_run(connection, Run(name, CI, "bot", NOON / 1e6 + ttl, trace=trace), None, NOON)


def test_an_exchange_is_of_the_trace_that_it_claims_and_else_of_its_runs(engine: Engine) -> None:
    add_run(engine, "run_traced", f"00-{MINE}-{SPAN}-01")
    traced, plain = add_session(engine, "ses_t", run="run_traced"), add_session(engine, "ses_p")
    write(
        engine,
        [
            exchange(traced, 1, "SELECT zebra"),
            exchange(traced, 2, "SELECT zebra", trace=OTHER, span=SPAN),
            exchange(plain, 3, "SELECT zebra"),
            exchange(plain, 4, "SELECT zebra", trace=MINE, span=SPAN, details='{"kept":7}'),
            exchange(plain, 5, "SELECT horse", trace=MINE, span="b" * 16),
        ],
    )

    def numbers(words: str, **wanted: str) -> list[int]:
        with reading(engine) as connection:
            given = ExchangeFilter(**wanted)  # type: ignore[arg-type]
            if words:
                return [hit.exchange.number for hit in search(connection, words, given).items]
            return [one.number for one in list_exchanges(connection, given, newest=True).items]

    assert numbers("", trace=MINE) == [5, 4, 1]
    assert numbers("zebra", trace=MINE) == [4, 1]
    assert numbers("", trace=OTHER) == [2]
    assert numbers("", trace=MINE, run="run_traced") == [1]
    assert numbers("", trace="3" * 32) == []
    assert numbers("", trace="%" * 32) == []
    with reading(engine) as connection:
        one = list_exchanges(connection, ExchangeFilter(session="ses_p")).items[1]
    assert (one.trace, one.details) == (TraceParent(MINE, SPAN), {"kept": 7})


def arrive(engine: Engine, *ids: int) -> None:
    with writing(engine) as connection:
        tail.announce(connection, [(tail.Arrival.EXCHANGES, str(key)) for key in ids])


def held(engine: Engine) -> list[int]:
    with reading(engine) as connection:
        return sorted(connection.execute(bundles.select().with_only_columns(bundles.c.id)).scalars())


def test_what_waits_to_be_handed_on_outlives_the_window(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail, "KEPT", 2)
    keys = add_session(engine, "ses_a")
    write(engine, [exchange(keys, n, f"SELECT {n}") for n in range(1, 131)])
    first, *rest = held(engine)
    arrive(engine, first)
    with writing(engine) as connection:
        begun = spans.begin(connection, NOON)
    arrive(engine, *rest[:120])
    for _ in range(5):
        arrive(engine, 7)  # a bundle that retention took meanwhile
    arrive(engine, *rest[120:])

    seen: list[int] = []
    place = begun
    while True:
        with writing(engine) as connection:
            assert spans.begin(connection, 0) == place
            found, after = spans.exchanges_after(connection, place, 50)
            if after == place:
                break
            seen += [one.exchange.number for one in found]
            assert all((one.database, one.run_trace) == ("shop", None) for one in found)
            spans.moved(connection, after)
        place = after
    # not what came before it began, and all that came since, each once
    assert seen == list(range(2, 131))

    arrive(engine, 7)
    with reading(engine) as connection:
        assert spans.behind(connection, place) == 1
        assert len(tail.after(connection, 0, batches=100).items) <= 20
    with writing(engine) as connection:
        spans.stop(connection)
    with reading(engine) as connection:
        assert spans.place(connection) is None


def test_runs_follow_in_the_order_of_their_ends(engine: Engine) -> None:
    for name, ttl in (("run_ended", 60), ("run_expired", 5), ("run_revoked", 60), ("run_lives", 9000)):
        add_run(engine, name, ttl=ttl)
    with writing(engine) as connection:
        runs.end_run(connection, "run_ended", 0, NOON + 9_000_000)
        runs.revoke_run(connection, "run_revoked", "why", NOON + 3_000_000)
        place = spans.begin(connection, NOON)

    def after(at: spans.Place, before: int, most: int = 10) -> tuple[list[tuple[str, int]], spans.Place]:
        with reading(engine) as connection:
            found, behind = spans.runs_after(connection, at, before, most)
        return [(one.run.id, (one.end - NOON) // 1_000_000) for one in found], behind

    assert after(place, NOON + 3_000_000) == ([], place)
    found, behind = after(place, NOON + 100_000_000, most=2)
    assert found == [("run_revoked", 3), ("run_expired", 5)]
    found, behind = after(behind, NOON + 100_000_000)
    assert found == [("run_ended", 9)]
    assert after(behind, NOON + 100_000_000) == ([], behind)


def test_equal_exchanges_of_two_traces_are_in_two_bundles(engine: Engine) -> None:
    keys = add_session(engine, "ses_a")
    told = [exchange(keys, n, "SELECT 1", trace=(MINE, OTHER, None)[n % 3], span=SPAN) for n in range(9)]
    assert sorted(len(one.items) for one in bundled(told)) == [3, 3, 3]
