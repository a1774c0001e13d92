"""What masks and redaction meet is noted with the very exchange, whatever else is under way."""

from typing import Any

import pytest

from bodycam.config import parse
from bodycam.model.event import Kind, SessionOutcome
from bodycam.policy.detectors.patterns import Patterns
from bodycam.policy.masking.fingerprints import Fingerprints
from bodycam.policy.masking.open_masking import OpenMasking
from bodycam.policy.masking.policy import Masking
from bodycam.policy.redaction import Redactor
from bodycam.protocols.postgres.machine import PostgresMachine
from tests.playbook import wire
from tests.playbook.conftest import log_in
from tests.playbook.play import Play

AWS = b"AKIAIOSFODNN7ABCDEFG"
GITHUB = b"ghp_" + b"aB3dE5fG7hI9kL1mN3oP5qR7sT9uV1wX3yZ5"
COLUMNS = wire.columns(("id", 23), ("note", 25))
SETTINGS = """
listen: {postgres: 127.0.0.1:7432}
tls: {enabled: false}
targets: {orders: {protocol: postgres, address: db:5432, user: app}}
masking: [{detect: [secrets, pii.email]}]
"""


@pytest.fixture(scope="module")
def detectors(tmp_path_factory: pytest.TempPathFactory) -> Patterns:
    return Patterns.open(tmp_path_factory.mktemp("detectors"))


@pytest.fixture
def prints() -> Fingerprints:
    return Fingerprints(b"k" * 32)


@pytest.fixture
def play(detectors: Patterns, prints: Fingerprints, tmp_path: Any) -> Play:
    settings = parse(SETTINGS, file="bodycam.yaml", folder=tmp_path)
    made = Play(
        PostgresMachine,
        masking=OpenMasking(Masking(settings, detectors, prints)),
        redaction=Redactor(matcher=detectors.matcher(["secrets", "pii.email"]), fingerprints=prints),
    )
    log_in(made)
    made.client_gets(), made.target_sees(), made.recorded()
    return made


def noted(play: Play) -> list[tuple[int, str, str, int, int]]:
    """Exchange, detector, way, count and number of fingerprints of each note, in order."""
    found = []
    for kind, exchange, body in play.journal.entries:
        if kind is Kind.NOTE and body["note"] == "masked":
            prints = str(body.get("fingerprints", ""))
            count = len(prints.split(", ")) if prints else 0
            found.append((exchange, body["detector"], body.get("way", "received"), body["count"], count))
    return found


def fingerprints(play: Play) -> set[str]:
    return {
        name
        for kind, _, body in play.journal.entries
        if kind is Kind.NOTE and body["note"] == "masked"
        for name in str(body.get("fingerprints", "")).split(", ")
        if name
    }


def test_of_several_statements_in_one_read_the_one_that_gave_it(play: Play) -> None:
    for name in ("a", "b", "c"):
        play.client(wire.parse(f"select {name}"), wire.bind(), wire.describe("P"), wire.execute())
    play.client(wire.SYNC)
    answers = [b"one", AWS, b"three"]
    play.target(
        *(
            part
            for value in answers
            for part in (wire.PARSED, wire.BOUND, COLUMNS, wire.row(b"1", value), wire.complete("SELECT 1"))
        ),
        wire.ready(),
    )
    executed = [
        number for kind, number, body in play.journal.entries if kind is Kind.REQUEST and body[0] == "execute"
    ]
    ((exchange, detector, way, count, prints),) = noted(play)

    assert exchange == executed[1]
    assert detector.startswith("secrets.aws")
    assert (way, count, prints) == ("received", 1, 1)


def test_it_is_noted_before_the_rest_of_the_result_comes(play: Play) -> None:
    play.client(wire.query("select * from t"))
    play.target(COLUMNS, wire.row(b"1", AWS))
    assert len(noted(play)) == 1
    for _ in range(5):
        play.target(wire.row(b"2", b"x " + GITHUB))
        play.target(wire.row(b"2", AWS))
    assert len(noted(play)) == 2
    play.target(wire.complete("SELECT 11"), wire.ready())

    counted = [count for _, detector, _, count, _ in noted(play) if detector.startswith("secrets.aws")]
    assert counted == [1, 5]
    assert len(fingerprints(play)) == 2


def test_what_is_sent_on_has_the_fingerprint_under_which_it_came(play: Play) -> None:
    play.client(wire.query("select * from t"))
    play.target(COLUMNS, wire.row(b"1", b"key: " + AWS), wire.complete("SELECT 1"), wire.ready())
    play.client(wire.parse("insert into u values ($1)"), wire.bind(AWS), wire.execute(), wire.SYNC)
    play.client(wire.query(f"insert into u values ('{AWS.decode()}'), ('a@example.org')"))

    ways = [(way, detector.partition("-")[0]) for _, detector, way, _, _ in noted(play)]
    assert ways == [
        ("received", "secrets.aws"),
        ("sent", "secrets.aws"),
        ("sent", "secrets.aws"),
        ("sent", "pii.email"),
    ]
    assert len(fingerprints(play)) == 1
    assert AWS not in repr(play.journal.entries).encode()


def test_what_is_copied_in_is_sent_even_if_the_copy_never_ends(play: Play) -> None:
    play.client(wire.query("copy t from stdin"))
    play.target(wire.copy_in())
    play.client(wire.copy_data(b"1\t" + AWS + b"\n"), wire.COPY_DONE)
    play.target(wire.complete("COPY 1"), wire.ready())
    play.client(wire.query("copy t from stdin"))
    play.target(wire.copy_in())
    play.client(wire.copy_data(b"1\t" + GITHUB + b"\n"))
    assert play.session is not None
    play.session.close(SessionOutcome.BROKEN)

    assert [(exchange, way) for exchange, _, way, _, _ in noted(play)] == [(2, "sent"), (3, "sent")]


def test_what_was_copied_in_before_the_target_refused_it(play: Play) -> None:
    play.client(wire.query("copy t from stdin"))
    play.target(wire.copy_in())
    play.client(wire.copy_data(b"1\t" + AWS + b"\n"))
    play.target(wire.error("22P02", "no"), wire.ready())
    play.client(wire.copy_data(b"2\t" + GITHUB + b"\n"), wire.COPY_DONE)

    # what came when its statement was over belongs to none
    assert [(exchange, way) for exchange, _, way, _, _ in noted(play)] == [(2, "sent"), (0, "sent")]


def test_errors_and_notices(play: Play) -> None:
    play.client(wire.query("select f()"))
    play.target(wire.notice("it is " + AWS.decode()))
    play.target(wire.error("22000", "bad: " + GITHUB.decode()), wire.ready())

    assert len(noted(play)) == 2
    assert len(fingerprints(play)) == 2


def test_a_password_under_its_name_is_redacted_and_no_sighting(play: Play) -> None:
    play.client(wire.query("alter role a password 'hunter2'"))

    assert noted(play) == []
