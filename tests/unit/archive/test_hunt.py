"""What a hunt finds in one session's events, however they are cut, and what it says of it."""

from typing import Any

import cbor2
import pytest

from bodycam.archive.hunt import Found, SessionHunt
from bodycam.model.event import Event, Flavor, Kind
from bodycam.policy.detectors.matcher import Matcher
from bodycam.policy.detectors.patterns import Patterns
from bodycam.policy.masking.fingerprints import Fingerprints
from bodycam.protocols.postgres.transcript import TRANSCRIPT
from tests.playbook import wire
from tests.unit.archive.test_index import NOON, OPENED

TOKEN, OTHER = "corp_aB3dE5fG7hI9kL1mN3oP5qR7sT9uV1wX", "corp_zY3dE5fG7hI9kL1mN3oP5qR7sT9uV1wX"
PRINTS = Fingerprints(b"k" * 32)
PG = OPENED | {"target": {"name": "orders", "protocol": "pg", "labels": {}}}


@pytest.fixture(scope="module")
def matcher(tmp_path_factory: pytest.TempPathFactory) -> Matcher:
    own = {"corp": r"\bcorp_[A-Za-z0-9]{32}\b", "badge": r"\bE[0-9]{6}\b"}
    patterns = Patterns.open(tmp_path_factory.mktemp("detectors"), own, {"corp"})
    return patterns.matcher(["corp", "badge", "pii.email", "pii.nl-bsn", "secrets.private-key"])


def asked(number: int, text: str, *values: bytes, at: int = 0) -> Event:
    given = [[25, 0, value] for value in values]
    return Event(Kind.REQUEST, at or number * 100, number, ["query", text, given, {}, "statement", None, 0])


def moved(number: int, data: bytes, *, kind: Kind = Kind.TO_CLIENT, at: int = 0) -> Event:
    return Event(kind, at or number * 100 + 10, number, [int(Flavor.CHUNK), 0, data])


def done(number: int) -> Event:
    return Event(Kind.FINISH, number * 100 + 50, number, ["ok", 0, 0, 0, None, None])


def hunt(matcher: Matcher, *events: Event) -> dict[tuple[str, str], Found]:
    one = SessionHunt({"pg": TRANSCRIPT}, matcher, PRINTS)
    for event in (Event(Kind.OPENED, 0, 0, PG), *events, Event(Kind.CLOSED, 9999, 0, {"outcome": "ended"})):
        # as it comes out of a recording
        one.take("ses_a", Event(event.kind, event.at, event.exchange, cbor2.loads(cbor2.dumps(event.body))))
    return {(found.sighting.detector, found.sighting.way): found for found in one.found()}


def test_statements_values_rows_and_errors(matcher: Matcher) -> None:
    found = hunt(
        matcher,
        asked(1, f"select '{TOKEN}'", b"E123456"),
        moved(1, wire.columns(("mail", 25)) + wire.row(b"to ann@example.org") + wire.row(None)),
        moved(1, wire.error("22000", f"bad: {TOKEN}")),
        done(1),
        asked(2, "select again"),
        moved(2, wire.columns(("a", 25)) + wire.row(TOKEN.encode()) + wire.row(TOKEN.encode())),
        done(2),
    )
    sent, received = found["corp", "sent"], found["corp", "received"]
    assert (sent.sighting.first, sent.sighting.exchange, sent.sighting.started) == (NOON + 100, 1, NOON + 100)
    assert sent.sighting.secret
    assert sent.sighting.what == received.sighting.what
    assert (received.sighting.exchange, received.sighting.exchanges) == (1, 2)
    assert (sent.verb, sent.text) == ("query", "select '[bodycam:corp]'")
    assert (found["badge", "sent"].sighting.what, found["badge", "sent"].sighting.met) == ("badge", 1)
    assert found["pii.email", "received"].sighting.met == 1
    assert len(found) == 4
    assert TOKEN not in repr(found)


