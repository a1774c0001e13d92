"""Sign-ins in each database: found, used, ended, listed, forgotten; and messages that are good once."""

from typing import Any

import pytest
from sqlalchemy import Engine

from bodycam.catalog import sign_ins
from bodycam.catalog.engine import reading, writing
from bodycam.catalog.sign_ins import SignIn, TooManyMessages, Use
from tests.contract.catalog_cases import NOON

HOUR = 3_600_000_000


def add(engine: Engine, name: str, subject: str = "ann", **more: Any) -> SignIn:
    one = SignIn(
        name, b"d" * 32, "sso", b"t" * 32, subject, frozenset({"devs", "dba"}), Use.BROWSER, "::1", NOON - 5,
        NOON, NOON + HOUR, NOON, **more,
    )  # fmt: skip
    with writing(engine) as connection:
        sign_ins.add_sign_in(connection, one)
    return one


def got(engine: Engine, name: str) -> SignIn | None:
    with reading(engine) as connection:
        return sign_ins.get_sign_in(connection, name)


def test_a_sign_in_is_found_as_it_was_added(catalog: Engine) -> None:
    plain, named = (
        add(catalog, "sgn_a"),
        add(catalog, "sgn_b", named={"text": "ann", "session": None}, name_digest=b"n"),
    )
    assert (got(catalog, "sgn_a"), got(catalog, "sgn_b"), got(catalog, "sgn_c")) == (plain, named, None)
    with writing(catalog) as connection:
        sign_ins.note_use(connection, "sgn_a", NOON + 9)
        sign_ins.note_use(connection, "sgn_a", NOON + 7)
        held = sign_ins.get_sign_in(connection, "sgn_a", hold=True)
    assert held is not None
    assert held.used == NOON + 9


def test_a_sign_in_is_ended_once_and_not_after_its_time(catalog: Engine) -> None:
    add(catalog, "sgn_a")
    add(catalog, "sgn_b")
    with writing(catalog) as connection:
        assert sign_ins.end_sign_in(connection, "sgn_a", "why", NOON + 1)
        assert not sign_ins.end_sign_in(connection, "sgn_a", "again", NOON + 2)
        assert not sign_ins.end_sign_in(connection, "sgn_b", "late", NOON + HOUR)
        assert not sign_ins.end_sign_in(connection, "sgn_c", "none", NOON)
    found = got(catalog, "sgn_a")
    assert found is not None
    assert (found.ended, found.reason, found.live(NOON + 1)) == (NOON + 1, "why", False)


def test_somebodys_sign_ins_end_by_name_and_by_session(catalog: Engine) -> None:
    for name, session in (("sgn_a", "1"), ("sgn_b", "2"), ("sgn_c", "2")):
        add(catalog, name, named={"text": "ann", "session": session}, name_digest=b"ann")
    add(catalog, "sgn_d", "bob", named={"text": "bob", "session": "2"}, name_digest=b"bob")
    with writing(catalog) as connection:
        ended = sign_ins.end_named(connection, b"ann", {"2", "9"}, "logout", NOON)
        assert [one.id for one in ended] == ["sgn_b", "sgn_c"]
        assert [one.id for one in sign_ins.end_named(connection, b"ann", (), "logout", NOON)] == ["sgn_a"]
        assert sign_ins.end_named(connection, b"ann", (), "logout", NOON) == ()
    assert got(catalog, "sgn_d") == add_like(catalog, "sgn_d")


def add_like(engine: Engine, name: str) -> SignIn | None:
    found = got(engine, name)
    assert found is not None
    assert found.ended is None
    return found


def test_sign_ins_are_listed_by_pages_and_forgotten_when_long_over(catalog: Engine) -> None:
    for number in range(5):
        add(catalog, f"sgn_{number}", "bob" if number == 3 else "ann")
    with writing(catalog) as connection:
        sign_ins.end_sign_in(connection, "sgn_0", "why", NOON)
    with reading(catalog) as connection:

        def listed(**more: Any) -> tuple[list[str], str | None]:
            given = {"principal": None, "ended": False, "now": NOON} | more
            page = sign_ins.list_sign_ins(connection, **given)
            return [one.id for one in page.items], page.next

        assert listed() == (["sgn_4", "sgn_3", "sgn_2", "sgn_1"], None)
        assert listed(principal="bob@sso") == (["sgn_3"], None)
        assert listed(ended=True)[0][-1] == "sgn_0"
        assert listed(now=NOON + HOUR) == ([], None)
        first, cursor = listed(limit=3)
        assert cursor is not None
        assert first + listed(limit=3, cursor=cursor)[0] == ["sgn_4", "sgn_3", "sgn_2", "sgn_1"]
    late = SignIn("sgn_late", b"d", "sso", b"t", "ann", frozenset(), Use.COMMAND, "", None,
                  NOON + HOUR + sign_ins.KEPT + 1, NOON + 2 * HOUR + sign_ins.KEPT, NOON + HOUR)  # fmt: skip
    with writing(catalog) as connection:
        sign_ins.add_sign_in(connection, late)
    assert (got(catalog, "sgn_1"), got(catalog, "sgn_late")) == (None, late)


def test_a_message_is_taken_once_until_it_is_forgotten(
    catalog: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def take(*digests: bytes, now: int = NOON) -> bool:
        with writing(catalog) as connection:
            return sign_ins.take_messages(connection, digests, now + HOUR, now)

    assert take(b"a", b"b")
    assert not take(b"b")
    # with one of them known, none is taken
    assert not take(b"c", b"a")
    assert take(b"c")
    assert take(b"a", now=NOON + HOUR)
    monkeypatch.setattr(sign_ins, "MAX_MESSAGES", 2)
    assert take(b"d", now=NOON + HOUR)
    with pytest.raises(TooManyMessages):
        take(b"e", now=NOON + HOUR)
