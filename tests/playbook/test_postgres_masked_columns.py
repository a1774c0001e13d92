"""Masks by column: nothing is asked of a target before it is known what is masked there."""

from collections.abc import Mapping, Sequence

import pytest

from bodycam.model.column import Column
from bodycam.model.event import Kind
from bodycam.model.operation import Operation
from bodycam.model.relation import Relations
from bodycam.policy.masking.open_masks import Copier, Copiers, Screens
from bodycam.protocols.postgres import backend
from bodycam.protocols.postgres.lookup import Lookup
from bodycam.protocols.postgres.machine import PostgresMachine
from bodycam.session.link import AskChallenge, AskDial, AskErrand, AskOpen, ErrandDone
from bodycam.session.masks import Sighting
from tests.playbook import wire
from tests.playbook.play import CHALLENGE_CLEARTEXT, DIALLED, GRANT, Play

NAMES = (("customers", "ssn"),)


class ByName:
    """Wants names looked up whenever it is told to, and hushes what is said of `ssn`."""

    by_name, keeps_rows, keeps_parameters = True, True, True

    def __init__(self) -> None:
        self.stale, self.lasting, self.version = True, False, 0
        self.learned: list[Relations] = []

    def open(self, target: str, labels: Mapping[str, str], database: str, effects: object) -> "ByName":
        assert (target, database) == ("orders", "orders")
        return self

    def wanted(self) -> Sequence[Sequence[str]] | None:
        return NAMES if self.stale else None

    def learn(self, found: Relations) -> None:
        self.learned.append(found)
        self.stale, self.lasting, self.version = False, True, self.version + 1

    def screens(self, columns: Sequence[Column], operation: Operation | None) -> Screens | None:
        return None

    def copied(self, columns: int, operation: Operation | None, *, binary: bool) -> Copiers | None:
        assert operation is not None
        hidden = Copier(None, lambda values: {1: None}) if binary else None
        return Copiers(hidden, None)

    def repeats(self, operation: Operation | None) -> bool:
        return True

    def hushed(self, operation: Operation | None) -> bool:
        return operation is not None and "ssn" in operation.text

    def copied_in(self) -> None:
        return None

    def said(self, text: str) -> str:
        return text

    def sightings(self) -> Sequence[Sighting]:
        return ()


@pytest.fixture
def masks() -> ByName:
    return ByName()


@pytest.fixture
def play(masks: ByName) -> Play:
    """A connection whose target has let the gateway in."""
    play = Play(PostgresMachine, masking=masks)
    play.client(wire.startup(user="token", database="orders"))
    assert play.needs == [AskChallenge("token")]
    play.answer(CHALLENGE_CLEARTEXT)
    play.client(wire.message(b"p", wire.text("bcr_secret")))
    assert isinstance(play.needs[0], AskOpen)
    play.answer(GRANT)
    assert play.needs == [AskDial(GRANT.dial)]
    play.answer(DIALLED)
    play.target(wire.AUTH_OK, wire.status("server_version", "16.2"), wire.key_data(), wire.ready())
    return play


def found(play: Play, newest: int = 7) -> None:
    """The look-up comes back."""
    need = play.needs[0]
    assert isinstance(need, AskErrand)
    assert isinstance(need.errand, Lookup)
    need.errand.begun(False, b"")
    need.errand.receive(wire.AUTH_OK + wire.ready())
    need.errand.receive(wire.columns(("max", 20)) + wire.row(b"%d" % newest) + wire.ready())
    play.answer(ErrandDone())


def test_the_client_is_let_in_once_it_is_known_what_is_masked(play: Play, masks: ByName) -> None:
    assert not play.is_ready
    assert b"Z" not in play.client_gets()
    # what the target says meanwhile is kept
    play.target(wire.notice("meanwhile"))
    found(play)
    assert play.is_ready
    assert masks.learned == [Relations(newest=7)]
    got = play.client_gets()
    assert got.endswith(wire.ready() + wire.notice("meanwhile"))


def test_without_an_answer_nobody_is_let_in(play: Play) -> None:
    play.client_gets()
    play.answer(ErrandDone("the target did not answer in time"))
    assert play.closed
    said = backend.error_map(play.client_gets())
    assert (said["severity"], said["code"]) == ("FATAL", "57P03")
    assert said["message"] == (
        "target orders: the masked columns can't be looked up: the target did not answer in time"
    )


