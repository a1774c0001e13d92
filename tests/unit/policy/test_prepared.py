"""What names and cursors of a session stand for, and whose facts the rows have that come from them."""

import pytest

from bodycam.model.operation import DOUBT, NAMED, PORTAL, PREPARES, Fact, Operation
from bodycam.policy.prepared import Prepared
from bodycam.policy.sql.analysis import analyse
from bodycam.policy.sql.facts import SqlFacts


class Session:
    """The operations of one session, all of them let through."""

    def __init__(self) -> None:
        self.prepared = Prepared(analyse)

    def did(self, text: str, verb: str = "query", **facts: Fact) -> SqlFacts:
        operation, own = Operation(verb, text, facts=facts), analyse(text)
        found = self.prepared.rows_of(operation, own)
        self.prepared.learn(operation, own)
        return found


@pytest.fixture
def session() -> Session:
    return Session()


def test_rows_of_a_cursor_have_the_facts_of_every_cursor_that_was_opened(session: Session) -> None:
    assert session.did("fetch all from c").columns_read == ()
    session.did("declare c cursor for select reverse(ssn) from people")
    session.did("select 1")
    assert session.did("fetch all from c").columns_read == ("people.ssn",)
    assert session.did("select cursor_to_xml('c', 1, true, true, '')").columns_read == ("people.ssn",)
    assert session.did("select 1").columns_read == ()


def test_a_portal_of_the_protocol_is_a_cursor_and_a_function_may_have_opened_one(session: Session) -> None:
    session.did("select ssn || '' from people", "bind", **{PORTAL: "p"})
    session.did("select opened()")
    found = session.did("fetch all from p")
    assert found.columns_read == ("people.ssn",)
    assert found.functions == ("opened",)


def test_a_body_that_fetches_has_the_facts_of_cursors_too(session: Session) -> None:
    session.did("declare c cursor for select ssn from people")
    body = "do $$ declare c refcursor := 'c'; r record; begin fetch c into r; raise notice '%', r; end $$"
    assert session.did(body).columns_read == ("r", "people.ssn")


def test_what_is_kept_of_a_cursor_is_what_it_shows(session: Session) -> None:
    session.did("declare c cursor for select ssn from people")
    kept = session.did("create table t as select cursor_to_xml('c', 1, true, true, '')")
    assert kept.columns_stored == ("people.ssn",)


def test_a_name_that_showed_a_plan_once_may_show_values_now(session: Session) -> None:
    """The first kind says what the whole is; an EXPLAIN is left unmasked."""
    session.did("explain select 1", "prepare", **{PREPARES: "s"})
    session.did("prepare s as select ssn || '' from people")
    assert session.did("-- s", "execute", **{NAMED: "s"}).kinds[0] == "select"
    assert session.did("explain select 1", "execute", **{DOUBT: "x", PREPARES: "s"}).kinds[0] == "select"
    assert session.did("explain execute s").kinds[0] == "explain"
