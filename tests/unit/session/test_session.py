"""A session's few verbs: what they decide, record and queue."""

from collections.abc import Sequence
from dataclasses import replace

from bodycam.model.event import Kind, Outcome, SessionOutcome
from bodycam.model.operation import Operation
from bodycam.model.verdict import Verdict
from bodycam.net.outbox import Outbox
from bodycam.policy.masking.sighting import Sighting
from bodycam.session.grant import grant_from_wire, grant_to_wire
from bodycam.session.session import Session
from tests.playbook.play import GRANT, Allow, Judging, MemoryJournal, NoRedaction


def raises(operation: Operation) -> Verdict:
    raise KeyError("no such fact")


class Stars:
    def redact(self, text: str) -> tuple[str, int]:
        return text.replace("hunter2", "*"), text.count("hunter2")

    def redact_bytes(self, value: bytes) -> tuple[bytes, int]:
        return value.replace(b"hunter2", b"*"), value.count(b"hunter2")

    def clean(self, text: str) -> bool:
        return not self.redact(text)[1]

    def redact_values(self, values: Sequence[bytes | None]) -> tuple[Sequence[bytes | None], int]:
        found = [(None, 0) if value is None else self.redact_bytes(value) for value in values]
        return [value for value, _ in found], sum(count for _, count in found)

    def sightings(self, texts: Sequence[str | bytes]) -> Sequence[Sighting]:
        return [Sighting("star", sum("hunter2" in str(text) for text in texts), ("ab",))]


def begin(policy: object = None, redaction: object = None) -> tuple[Session, MemoryJournal]:
    journal = MemoryJournal()
    session = Session.opened(
        GRANT,
        journal=journal,
        opening=3,
        incarnation=b"i" * 16,
        address="127.0.0.1:5",
        claims={"application_name": "psql"},
        version="0",
        policy=policy or Allow(),
        redaction=redaction or NoRedaction(),
        client=Outbox(),
        target=Outbox(),
        unsent=lambda: (0, 7),
        on_close=lambda closed: None,
    )
    return session, journal


def test_the_opening_says_who_and_holds_no_password() -> None:
    _, journal = begin()
    kind, exchange, body = journal.entries[0]

    assert (kind, exchange) == (Kind.OPENED, 0)
    assert body["principal"] == {"issuer": "bodycam", "subject": "ci", "kind": "service", "groups": ["dev"]}
    assert (body["agent"], body["target"]["name"], body["opening"]) == ("billing-bot", "orders", 3)
    assert "hunter2" not in repr(journal.entries)


def test_a_request_is_recorded_before_its_bytes_may_leave() -> None:
    session, journal = begin()
    session.request(Operation("query", "select 1"))
    session.forward(b"Q...")

    before_the_request, with_it = len(journal.entries) - 1, len(journal.entries)
    assert session.to_target.release(before_the_request) == []
    assert session.to_target.release(with_it) == [b"Q..."]


def test_a_policy_that_raises_denies() -> None:
    session, journal = begin(policy=Judging(raises))
    exchange = session.request(Operation("query", "drop table t"))

    assert not exchange.allowed
    assert journal.entries[-1][2][5][:2] == ["deny", "policy-error"]


def test_secrets_are_redacted_in_the_record_and_only_there() -> None:
    session, journal = begin(redaction=Stars())
    exchange = session.request(
        Operation("execute", "alter role a password 'hunter2'", ((25, 0, b"hunter2"),))
    )
    exchange.to_client(b"error near hunter2", recorded=b"error near *")
    exchange.finish(Outcome.ERROR, None, {"code": "42601", "message": "at hunter2"})
    session.close(SessionOutcome.ENDED, "said hunter2")

    assert journal.entries[1][2][1:3] == ["alter role a password '*'", [[25, 0, b"*"]]]
    assert journal.entries[1][2][6] == 2
    sighted = {"note": "masked", "way": "sent", "detector": "star", "count": 2, "fingerprints": "ab"}
    assert journal.entries[2] == (Kind.NOTE, exchange.number, sighted)
    assert "hunter2" not in repr(journal.entries)
    assert session.to_client.release(99) == [b"error near hunter2"]


def test_what_was_dispatched_and_never_answered_ends_unknown() -> None:
    session, journal = begin()
    exchange = session.request(Operation("query", "select pg_sleep(60)"))
    session.forward(b"Q")
    session.close(SessionOutcome.CUT, "revoked")

    assert journal.entries[-2][:2] == (Kind.FINISH, exchange.number)
    assert journal.entries[-2][2][0] == "unknown"
    assert journal.entries[-1][2] == {
        "outcome": "cut",
        "reason": "revoked",
        "exchanges": 1,
        "unsent_to_client": 0,
        "unsent_to_target": 7,
    }


def test_closing_twice_records_one_end() -> None:
    session, journal = begin()
    session.close(SessionOutcome.ENDED)
    session.close(SessionOutcome.BROKEN)

    assert [kind for kind, _, _ in journal.entries].count(Kind.CLOSED) == 1


def test_an_exchange_counts_what_it_moved() -> None:
    session, journal = begin()
    exchange = session.request(Operation("query", "copy t from stdin"))
    exchange.to_target(b"abc")
    exchange.to_client(b"12345", count=2)
    exchange.finish(Outcome.OK, "COPY 2")
    exchange.finish(Outcome.ERROR)

    assert journal.entries[-1][2] == ["ok", 2, 5, 3, "COPY 2", None]


def test_a_grant_survives_the_channel() -> None:
    refused = replace(GRANT, dial=None, proof=b"v=x")

    assert grant_from_wire(grant_to_wire(GRANT)) == GRANT
    assert grant_from_wire(grant_to_wire(refused)) == refused
