"""Search gives the same answers in both databases, to any question."""

import pytest
from sqlalchemy import Engine

from bodycam.archive.index import Indexer
from bodycam.catalog import deletion, ingest, statement
from bodycam.catalog import scope as scope_module
from bodycam.catalog import search as search_module
from bodycam.catalog.engine import reading, writing
from bodycam.catalog.exchanges import ExchangeFilter
from bodycam.catalog.search import Hit, search
from bodycam.catalog.tables import statements
from bodycam.model.event import Event, Flavor, Kind
from bodycam.registry import TRANSCRIPTS
from tests.contract.catalog_cases import NOON, add_session, bundled, exchange, write

ANY = ExchangeFilter()


@pytest.fixture
def filled(catalog: Engine, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Engine:
    if getattr(request, "param", "short") == "long":
        # every statement has a document of its own
        monkeypatch.setattr(statement, "SHORT", 0)
    a = add_session(catalog, "ses_a")
    b = add_session(catalog, "ses_b", run="run_b", agent="clerk", target="billing", principal="ann@corp")
    write(
        catalog,
        [
            exchange(a, 1, "SELECT * FROM public.order_items WHERE id = 42"),
            exchange(a, 2, "SELECT name FROM customers WHERE email = $1", values="bob@example.com"),
            exchange(a, 3, "DROP TABLE customers", status="denied", error="not allowed here", code="42501"),
            exchange(a, 4, "SELECT order FROM items"),
            exchange(a, 5, "SELECT 'Ünïcödé straße 東京タワー'"),
            exchange(a, 6, "prepare me customers", verb="prepare", aside=True),
            exchange(b, 7, "SELECT name FROM customers WHERE email = $1", values="ann@example.org"),
            exchange(b, 8, "COPY customers TO STDOUT", output="17\tCarol\n18\tDave"),
            exchange(b, 9, 'O\'Reilly \\ "quoted" -- NOT AND OR NEAR(x) col:on ^caret'),
            exchange(b, 10, "insert nul \0 and lone \ud800 surrogate", values="a\0b"),
        ],
    )
    return catalog


def numbers(engine: Engine, question: str, wanted: ExchangeFilter = ANY) -> list[int]:
    with reading(engine) as connection:
        return [hit.exchange.number for hit in search(connection, question, wanted).items]


@pytest.mark.parametrize("filled", ["short", "long"], indirect=True)
@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("order_items", [1]),
        ("public.order_items", [1]),
        ("items", [4, 1]),
        ("ORDER", [4, 1]),
        ('"order items"', [1]),
        ("order items", [4, 1]),
        ("ord*", [4, 1]),
        ("order_it*", [1]),
        ('"from cust"*', [7, 2]),
        ("42", [1]),
        ("bob@example.com", [2]),
        ("example", [7, 2]),
        ("name example.org", [7]),
        ("customers bob", [2]),
        ("customers", [8, 7, 3, 2]),
        ("not allowed", [3]),
        ("carol", [8]),
        ('"17 carol 18"', [8]),
        ("ÜNÏCÖDÉ", [5]),
        ("STRASSE", [5]),
        ("東京", [5]),
        ("京タ", [5]),
        ("東タ", []),
        ("o'reilly", [9]),
        ("NEAR(x)", [9]),
        ("col:on", [9]),
        ("^caret", [9]),
        ("AND", [10, 9]),
        ("nul", [10]),
        ("absent", []),
        ("", []),
        ("* \" ' -- () : ^", []),
        ('"never closed', []),
        ('"select name', [7, 2]),
        ("x' OR '1'='1", []),
    ],
)
def test_question(filled: Engine, question: str, found: list[int]) -> None:
    assert numbers(filled, question) == found


@pytest.mark.parametrize("filled", ["short", "long"], indirect=True)
@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (ExchangeFilter(run="run_a"), [3, 2]),
        (ExchangeFilter(run="run_none"), []),
        (ExchangeFilter(session="ses_b"), [8, 7]),
        (ExchangeFilter(agent="clerk"), [8, 7]),
        (ExchangeFilter(agent="nobody"), []),
        (ExchangeFilter(principal="ci@api"), [3, 2]),
        (ExchangeFilter(target="billing", agent="bot"), []),
        (ExchangeFilter(since=NOON + 3000), [8, 7, 3]),
        (ExchangeFilter(since=NOON + 3000, until=NOON + 8000), [7, 3]),
        (ExchangeFilter(status="denied"), [3]),
        (ExchangeFilter(kind="prepare"), [6]),
        (ExchangeFilter(asides=True), [8, 7, 6, 3, 2]),
    ],
)
def test_filters(filled: Engine, wanted: ExchangeFilter, found: list[int]) -> None:
    assert numbers(filled, "customers", wanted) == found