def test_a_look_up_that_was_not_done_to_its_end_is_no_answer(play: Play, masks: ByName) -> None:
    play.client_gets()
    play.answer(ErrandDone())
    assert play.closed
    assert masks.learned == []
    assert "not done to its end" in backend.error_map(play.client_gets())["message"]


def test_what_the_client_sends_waits_for_a_look_up_that_is_due(play: Play, masks: ByName) -> None:
    found(play)
    play.client_gets(), play.target_sees(), play.recorded()
    masks.stale = True
    play.client(wire.query("select 1"))
    assert play.target_sees() == b""
    assert play.recorded() == [], "what was not judged yet is not on record either"
    play.client(wire.query("select 2"))
    found(play, 8)
    assert play.target_sees() == wire.query("select 1") + wire.query("select 2")
    assert masks.learned == [Relations(newest=7), Relations(newest=8)]


def test_a_look_up_that_fails_is_noted_and_what_is_known_goes_on_for_a_while(
    play: Play, masks: ByName
) -> None:
    found(play)
    play.recorded(), play.target_sees()
    masks.stale = True
    play.client(wire.query("select 1"))
    masks.stale = False
    play.answer(ErrandDone("too many connections"))
    notes = [body for kind, _, body in play.recorded() if kind is Kind.NOTE]
    assert notes == [{"note": "masked-columns-unknown", "reason": "too many connections"}]
    assert play.target_sees() == wire.query("select 1")


def test_once_nothing_known_lasts_the_session_ends(play: Play, masks: ByName) -> None:
    found(play)
    play.client_gets(), play.target_sees()
    masks.stale, masks.lasting = True, False
    play.client(wire.query("select 1"))
    play.answer(ErrandDone("too many connections"))
    assert play.closed
    assert play.target_sees() == b""
    assert b"masked columns can't be looked up: too many connections" in play.client_gets()


def test_a_client_that_leaves_meanwhile_has_asked_for_nothing(play: Play, masks: ByName) -> None:
    found(play)
    play.target_sees()
    masks.stale = True
    play.client(wire.query("delete from t"))
    assert play.machine.client_gone() is False
    play.answer(ErrandDone())
    assert play.target_sees() == wire.TERMINATE


def test_errors_that_may_quote_a_value_are_hushed(play: Play, masks: ByName) -> None:
    found(play)
    play.client_gets(), play.recorded()
    secret = wire.error("22P02", 'invalid input syntax for type integer: "123-45-6789"')
    play.client(wire.query("select ssn::int from customers"))
    play.target(secret, wire.ready())
    assert b"123-45-6789" not in play.client_gets()
    assert "123-45-6789" not in str(play.recorded())
    play.client(wire.query("select name::int from customers"))
    play.target(secret, wire.ready())
    assert secret in play.client_gets()


def test_fields_of_a_binary_copy_become_null(play: Play, masks: ByName) -> None:
    found(play)
    play.client_gets(), play.recorded()
    play.client(wire.query("copy customers to stdout binary"))
    header = b"PGCOPY\n\xff\r\n\0" + bytes(4) + b"\0\0\0\x03ext"
    one = b"\0\x02" + b"\0\0\0\x01a" + b"\0\0\0\x06secret"
    end = b"\xff\xff"
    play.target(
        wire.message(b"H", b"\x01\0\x02\0\x01\0\x01"),
        wire.copy_data(header + one),
        wire.copy_data(one),
        wire.copy_data(end),
        wire.COPY_DONE,
    )
    null = b"\0\x02" + b"\0\0\0\x01a" + b"\xff\xff\xff\xff"
    got = play.client_gets()
    assert b"secret" not in got
    assert wire.copy_data(header + null) + wire.copy_data(null) + wire.copy_data(end) in got
    assert "secret" not in str(play.recorded())


def test_a_binary_copy_that_lies_about_its_fields_ends_the_session(play: Play) -> None:
    found(play)
    play.client(wire.query("copy customers to stdout binary"))
    play.target(wire.message(b"H", b"\x01\0\x02\0\x01\0\x01"), wire.copy_data(b"\0\x02\0\0\0\x09secret"))
    assert play.closed
    assert b"secret" not in play.client_gets()
