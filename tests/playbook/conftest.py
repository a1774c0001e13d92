"""A connection that is logged in, ready for queries."""

import pytest

from bodycam.protocols.postgres.machine import PostgresMachine
from bodycam.session.link import AskChallenge, AskDial, AskOpen
from tests.playbook import wire
from tests.playbook.play import CHALLENGE_CLEARTEXT, DIALLED, GRANT, Play


@pytest.fixture
def play() -> Play:
    """A fresh connection, nothing said yet."""
    return Play(PostgresMachine)


def log_in(play: Play) -> Play:
    """The shortest login: cleartext at the gateway, trust at the target."""
    play.client(wire.startup(user="token", database="orders", application_name="psql"))
    assert play.needs == [AskChallenge("token")]
    play.answer(CHALLENGE_CLEARTEXT)
    play.client(wire.message(b"p", wire.text("bcr_secret")))
    assert isinstance(play.needs[0], AskOpen)
    play.answer(GRANT)
    assert play.needs == [AskDial(GRANT.dial)]
    play.answer(DIALLED)
    play.target(wire.AUTH_OK, wire.status("server_version", "16.2"), wire.key_data(), wire.ready())
    return play


@pytest.fixture
def ready(play: Play) -> Play:
    """A connection that is logged in; what its login did is already taken."""
    log_in(play)
    play.client_gets(), play.target_sees(), play.recorded()
    return play