def hit(engine: Engine, question: str) -> Hit:
    with reading(engine) as connection:
        return search(connection, question, ANY).items[0]


@pytest.mark.parametrize(
    ("question", "field", "marked"),
    [
        ("order_items", "statement", "order_items"),
        ("bob@example", "values", "bob@example"),
        ("allowed", "error", "allowed"),
        ("caro*", "output", "Carol"),
        ("東京", "statement", "東京"),
    ],
)
def test_snippet_says_where(filled: Engine, question: str, field: str, marked: str) -> None:
    snippet = hit(filled, question).snippet
    assert snippet.field == field
    assert snippet.text[snippet.begin : snippet.end] == marked


def test_pages_join_to_the_whole(filled: Engine) -> None:
    seen: list[int] = []
    cursor: str | None = None
    with reading(filled) as connection:
        while True:
            page = search(connection, "select", ANY, limit=2, cursor=cursor)
            seen += [found.exchange.number for found in page.items]
            cursor = page.next
            if cursor is None:
                break
    assert seen == [7, 5, 4, 2, 1]


@pytest.mark.parametrize("filled", ["short", "long"], indirect=True)
@pytest.mark.parametrize("statements_most", [0, 2000])
@pytest.mark.parametrize("few", [0, 1, 2000])
@pytest.mark.parametrize("many", [0, 2, 2000])
def test_every_source_of_candidates_gives_the_same(
    filled: Engine, monkeypatch: pytest.MonkeyPatch, statements_most: int, few: int, many: int
) -> None:
    monkeypatch.setattr(search_module, "_MOST_STATEMENTS", statements_most)
    monkeypatch.setattr(search_module, "_FEW", few)
    monkeypatch.setattr(search_module, "_MANY", many)
    for module in (search_module, scope_module):
        monkeypatch.setattr(module, "FIRST_CHUNK", 1)
        monkeypatch.setattr(module, "LAST_CHUNK", 2)
    assert numbers(filled, "customers") == [8, 7, 3, 2]
    assert numbers(filled, "example name") == [7, 2]
    assert numbers(filled, "exam* customers") == [7, 2]
    assert numbers(filled, "customers", ExchangeFilter(run="run_b")) == [8, 7]
    assert numbers(filled, "customers", ExchangeFilter(agent="clerk", status="ok")) == [8, 7]
    assert numbers(filled, "allowed", ExchangeFilter(session="ses_a", status="denied")) == [3]


def test_long_texts_are_alike(catalog: Engine) -> None:
    keys = add_session(catalog, "ses_long")
    repeats = "NULL, " * 300 + "needle, " + "NULL, " * 300 + "haystack"
    many = " ".join(f"w{n}" for n in range(20_000))
    write(
        catalog,
        [exchange(keys, 1, repeats), exchange(keys, 2, many), exchange(keys, 3, "x" * 5000 + " tail")],
    )
    assert numbers(catalog, '"null needle"') == []  # past the repeats that are kept
    assert numbers(catalog, "needle haystack") == [1]
    assert numbers(catalog, "w100") == [2]
    assert numbers(catalog, '"w9000 w9001"') == [2]
    assert numbers(catalog, "w19999") == []  # past the characters that are kept
    assert numbers(catalog, "x" * 5000) == [3]
    assert numbers(catalog, "xxx* tail") == [3]


def test_a_million_uses_are_one_document(catalog: Engine) -> None:
    keys = add_session(catalog, "ses_a")
    write(catalog, [exchange(keys, n, "SELECT 1") for n in range(1, 1001)])
    with reading(catalog) as connection:
        assert deletion.counts(connection) == {
            "sessions": 1,
            "bundles": 4,
            "exchanges": 1000,
            "statements": 1,
        }


def test_a_batch_twice_is_once(catalog: Engine) -> None:
    keys = add_session(catalog, "ses_a")
    rows = [exchange(keys, n, f"SELECT {n % 3}", values="needle", started=NOON) for n in range(1, 9)]
    assert write(catalog, rows[:5]) == 5
    assert write(catalog, rows) == 3
    assert write(catalog, rows) == 0
    assert numbers(catalog, "needle") == [8, 7, 6, 5, 4, 3, 2, 1]
    with reading(catalog) as connection:
        uses = connection.execute(statements.select()).all()
    assert sum(row.uses for row in uses) == 8


