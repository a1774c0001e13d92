"""A worker between its journal's pressure, the control process's orders and its links."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

from bodycam.gateway.certificate import ListenerCertificate
from bodycam.gateway.control import NoLeaf
from bodycam.gateway.worker import Worker
from bodycam.gateway.worker_limits import WorkerLimits
from bodycam.journal.pressure import Pressure
from bodycam.model.event import Kind
from bodycam.model.target import Dial, TlsMode
from bodycam.policy.usage import UsageOfRuns
from bodycam.protocols.postgres.opening import TargetOpening
from bodycam.session.approval import ApprovalSaid, ApprovalState, ApprovalWanted
from bodycam.session.grant import Grant, Limits, Refusal, RefusalCode, Wanted
from bodycam.session.link import (
    AskCancel,
    AskChallenge,
    AskDial,
    AskHostKey,
    AskLook,
    AskOpen,
    AskUpgrade,
    CancelPassed,
    DialDone,
    HostKey,
    NoHostKey,
    UpgradeFailed,
)
from tests.playbook.play import GRANT, RUN, Allow, NoRedaction
from tests.unit.gateway.played import PlayedJournal, Relay, Stage
from tests.unit.gateway.test_nested import Carried

LIMITS = WorkerLimits(
    login_timeout=1.0, pending_logins=5, connections=3, message_size=1 << 20, drain_timeout=0.3
)


class PlayedLine:
    """The control process's side of a worker's line: what the worker told it."""

    def __init__(self) -> None:
        self.connected = asyncio.Event()
        self.connected.set()
        self.told: list[tuple[str, Any]] = []
        self.shown: list[bytes] = []
        self.ways: list[tuple[bool, bool]] = []
        self.host_keys: list[HostKey | NoHostKey] = []
        self.opened: Grant | Refusal = GRANT

    async def run(self) -> None:
        await asyncio.Event().wait()

    def tell(self, verb: str, body: Any) -> None:
        self.told.append((verb, body))

    async def approval(self, wanted: ApprovalWanted) -> ApprovalSaid:
        self.told.append(("approval", wanted))
        return ApprovalSaid("apr_1", ApprovalState.DENIED)

    async def cancel(self, key: bytes) -> None:
        self.told.append(("cancel", {"key": key}))

    async def challenge(
        self, name: str, *, secure: bool, address: str, certificate: bytes, encrypted: bool
    ) -> Refusal:
        self.shown.append(certificate)
        self.ways.append((secure, encrypted))
        return Refusal(RefusalCode.UNAVAILABLE, "away")

    async def leaf(self, host: str, csr: str) -> str:
        raise NoLeaf("away")

    async def host_key(self) -> HostKey | NoHostKey:
        return self.host_keys.pop(0)

    async def open(self, login: str, proof: bytes, wanted: Wanted) -> Grant | Refusal:
        return self.opened

    def said(self, verb: str) -> list[Any]:
        return [body for one, body in self.told if one == verb]


class House:
    """One worker with played collaborators."""

    def __init__(self) -> None:
        self.journal, self.line = PlayedJournal(), PlayedLine()
        self.stop = asyncio.Event()
        self.worker = Worker(
            1,
            journal=self.journal,  # type: ignore[arg-type]
            line=lambda worker: self.line,  # type: ignore[arg-type, return-value]
            certificate=ListenerCertificate(enabled=False),
            policy=Allow(),
            redaction=NoRedaction(),
            used=UsageOfRuns(),
            limits=LIMITS,
            version="test",
        )

    def link(self) -> Stage:
        """A connection; its link is the worker's own."""
        stage = Stage(self.journal, self.worker)
        self.worker._links.add(stage.link)
        return stage


@contextlib.asynccontextmanager
async def running() -> AsyncIterator[House]:
    """A worker that runs, and is told to stop at the end."""
    house = House()
    task = asyncio.create_task(house.worker.run(house.stop))
    await asyncio.sleep(0.05)
    try:
        yield house
    finally:
        house.stop.set()
        async with asyncio.timeout(30):
            await task
    assert house.journal.closed


def refusal(house: House) -> str:
    said = house.worker.admit()
    assert said is not None
    return said


async def until(true: Callable[[], object]) -> None:
    """Wait for what one of the worker's next ticks does."""
    async with asyncio.timeout(30):
        while not true():
            await asyncio.sleep(0.01)


