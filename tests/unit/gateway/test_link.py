"""One link: nothing leaves before it is journaled, nobody is read faster than the other side takes."""

import asyncio

import pytest

from bodycam.gateway.link import OUTBOX_LIMIT
from bodycam.gateway.transports import BACKLOG_MOST
from bodycam.model.event import Kind, SessionOutcome
from bodycam.model.target import Dial, TlsMode
from bodycam.session.link import AskChallenge, AskDial, DialDone
from tests.unit.gateway.played import PlayedJournal, PlayedServices, Stage

DIAL = Dial("db.example", 5432, "app", "db", None, TlsMode.DISABLE)


async def test_nothing_is_written_before_it_is_committed() -> None:
    stage = Stage(PlayedJournal())
    stage.open()

    stage.client_side.data_received(b"select 1")
    stage.target_side.data_received(b"one row")

    assert (stage.target.written, stage.client.written) == ([b"select 1"], [b"one row"])
    # the opening; the request before the target saw it; the row before the client did
    assert stage.target.committed == [2]
    assert stage.client.committed == [3]
    assert stage.journal.kinds == [Kind.OPENED, Kind.REQUEST, Kind.TO_CLIENT]


async def test_a_strict_journal_holds_everything_until_it_is_on_the_disk() -> None:
    journal = PlayedJournal(strict=True)
    stage = Stage(journal)
    stage.open()
    journal.on_release = stage.link.settle

    stage.client_side.data_received(b"select 1")
    stage.client_side.data_received(b"select 2")
    assert stage.target.written == []

    journal.release()
    assert b"".join(stage.target.written) == b"select 1select 2"


async def test_a_journal_that_fails_ends_the_session_and_drops_what_waited() -> None:
    stage = Stage(PlayedJournal())
    stage.open()
    stage.journal.broken = "no space left on device"

    stage.client_side.data_received(b"delete from orders")

    assert stage.target.written == []
    assert stage.client.written == [b"farewell: the gateway can't record and stops this session"]
    assert (stage.client.open, stage.target.open) == (False, False)
    assert stage.services.gone == [stage.link]
    assert stage.link.target_box.size == 0
    stage.client_side.data_received(b"delete from customers")
    stage.target_side.data_received(b"a late row")
    assert (stage.target.written, len(stage.client.written)) == ([], 1)


async def test_what_waits_for_the_disk_when_the_journal_fails_never_leaves() -> None:
    journal = PlayedJournal(strict=True)
    stage = Stage(journal)
    stage.open()
    journal.on_release = stage.link.settle
    stage.client_side.data_received(b"select 1")

    journal.broken = "fdatasync: input/output error"
    journal.release()

    assert stage.target.written == []
    assert stage.client.written == [b"farewell: the gateway can't record and stops this session"]


async def test_a_slow_peer_stops_the_reading_of_the_other_side() -> None:
    stage = Stage(PlayedJournal())
    stage.open()

    stage.client_side.pause_writing()
    assert stage.reading == (True, False)
    stage.target_side.pause_writing()
    assert stage.reading == (False, False)
    stage.client_side.resume_writing()
    stage.target_side.resume_writing()
    assert stage.reading == (True, True)


async def test_a_client_that_takes_none_of_the_gateways_own_answers_is_read_no_further() -> None:
    stage = Stage(PlayedJournal())
    stage.open()
    stage.client_side.pause_writing()

    for waiting, read in ((BACKLOG_MOST, True), (BACKLOG_MOST + 1, False)):
        stage.client.waiting = waiting
        stage.link.send_client(b"denied")
        stage.link.settle()
        assert stage.reading == (read, False)
    stage.client_side.resume_writing()
    assert stage.reading == (True, True)


async def test_reading_goes_on_when_the_last_reason_is_gone() -> None:
    stage = Stage(PlayedJournal())
    stage.link.pause("target", "journal")
    stage.client_side.pause_writing()

    stage.link.resume("target", "journal")
    assert stage.reading == (True, False)
    stage.client_side.resume_writing()
    assert stage.reading == (True, True)


