"""Bundled exchanges answer every listing and search as a plain list of exchanges would."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import Connection, Engine

from bodycam.catalog import deletion, statement
from bodycam.catalog import scope as scope_module
from bodycam.catalog import search as search_module
from bodycam.catalog.engine import reading
from bodycam.catalog.exchanges import ExchangeFilter, list_exchanges
from bodycam.catalog.paging import Page
from bodycam.catalog.search import search
from bodycam.catalog.words import parse, words
from tests.contract.catalog_cases import NOON, add_session, exchange, write

SESSIONS = {
    "ses_a": {"run": "run_a", "agent": "bot", "target": "orders", "principal": "ci@api"},
    "ses_b": {"run": "run_a", "agent": "bot", "target": "billing", "principal": "ci@api"},
    "ses_c": {"run": "run_c", "agent": "clerk", "target": "orders", "principal": "ann@corp"},
}
TEXTS = (
    "SELECT balance FROM accounts WHERE id = $1",
    "UPDATE accounts SET owner = $1",
    "SELECT name FROM customers WHERE ref = 'r7'",
    "BEGIN",
    "https://api.test/item/*/rows",  # each has a number of its own there
    "SELECT reference, " + ", ".join(f"column_{n}" for n in range(60)) + " FROM accounts WHERE owner = $1",
)
SECOND = 1_000_000


@dataclass(frozen=True)
class Known:
    """One exchange as the list has it."""

    session: str
    number: int
    started: int
    text: str
    verb: str
    aside: bool
    status: str
    values: str
    error: str
    output: str
    shape: str | None


def made(count: int, seed: int = 7) -> list[Known]:
    """Exchanges of three sessions over half a minute, some in the same microsecond."""
    chance = random.Random(seed)
    found: list[Known] = []
    for session in SESSIONS:
        at = NOON
        for number in range(1, count + 1):
            at += chance.choice((0, 1, 4000, 90_000, 3 * SECOND if chance.random() < 0.05 else 20_000))
            shape = chance.choice(TEXTS)
            text = shape.replace("/*/", f"/{chance.randrange(40)}/")
            value = f"user{chance.randrange(30)}@example.com" if "$1" in text else ""
            failed = chance.random() < 0.1
            found.append(
                Known(
                    session,
                    number,
                    at,
                    text,
                    "execute" if "$1" in text else "query",
                    text == "BEGIN",
                    "error" if failed else "ok",
                    value,
                    "no such balance" if failed else "",
                    f"row {chance.randrange(5)}" if text.startswith("SELECT") else "",
                    None if text == shape else shape,
                )
            )
    return found


def index(engine: Engine, known: list[Known]) -> dict[str, int]:
    """Write them in batches, and give the sessions' keys."""
    keys = {name: add_session(engine, name, **about) for name, about in SESSIONS.items()}
    rows = [
        exchange(
            keys[one.session],
            one.number,
            one.text,
            started=one.started,
            verb=one.verb,
            aside=one.aside,
            status=one.status,
            values=one.values,
            error=one.error,
            output=one.output,
            shape=one.shape,
        )
        for one in sorted(known, key=lambda one: one.started)
    ]
    for at in range(0, len(rows), 150):
        write(engine, rows[at : at + 150])
    return {name: key for name, (key, _) in keys.items()}


def fits(one: Known, wanted: ExchangeFilter) -> bool:
    about = SESSIONS[one.session]
    named = (
        (wanted.session, one.session),
        (wanted.run, about["run"]),
        (wanted.agent, about["agent"]),
        (wanted.principal, about["principal"]),
        (wanted.target, about["target"]),
        (wanted.kind, one.verb),
        (wanted.status, one.status),
    )
    in_time = (wanted.since is None or one.started >= wanted.since) and (
        wanted.until is None or one.started < wanted.until
    )
    shown = wanted.asides or wanted.kind is not None or not one.aside
    return in_time and shown and all(asked is None or asked == got for asked, got in named)


def holds(one: Known, question: str) -> bool:
    said = words(one.text), words(one.values, one.error, one.output)
    return all(any(term.found(place) is not None for place in said) for term in parse(question))


def paged(
    connection: Connection, ask: Callable[[Connection, str | None], Page[Any]]
) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    cursor: str | None = None
    while True:
        page = ask(connection, cursor)
        for item in page.items:
            one = getattr(item, "exchange", item)
            found.append((one.session, one.number))
        if (cursor := page.next) is None:
            return found