async def test_a_journal_that_fills_up_slows_down_then_refuses_then_ends() -> None:
    async with running() as house:
        stage = house.link()
        session = stage.open()
        assert house.worker.admit() is None

        house.journal.pressure = Pressure.THROTTLE
        # slowly, which is not never: a session that stood still would not say why
        for reading in (False, True, False, True):
            await until(lambda: stage.reading == (reading, reading))  # noqa: B023
        assert house.worker.admit() is None

        house.journal.pressure = Pressure.REFUSE
        await until(house.worker.admit)
        assert refusal(house) == "the gateway's journal is nearly full"
        assert not session.closed

        house.journal.pressure = Pressure.FULL
        await until(lambda: session.closed)
        assert stage.client.written == [b"cut: the gateway's journal is full"]
        assert house.journal.kinds[-1] is Kind.CLOSED
        assert house.line.said("closed") == [{"session": session.grant.session}]


async def test_reading_goes_on_when_the_journal_has_room_again() -> None:
    async with running() as house:
        stage = house.link()
        stage.open()
        house.journal.pressure = Pressure.THROTTLE
        await until(lambda: stage.reading == (False, False))
        house.journal.pressure = Pressure.CLEAR
        await until(lambda: stage.reading == (True, True))
        await asyncio.sleep(0.3)
        assert stage.reading == (True, True)
        stage.link.cut("over")


async def test_a_worker_whose_journal_has_failed_ends_to_be_replaced() -> None:
    house = House()
    task = asyncio.create_task(house.worker.run(house.stop))
    await asyncio.sleep(0.05)
    stage = house.link()
    stage.open()

    house.journal.broken, house.journal.pressure = "input/output error", Pressure.FULL
    async with asyncio.timeout(30):
        await task

    assert stage.client.written == [b"farewell: the gateway can't record and stops this session"]
    assert stage.target.written == []


async def test_so_many_connections_and_no_more() -> None:
    house = House()
    stages = [house.link() for _ in range(3)]
    assert refusal(house) == "the gateway has too many connections"

    stages[0].link.cut("over")
    assert house.worker.admit() is None
    for stage in stages:
        stage.link.cut("over")


async def test_a_stop_waits_for_sessions_and_then_cuts_them() -> None:
    async with running() as house:
        leaves, stays = house.link(), house.link()
        leaves.open(1)
        stays.open(2)
        began = time.monotonic()
        house.stop.set()
        await asyncio.sleep(0.1)
        assert refusal(house) == "the gateway is stopping"
        leaves.client_side.connection_lost(None)

    assert time.monotonic() - began > 0.25
    assert leaves.client.written == []
    assert stays.client.written == [b"cut: the gateway is stopping"]


async def test_a_lease_is_watched_without_the_control_process() -> None:
    async with running() as house:
        short, kept = house.link(), house.link()
        run = replace(RUN, expires=time.time() + 0.4)
        short.open(1, run=run)
        kept.open(2, run=replace(run, id="run_bbbbbbbbbbbbbbbb"))
        house.worker.renewed("run_bbbbbbbbbbbbbbbb", time.time() + 60)
        await until(lambda: short.client.written)

        assert short.client.written == [b"cut: the run's lease has expired"]
        assert kept.client.written == []
        kept.link.cut("over")


async def test_a_run_that_moved_more_than_it_may_is_cut_and_no_other() -> None:
    async with running() as house:
        greedy, other = house.link(), house.link()
        greedy.open(1, limits=Limits(journal_bytes=1000))
        other.open(2, limits=Limits(journal_bytes=1000), run=replace(RUN, id="run_bbbbbbbbbbbbbbbb"))
        for stage, size in ((greedy, 1001), (other, 900)):
            stage.client_side.data_received(b"select")
            stage.target_side.data_received(bytes(size))
        await until(lambda: greedy.client.written and not greedy.client.open)

        assert b"moved as much as limits.journal_per_run allows" in greedy.client.written[-1]
        assert other.client.open
        other.link.cut("over")


@pytest.mark.parametrize("by", ["run", "session"])
async def test_an_order_cuts_what_it_names(by: str) -> None:
    house = House()
    named, other = house.link(), house.link()
    session = named.open(1)
    other.open(2, run=replace(RUN, id="run_bbbbbbbbbbbbbbbb"))

    if by == "run":
        house.worker.cut(sessions=[], run=RUN.id, reason="revoked")
    else:
        house.worker.cut(sessions=[session.grant.session], run=None, reason="revoked")

    assert (named.client.written, other.client.written) == ([b"cut: revoked"], [])
    other.link.cut("over")