async def test_a_full_outbox_stops_the_reading_until_the_disk_has_it() -> None:
    journal = PlayedJournal(strict=True)
    stage = Stage(journal)
    stage.open()
    journal.on_release = stage.link.settle
    stage.client_side.data_received(b"select")

    for _ in range(OUTBOX_LIMIT // 65536 + 1):
        stage.target_side.data_received(bytes(65536))
    assert stage.reading == (True, False)
    assert stage.client.written == []

    journal.release()
    assert stage.reading == (True, True)
    assert sum(map(len, stage.client.written)) > OUTBOX_LIMIT


async def test_a_fault_of_ours_ends_that_link_only() -> None:
    journal = PlayedJournal()
    services = PlayedServices(journal)
    bad, good = Stage(journal, services), Stage(journal, services)
    session, other = bad.open(1), good.open(2)

    bad.client_side.data_received(b"fault")
    good.client_side.data_received(b"select 1")

    assert bad.client.written == [b"farewell: the gateway failed inside (KeyError)"]
    assert (bad.target.written, bad.client.open, bad.target.open) == ([], False, False)
    assert (session.closed, other.closed) == (True, False)
    assert (good.target.written, good.client.open) == ([b"select 1"], True)


async def test_while_a_need_is_open_the_client_is_not_read() -> None:
    stage = Stage(PlayedJournal())

    stage.link.ask(AskChallenge("run_x"))
    assert stage.reading == (False, True)
    await asyncio.gather(*stage.services.tasks)

    assert (stage.machine.answers, stage.reading) == ([b"answer"], (True, True))


async def test_a_fault_behind_a_need_ends_the_link() -> None:
    stage = Stage(PlayedJournal())
    stage.services.fulfilled = ValueError("not understood")

    stage.link.ask(AskChallenge("run_x"))
    await asyncio.gather(*stage.services.tasks)

    assert stage.client.written == [b"farewell: the gateway failed inside (ValueError)"]
    assert stage.client.open is False


async def test_a_client_that_is_lost_ends_the_target_s_side_too() -> None:
    stage = Stage(PlayedJournal())
    session = stage.open()

    stage.client_side.connection_lost(ConnectionResetError())

    assert stage.machine.ended == ["client gone"]
    assert (session.closed, stage.target.open, stage.services.gone) == (True, False, [stage.link])


async def test_a_target_that_was_dropped_on_purpose_is_no_news() -> None:
    stage = Stage(PlayedJournal())
    stage.open()

    stage.link.drop_target()
    stage.target_side.connection_lost(None)

    assert stage.machine.ended == []
    assert stage.client.open is True


async def test_a_cut_says_why_and_closes_both_sides() -> None:
    stage = Stage(PlayedJournal())
    stage.open()

    stage.link.cut("the run was revoked")
    stage.link.cut("again")

    assert stage.client.written == [b"cut: the run was revoked"]
    assert (stage.client.open, stage.target.open) == (False, False)
    assert stage.services.gone == [stage.link]


async def test_a_transport_that_comes_too_late_is_dropped() -> None:
    stage = Stage(PlayedJournal())
    stage.link.cut("too slow")
    late = Stage(stage.journal).target

    stage.link.attach("target", late)

    assert late.open is False


async def test_an_answer_that_brings_another_need_leaves_the_client_unread() -> None:
    stage = Stage(PlayedJournal())
    asked: list[bool] = []

    def answer(answer: object) -> None:
        asked.append(stage.client.reading)
        if len(asked) < 3:
            stage.link.ask(AskChallenge("run_x"))

    stage.machine.answer = answer  # type: ignore[method-assign]
    stage.link.ask(AskChallenge("run_x"))
    while len(asked) < 3:
        await asyncio.sleep(0)
        assert stage.client.reading == (len(asked) == 3)
    assert (asked, stage.client.reading) == ([False] * 3, True)


async def test_a_client_that_ends_in_order_and_then_for_good_is_gone_once() -> None:
    stage = Stage(PlayedJournal())
    gone: list[str] = []
    stage.machine.client_gone = lambda: gone.append("gone") is None  # type: ignore[method-assign]

    stage.client_side.eof_received()
    stage.client_side.connection_lost(None)

    assert gone == ["gone"]
    stage.link.cut("over")


@pytest.mark.parametrize("how", ["dropped", "lost", "dialled again"])
async def test_a_slow_target_that_is_gone_holds_nobody(how: str) -> None:
    stage = Stage(PlayedJournal())
    stage.open()
    stage.target_side.pause_writing()
    assert stage.reading == (False, True)

    match how:
        case "dropped":
            stage.link.drop_target()
        case "lost":
            stage.machine.target_gone = lambda: None  # type: ignore[method-assign]
            stage.target_side.connection_lost(None)
        case _:
            stage.services.fulfilled = DialDone(secure=False)
            stage.link.ask(AskDial(DIAL))
            await asyncio.gather(*stage.services.tasks)

    assert stage.client.reading
    stage.link.cut("over")


async def test_what_one_session_lost_is_not_counted_for_the_next() -> None:
    stage = Stage(PlayedJournal())
    first = stage.open(1)
    stage.target.waiting = 7
    stage.link.drop_target()
    assert stage.link.unsent() == (0, 7)
    first.close(SessionOutcome.ENDED)

    stage.open(2)
    assert stage.link.unsent() == (0, 0)
    again = Stage(stage.journal).target
    again.waiting = 3
    stage.link.attach("target", again)
    assert stage.link.unsent() == (0, 3)
    stage.link.cut("over")


async def test_what_was_queued_for_one_target_never_reaches_the_next() -> None:
    journal = PlayedJournal(strict=True)
    stage = Stage(journal)
    journal.on_release = stage.link.settle
    stage.open()
    stage.client_side.data_received(b"for the first")

    stage.link.drop_target()
    again = Stage(journal).target
    stage.link.attach("target", again)
    journal.release()

    assert (stage.target.written, again.written) == ([], [])
    stage.link.cut("over")


async def test_a_session_that_drains_takes_the_next_one_of_its_link_not_along() -> None:
    stage = Stage(PlayedJournal())
    drained: list[str] = []
    stage.machine.drain = drained.append  # type: ignore[method-assign]
    first = stage.open(1)
    stage.link.drain("the run has ended", 0.15)
    first.close(SessionOutcome.ENDED)
    second = stage.open(2)
    await asyncio.sleep(0.4)

    assert (drained, stage.machine.ended, second.closed) == (["the run has ended"], [], False)
    stage.link.drain("this one too", 0.15)
    async with asyncio.timeout(30):
        while not second.closed:
            await asyncio.sleep(0.01)
    assert stage.machine.ended == ["this one too, and it was still at work 0.15 s later"]


async def test_what_is_queued_for_a_client_that_is_lent_waits_until_it_is_back() -> None:
    stage = Stage(PlayedJournal())
    stage.open()
    assert stage.link.lend_client() is stage.client
    stage.link.send_client(b"later")
    stage.link.settle()
    assert (stage.client.written, stage.link.waiting) == ([], True)

    back = Stage(stage.journal).client
    stage.link.attach("client", back)
    stage.link.settle()

    assert (stage.client.written, back.written) == ([], [b"later"])
    stage.client.waiting, back.waiting = 5, 2
    assert stage.link.unsent() == (7, 0)
    stage.link.cut("over")


async def test_a_slow_client_has_a_fresh_start_with_its_next_transport() -> None:
    stage = Stage(PlayedJournal())
    stage.open()
    stage.client_side.pause_writing()
    assert stage.reading == (True, False)
    stage.link.lend_client()
    stage.link.attach("client", Stage(stage.journal).client)
    assert stage.target.reading
    stage.link.cut("over")