@pytest.fixture(params=["wide", "narrow", "long"])
def filled(
    request: pytest.FixtureRequest, catalog: Engine, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Engine, list[Known]]]:
    if request.param == "narrow":
        for module in (scope_module, search_module):
            monkeypatch.setattr(module, "FIRST_CHUNK", 1)
            monkeypatch.setattr(module, "LAST_CHUNK", 3)
        monkeypatch.setattr(search_module, "_FEW", 0)
        monkeypatch.setattr(search_module, "_ENOUGH", 2)
        monkeypatch.setattr(search_module, "_THIN", 2)
    if request.param == "long":
        monkeypatch.setattr(statement, "SHORT", 0)
    known = made(250)
    keys = index(catalog, known)
    return catalog, sorted(known, key=lambda one: (one.started, keys[one.session], one.number))


FILTERS = [
    ExchangeFilter(),
    ExchangeFilter(asides=True),
    ExchangeFilter(session="ses_b"),
    ExchangeFilter(run="run_a"),
    ExchangeFilter(agent="bot"),
    ExchangeFilter(principal="ann@corp", target="orders"),
    ExchangeFilter(target="orders", status="ok"),
    ExchangeFilter(status="error"),
    ExchangeFilter(status="error", run="run_a", agent="bot"),
    ExchangeFilter(kind="execute"),
    ExchangeFilter(kind="execute", session="ses_c"),
    ExchangeFilter(since=NOON + 3 * SECOND),
    ExchangeFilter(until=NOON + 3 * SECOND),
    ExchangeFilter(since=NOON + 2 * SECOND, until=NOON + 2 * SECOND + 50_000, asides=True),
    ExchangeFilter(agent="clerk", since=NOON + SECOND, until=NOON + 5 * SECOND),
    ExchangeFilter(since=NOON + 10**12),
]


def test_listings(filled: tuple[Engine, list[Known]]) -> None:
    engine, known = filled
    with reading(engine) as connection:
        for wanted in FILTERS:
            right = [(one.session, one.number) for one in known if fits(one, wanted)]
            for newest in (False, True):

                def ask(
                    one: Connection,
                    cursor: str | None,
                    wanted: ExchangeFilter = wanted,
                    newest: bool = newest,
                ) -> Page[Any]:
                    return list_exchanges(one, wanted, limit=70, cursor=cursor, newest=newest)

                assert paged(connection, ask) == (right[::-1] if newest else right), (wanted, newest)


@pytest.mark.parametrize(
    "question",
    [
        "balance",
        "select balance",
        "accounts user7",
        "reference user7",
        '"column 59" example',
        "reference absent",
        "user7@example.com",
        "user2*",
        "accounts user1*",
        "select nothing*",
        '"row 3"* sel*',
        '"no such balance" accounts',
        "row customers",
        '"row 3"',
        '"example com row"',  # no phrase reaches from values into output
        "user1 user2",  # two exchanges of one bundle together hold it, none alone
        "r7 error",
        "item",
        "item 7",
        '"item 7 rows"',
        '"item 1"*',
        "item balance",
        "https 7 8",
        "nowhere",
    ],
)
def test_searches(filled: tuple[Engine, list[Known]], question: str) -> None:
    engine, known = filled
    with reading(engine) as connection:
        for wanted in FILTERS:

            def ask(one: Connection, cursor: str | None, wanted: ExchangeFilter = wanted) -> Page[Any]:
                return search(one, question, wanted, limit=40, cursor=cursor)

            right = [(one.session, one.number) for one in known if fits(one, wanted) and holds(one, question)]
            assert paged(connection, ask) == right[::-1], wanted


def test_a_session_that_is_deleted_leaves_the_others_as_they_were(catalog: Engine) -> None:
    known = made(120)
    keys = index(catalog, known)
    assert deletion.forget_session(catalog, "ses_b")
    left = [one for one in known if one.session != "ses_b"]
    left.sort(key=lambda one: (one.started, keys[one.session], one.number), reverse=True)
    with reading(catalog) as connection:
        for question in ("balance", "user7", '"row 3"', "accounts example", '"item 7"'):

            def ask(one: Connection, cursor: str | None, question: str = question) -> Page[Any]:
                return search(one, question, ExchangeFilter(asides=True), limit=50, cursor=cursor)

            right = [(one.session, one.number) for one in left if holds(one, question)]
            assert paged(connection, ask) == right
        counts = deletion.counts(connection)
    assert (counts["sessions"], counts["exchanges"], counts["statements"]) == (2, 240, len(TEXTS))
    for session in ("ses_a", "ses_c"):
        assert deletion.forget_session(catalog, session)
    with reading(catalog) as connection:
        assert set(deletion.counts(connection).values()) == {0}