async def test_a_hello_says_what_is_open_and_its_answer_cuts_what_must_end() -> None:
    house = House()
    stage = house.link()
    session = stage.open(1)

    said = house.worker.hello()
    assert said["sessions"] == [{"session": session.grant.session, "run": RUN.id}]
    assert said["incarnation"] == house.journal.incarnation.hex()
    house.worker.welcomed({"cut": [session.grant.session], "certificate": None})

    assert session.closed
    assert house.worker.hello()["sessions"] == []


async def test_a_cancel_finds_its_link_here_or_asks_the_others() -> None:
    house = House()
    stage = house.link()
    stage.link.register_cancel(b"here")

    assert await house.worker.fulfil(stage.link, AskCancel(b"here")) == CancelPassed()
    assert await house.worker.fulfil(stage.link, AskCancel(b"elsewhere")) == CancelPassed()
    assert not await house.worker.cancel_here(b"unknown")

    assert isinstance(stage.link.machine, Relay)
    assert stage.link.machine.ended == ["cancel"]
    assert await house.worker.cancel_here(b"here")
    assert house.line.said("cancel") == [{"key": b"elsewhere"}]
    stage.link.cut("over")
    await house.worker.fulfil(stage.link, AskCancel(b"here"))
    assert house.line.said("cancel")[-1] == {"key": b"here"}


async def test_a_target_that_takes_the_connection_and_says_nothing_has_its_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        house = House()
        house.worker._needs.target_openings["postgres"] = TargetOpening
        stage = house.link()
        stage.open(1)
        dial = Dial("127.0.0.1", silent.getsockname()[1], "app", "db", None, TlsMode.DISABLE, None, 0.2)

        assert await house.worker.fulfil(stage.link, AskDial(dial)) == DialDone(secure=False)
        await until(lambda: stage.client.written)

    assert stage.client.written == [b"cut: the target did not finish the login within 0.2 s"]


async def test_a_login_that_was_finished_is_not_cut_by_the_target_s_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as talking:
        house = House()
        house.worker._needs.target_openings["postgres"] = TargetOpening
        stage = house.link()
        stage.open(1)
        dial = Dial("127.0.0.1", talking.getsockname()[1], "app", "db", None, TlsMode.DISABLE, None, 0.2)

        await house.worker.fulfil(stage.link, AskDial(dial))
        stage.link.ready()
        await asyncio.sleep(0.3)

        assert stage.client.written == []
        stage.link.cut("over")
        await asyncio.sleep(0.05)


async def test_a_target_that_is_dialled_after_the_login_owes_none() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        house = House()
        house.worker._needs.target_openings["postgres"] = TargetOpening
        stage = house.link()
        stage.open(1)
        stage.link.ready()
        dial = Dial("127.0.0.1", silent.getsockname()[1], "app", "db", None, TlsMode.DISABLE, None, 0.2)

        for _ in range(2):
            stage.link.drop_target()
            await house.worker.fulfil(stage.link, AskDial(dial))
        await asyncio.sleep(0.4)

        assert stage.client.written == []
        stage.link.cut("over")
        await asyncio.sleep(0.05)


async def test_who_asks_for_tls_hears_why_there_is_no_certificate() -> None:
    house = House()
    stage = house.link()
    said = await house.worker.fulfil(stage.link, AskUpgrade("a.example"))

    assert said == UpgradeFailed("away")
    assert stage.client.open
    stage.link.cut("over")


async def test_openings_are_numbered_without_a_gap() -> None:
    house = House()
    numbers = []
    for number in range(1, 4):
        stage = house.link()
        numbers.append(stage.open(number).record.opening)
        stage.link.cut("over")

    assert numbers == [1, 2, 3]


async def test_the_certificate_that_a_client_showed_goes_to_the_control_process_with_its_name() -> None:
    house = House()
    shown = house.worker.make_link(Relay, "127.0.0.1:9", True, b"in DER")
    other = house.worker.make_link(Relay, "127.0.0.1:9", True)

    for link in (other, shown, shown):
        await house.worker.fulfil(link, AskChallenge("run_x"))
    # a link may have one login after another
    assert house.line.shown == [b"", b"in DER", b"in DER"]
    gone = house.worker.make_link(Relay, "127.0.0.1:9", True, b"in DER")
    for link in (shown, other, gone):
        link.cut("over")
    assert house.worker._needs.shown == {}