def test_values_in_other_forms(matcher: Matcher) -> None:
    nested = b'{"a": "x\\u0063orp_' + TOKEN[5:].encode() + b'", "b": "\\u0063' + TOKEN[1:].encode() + b'"}'
    number = wire.columns(("bsn", 25), ("other", 25)) + wire.row(b"123456782", b"123456782")
    found = hunt(
        matcher,
        asked(1, "a"),
        moved(1, wire.columns(("raw", 17)) + wire.row(b"\\x" + OTHER.encode().hex().encode())),
        done(1),
        asked(2, "b"),
        moved(2, wire.columns(("doc", 114)) + wire.row(nested)),
        done(2),
        asked(3, "c"),
        moved(3, number),
        done(3),
    )
    # the number is one by its column's name alone
    assert found["pii.nl-bsn", "received"].sighting.met == 1
    one = found["corp", "received"].sighting
    assert (one.exchange, one.exchanges) in ((1, 1), (2, 1))
    assert len(found) == 2


@pytest.mark.parametrize("way", ["received", "sent"])
@pytest.mark.parametrize("binary", [False, True])
def test_copied_data_cut_anywhere(matcher: Matcher, way: str, binary: bool) -> None:
    head = b"PGCOPY\n\xff\r\n\0" + bytes(8) if binary else b""
    line = b"1\tsome words, then " + TOKEN.encode() + (b"\0" if binary else b"\n")
    kind = Kind.TO_CLIENT if way == "received" else Kind.TO_TARGET
    for cut in range(1, len(line)):
        messages = wire.copy_data(head + line[:cut]) + wire.copy_data(line[cut:]) + wire.COPY_DONE
        for split in (len(head) + cut, len(messages) // 2):
            found = hunt(
                matcher,
                asked(1, "copy t"),
                moved(1, messages[:split], kind=kind),
                moved(1, messages[split:], kind=kind),
                done(1),
            )
            assert {where for _, where in found} == {way}, (cut, split)
            assert found["corp", way].sighting.what == PRINTS.of(_rule(matcher), TOKEN.encode())


def _rule(matcher: Matcher) -> Any:
    return matcher.find(TOKEN.encode())[0].rule


def test_many_secrets_in_one_piece_are_told_apart(matcher: Matcher) -> None:
    lines = b"".join(b"corp_%032d\n" % (number * 7919**6) for number in range(1, 2001))
    one = SessionHunt({"pg": TRANSCRIPT}, matcher, PRINTS)
    one.take("ses_a", Event(Kind.OPENED, 0, 0, PG))
    one.take("ses_a", asked(1, "copy t"))
    one.take("ses_a", moved(1, wire.copy_data(lines)))
    one.take("ses_a", done(1))
    assert len({found.sighting.what for found in one.found() if found.sighting.secret}) == 2000


def test_a_message_that_is_shown_in_part_is_counted(matcher: Matcher) -> None:
    one = SessionHunt({"pg": TRANSCRIPT}, matcher, PRINTS)
    one.take("ses_a", Event(Kind.OPENED, 0, 0, PG))
    one.take("ses_a", asked(1, "select"))
    one.take("ses_a", moved(1, wire.columns(("a", 25)) + wire.row(TOKEN.encode() + b" " * (2 << 20))))
    one.take("ses_a", done(1))
    assert one.cut == 1
    assert [found.sighting.detector for found in one.found()] == ["corp"]


def test_what_never_ends_is_bounded(matcher: Matcher) -> None:
    one = SessionHunt({"pg": TRANSCRIPT}, matcher, PRINTS)
    one.take("ses_a", Event(Kind.OPENED, 0, 0, PG))
    for number in range(1, 2000):
        one.take("ses_a", asked(number, "copy t from stdin"))
        one.take("ses_a", moved(number, wire.copy_data(TOKEN.encode()), kind=Kind.TO_TARGET))
    assert len(one._open) <= 256
    # what was held of the oldest was looked into when it gave way
    (found,) = one.found()
    assert found.sighting.exchanges > 1500


@pytest.mark.parametrize(
    "events",
    [
        [asked(1, "select")],
        [Event(Kind.OPENED, 0, 0, {})],
        [Event(Kind.OPENED, 0, 0, OPENED)],
    ],
)
def test_what_is_no_session_raises(matcher: Matcher, events: list[Event]) -> None:
    one = SessionHunt({"pg": TRANSCRIPT}, matcher, PRINTS)
    with pytest.raises((ValueError, LookupError, TypeError)):
        for event in events:
            one.take("ses_a", event)
