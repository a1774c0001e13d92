"""One look-up of masked columns, message by message: the login, the question, and what is made of its answer."""

import json

import pytest

from bodycam.model.column import Holds
from bodycam.model.relation import RelationColumn
from bodycam.model.target import Dial
from bodycam.protocols.postgres import frontend
from bodycam.protocols.postgres.lookup import ANSWER_MOST, Lookup, question
from bodycam.session.errands import ErrandFailed
from tests.playbook import wire

DIAL = Dial("127.0.0.1", 5432, "app", "orders", "hunter2")
WANTED = [("customers", "ssn"), ("hr", "pe*le", "pay'\\")]
RELATIONS = wire.columns(*((name, 25) for name in ("a", "b", "c", "d", "e", "f", "g")))
TREE = (
    "({QUERY :targetList ({TARGETENTRY :resno 1 :resorigtbl 100 :resorigcol 2 :resjunk false} "
    "{TARGETENTRY :resno 2 :resorigtbl 0 :resorigcol 0 :resjunk false})})"
)


def asked() -> Lookup:
    lookup = Lookup(DIAL, WANTED)
    assert b"bodycam/masked-columns" in lookup.begun(False, b"")
    assert lookup.receive(wire.AUTH_OK + wire.key_data()) == b""
    assert lookup.receive(wire.ready()) == frontend.query_message(question(WANTED))
    return lookup


def test_what_is_found_is_told_once_the_server_is_ready() -> None:
    lookup = asked()
    columns = json.dumps([[1, "id", 23, False], [2, "ssn", 25, False], [4, "made", 1043, True]]).encode()
    answer = [
        wire.columns(("set_config", 25), ("set_config", 25)),
        wire.row(b"pg_catalog", b"10s"),
        wire.complete("SELECT 1"),
        RELATIONS,
        wire.row(b"100", b"public", "kündén".encode(), columns, None, None, None),
        wire.row(
            b"101",
            b"public",
            b"v",
            b'[[1, "x", 25, false], [2, "y", 25, false]]',
            b"[100]",
            b"[[100, 2], [100, 0]]",
            TREE.encode(),
        ),
        wire.row(b"0", None, b"tell", None, None, None, None),
        wire.complete("SELECT 3"),
        wire.columns(("max", 20)),
        wire.row(b"16999"),
        wire.complete("SELECT 1"),
    ]
    # one byte at a time is the same as whole
    for byte in b"".join(answer):
        assert lookup.receive(bytes((byte,))) == b""
    assert not lookup.over
    assert lookup.receive(wire.ready()) == frontend.terminate()
    assert lookup.over
    assert lookup.found.newest == 16999
    assert lookup.found.functions == {"tell"}
    table, view = lookup.found.relations
    assert (table.number, table.schema, table.name) == (100, "public", "kündén")
    assert table.columns == {
        1: RelationColumn("id", Holds.NOTHING),
        2: RelationColumn("ssn", Holds.TEXT),
        4: RelationColumn("made", Holds.TEXT, made=True),
    }
    assert (table.parents, table.uses, table.sources) == ((), (), {})
    assert (view.parents, view.uses, view.sources) == ((100,), ((100, 2), (100, 0)), {1: (100, 2)})


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (
            wire.error("42501", "permission denied for table pg_rewrite"),
            "permission denied for table pg_rewrite",
        ),
        (RELATIONS + wire.row(b"x", *(None,) * 6), "makes no sense"),
        (RELATIONS + wire.row(b"1", b"p", b"t", b"{not json", None, None, None), "makes no sense"),
        (RELATIONS + wire.row(b"1", b"p", b"t", b"7", None, None, None), "makes no sense"),
        (RELATIONS + wire.row(b"1", b"p"), "makes no sense"),
        (b"\xff\xff\xff\xff\xff\xff", "makes no sense"),
        (b"D" + (ANSWER_MOST + 5).to_bytes(4, "big"), "makes no sense"),
    ],
)
def test_what_goes_wrong_is_said(said: bytes, why: str) -> None:
    lookup = asked()
    with pytest.raises(ErrandFailed, match=why):
        lookup.receive(said)


def test_a_server_that_refuses_the_login_is_told_as_it_said_it() -> None:
    lookup = Lookup(DIAL, WANTED)
    lookup.begun(False, b"")
    with pytest.raises(ErrandFailed, match="too many connections"):
        lookup.receive(wire.error("53300", "too many connections", "FATAL"))


def test_an_answer_without_end_is_given_up() -> None:
    lookup = asked()
    rows = RELATIONS + wire.row(b"1", b"p", b"t", b"[]", None, None, b"x" * 1_000_000)
    lookup.receive(RELATIONS)
    with pytest.raises(ErrandFailed, match="more than"):
        for _ in range(80):
            lookup.receive(rows[len(RELATIONS) :])


def test_names_are_quoted_for_the_server() -> None:
    said = question(WANTED)
    assert "c.relname ~* E'^(?:customers)$' and a.attname ~* E'^(?:ssn)$'" in said
    assert "n.nspname ~* E'^(?:hr)$' and c.relname ~* E'^(?:pe.*le)$'" in said
    assert r"a.attname ~* E'^(?:pay\\''\\\\)$'" in said