def test_exchanges_of_one_microsecond_all_stay(catalog: Engine) -> None:
    keys = add_session(catalog, "ses_a")
    rows = [exchange(keys, n * 4096, "SELECT 1", started=NOON) for n in range(1, 6)]  # all want one id
    assert write(catalog, rows[:2]) == 2
    assert write(catalog, rows) == 3
    assert write(catalog, rows) == 0
    assert len(numbers(catalog, "select")) == 5


@pytest.mark.parametrize("filled", ["short", "long"], indirect=True)
def test_deletion_takes_words_but_not_anothers(filled: Engine) -> None:
    assert deletion.forget_session(filled, "ses_a")
    assert not deletion.forget_session(filled, "ses_a")
    assert numbers(filled, "customers") == [8, 7]
    assert numbers(filled, "bob") == []
    assert numbers(filled, "order_items") == []
    assert numbers(filled, "name") == [7]
    deletion.scrub(filled)
    assert numbers(filled, "customers") == [8, 7]


def test_clear_and_fill_again(filled: Engine) -> None:
    deletion.clear_index(filled)
    assert numbers(filled, "customers") == []
    keys = add_session(filled, "ses_again")
    write(filled, [exchange(keys, 1, "SELECT customers")])
    assert numbers(filled, "customers") == [1]


def test_a_failed_transaction_leaves_nothing(catalog: Engine) -> None:
    keys = add_session(catalog, "ses_a")

    def cut_off() -> None:
        with writing(catalog) as connection:
            ingest.write(connection, bundled([exchange(keys, 1, "SELECT gone")]))
            raise RuntimeError("cut off")

    with pytest.raises(RuntimeError, match="cut off"):
        cut_off()
    assert numbers(catalog, "gone") == []


SHELL = {"ssh.kind": "shell", "ssh.term": "xterm", "ssh.columns": 80, "ssh.rows": 24}


def programs(
    number: int, verb: str, text: str, facts: dict[str, object], *said: tuple[Flavor, bytes]
) -> list[Event]:
    """What a program was asked, what it said, and its end."""
    return [
        Event(Kind.REQUEST, number, number, [verb, text, [], facts, "statement", None, 0]),
        *(Event(Kind.TO_CLIENT, number, number, [flavor, 0, data]) for flavor, data in said),
        Event(Kind.FINISH, number, number, ["ok", 0, 1, 1, "exit 0", None]),
    ]


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("kubectl", [1]),
        ("ready", [1]),
        ("kubeconfig", [1]),
        ('"pay-7d4 0/1"', [1]),
        ("noon", [2]),
        ("journalctl", [2]),
        ("31mjournalctl", []),
        ("jurnal", []),
        ("report.csv", [3]),
        ("currency", [3]),
    ],
)
def test_what_programs_were_asked_and_printed_is_found(
    catalog: Engine, question: str, found: list[int]
) -> None:
    opened = {
        "session": "ses_p", "run": "run_p", "agent": "bot", "database": "deploy", "grade": "separated", "labels": {},
        "principal": {"issuer": "api", "subject": "ci", "kind": "service", "groups": []}, "trace": None,
        "target": {"name": "web", "protocol": "ssh", "labels": {}}, "address": "127.0.0.1:1", "claims": {},
        "worker": b"\xab" * 16, "opening": 1, "started": NOON, "policy": "p1", "version": "0",
    }  # fmt: skip
    events = [
        Event(Kind.OPENED, 0, 0, opened),
        *programs(
            1, "exec", "kubectl get pods", {"ssh.kind": "exec"},
            (Flavor.CHUNK, b"NAME   \x1b[1mREA\x1b[0mDY\npay-7d4 0/1\n"), (Flavor.ERRORS, b"kubeconfig is readable\n"),
        ),
        *programs(
            2, "shell", "", SHELL,
            (Flavor.FRAMES, b"$ jurnal\b\b\b\b\b\x1b[31mjour"), (Flavor.FRAMES, b"\b\b\b\bour\x1b[Knalctl\r\nmaintenance at no"),
            (Flavor.FRAMES, b"on\r\n$ "),
        ),
        *programs(
            3, "read", "/srv/report.csv", {"ssh.kind": "sftp"}, (Flavor.CHUNK, b"amount,curr"), (Flavor.CHUNK, b"ency\n"),
        ),
        Event(Kind.CLOSED, 9, 0, {"outcome": "ended", "reason": ""}),
    ]  # fmt: skip
    indexer = Indexer(catalog, TRANSCRIPTS)
    for event in events:
        indexer.feed("ses_p", event)
    indexer.flush()
    assert numbers(catalog, question) == found