async def test_what_a_client_proved_in_its_own_protocol_goes_before_what_tls_showed() -> None:
    house = House()
    shown = house.worker.make_link(Relay, "192.0.2.1:9", False, b"in DER")

    await house.worker.fulfil(shown, AskChallenge("", certificate=b"of SSH", encrypted=True))
    await house.worker.fulfil(shown, AskChallenge("run_x"))
    assert house.line.shown == [b"of SSH", b"in DER"]
    assert house.line.ways == [(True, True), (False, False)]
    shown.cut("over")


async def test_who_comes_within_a_link_is_encrypted_and_ends_with_it_for_the_same_reason() -> None:
    house = House()
    outer = house.worker.make_link(Relay, "192.0.2.1:9", False)
    for _ in range(2):
        assert house.worker.nest(outer, Relay, Carried()) is not None
    first, second = outer.within._links

    await house.worker.fulfil(second, AskChallenge("token/bot"))
    assert house.line.ways == [(True, True)]
    # there is no socket of its own that TLS could begin on
    assert isinstance(await house.worker.fulfil(second, AskLook()), UpgradeFailed)
    first.cut("over")
    assert house.worker.nest(outer, Relay, Carried()) is not None
    assert outer.within._links[0] is second
    outer.cut("enough")
    assert [one.finished for one in outer.within._links] == [True, True]


async def test_the_host_key_is_asked_for_until_it_comes_and_then_known() -> None:
    house, stage = House(), House().link()
    house.line.host_keys = [NoHostKey("away"), HostKey(b"a key")]
    said = [await house.worker.fulfil(stage.link, AskHostKey()) for _ in range(3)]

    assert said == [NoHostKey("away"), HostKey(b"a key"), HostKey(b"a key")]
    assert "a key" not in repr(said)
    stage.link.cut("over")


@pytest.mark.parametrize("decided", ["granted", "refused"])
async def test_a_client_that_left_while_it_was_decided_is_on_the_record_if_it_is_known(decided: str) -> None:
    house = House()
    stage = house.link()
    no = Refusal(RefusalCode.NOT_ALLOWED, "no", grant=replace(GRANT, dial=None))
    house.line.opened = GRANT if decided == "granted" else no
    stage.client_side.connection_lost(None)

    await house.worker.fulfil(stage.link, AskOpen("login", b"proof", Wanted("postgres", "orders", None, "a")))

    assert house.journal.kinds == [Kind.OPENED, Kind.CLOSED]
    assert house.journal.committed == 2
    assert house.line.said("closed") == [{"session": GRANT.session}]
    assert house.worker.hello()["sessions"] == []


async def test_a_client_that_left_and_is_not_known_is_on_no_record() -> None:
    house = House()
    stage = house.link()
    house.line.opened = Refusal(RefusalCode.BAD_CREDENTIAL, "no")
    stage.client_side.connection_lost(None)

    await house.worker.fulfil(stage.link, AskOpen("login", b"proof", Wanted("postgres", "orders", None, "a")))
    assert house.journal.kinds == []


async def test_refusals_are_counted_by_their_reason() -> None:
    house = House()
    stage = house.link()

    await house.worker.fulfil(stage.link, AskChallenge("run_x"))

    assert house.worker.stats()["refused_unavailable"] == 1
    assert house.worker.stats()["links"] == 1
    stage.link.cut("over")
    assert GRANT.session not in repr(house.worker.stats())


async def test_who_waits_for_people_is_woken_by_a_decision_and_by_a_line_that_is_back() -> None:
    house, woken = House(), list[str]()
    for name in ("apr_1", "apr_2"):
        house.worker.decided.await_decision(name, lambda name=name: woken.append(name))  # type: ignore[misc]
    house.worker.decided("apr_1")
    assert woken == ["apr_1"]
    house.worker.welcomed({"cut": [], "certificate": None})
    assert woken == ["apr_1", "apr_2"]
    house.worker.welcomed({"cut": [], "certificate": None})
    assert woken == ["apr_1", "apr_2"]
