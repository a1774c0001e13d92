"""One link: nothing leaves before it is journaled, nobody is read faster than the other side takes."""

import asyncio

from bodycam.gateway.link import OUTBOX_LIMIT
from bodycam.model.event import Kind
from bodycam.session.link import AskChallenge
from tests.unit.gateway.played import PlayedJournal, PlayedServices, Stage


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
