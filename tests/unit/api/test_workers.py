"""The workers' line over real channels: cuts, cancels, restarts."""

import asyncio
import time
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509

from bodycam.api.leaves import Leaves
from bodycam.gateway.control import ControlLine, NoLeaf
from bodycam.net.authority import Authority, request
from bodycam.net.channel import RemoteError, connect
from bodycam.session.link import HostKey, NoHostKey
from tests.unit.api.world import PlayedWorker, World

CSR = request("a worker").csr_pem.decode()


async def test_a_revocation_reaches_every_worker_within_two_seconds(world: World) -> None:
    started = await world.start_run()
    workers = [await world.worker(number, f"{number:02x}") for number in range(3)]
    sessions = [(await one.log_in(started["credential"]["secret"]))["grant"]["session"] for one in workers]
    begun = time.monotonic()
    path = f"/v1/runs/{started['run']['id']}/revoke"
    answer = await world.call("dev", "POST", path, json={"reason": "stolen"})
    orders = [await one.told("cut") for one in workers]
    assert time.monotonic() - begun < 2
    assert sorted(answer.json()["cut"]) == sorted(sessions)
    assert all(sorted(order["sessions"]) == sorted(sessions) for order in orders)
    assert orders[0]["reason"] == "the run was revoked: stolen"
    assert world.archivist.entered[-1][0] == "run-revoked"
    refused = await workers[0].log_in(started["credential"]["secret"])
    assert refused["refusal"]["code"] == "run-ended"
    assert refused["refusal"]["grant"]["run"]["id"] == started["run"]["id"]


async def test_a_revocation_does_not_wait_for_the_archivist(world: World) -> None:
    started = await world.start_run()
    worker = await world.worker()
    world.archivist.away = True
    answer = await world.call("ada", "POST", f"/v1/runs/{started['run']['id']}/revoke")
    assert answer.json()["run"]["state"] == "revoked"
    await worker.told("cut")
    assert world.context.trail.owed == 1
    world.archivist.away = False
    await world.context.trail.settle()
    assert world.context.trail.owed == 0
    assert world.archivist.entered[-1][3]["late"] is True


async def test_a_returning_worker_hears_what_ended_meanwhile(world: World) -> None:
    going, over, killed = [await world.start_run() for _ in range(3)]
    await world.call("dev", "POST", f"/v1/runs/{over['run']['id']}/end", json={"wait": 0})
    dead = world.add_session(killed["run"]["id"])
    answer = await world.call("dev", "POST", f"/v1/sessions/{dead}/kill", json={"reason": "odd"})
    assert answer.json() == {"session": dead, "reached": False}
    told = [
        {"session": "ses_going", "run": going["run"]["id"]},
        {"session": "ses_over", "run": over["run"]["id"]},
        {"session": "ses_unknown", "run": "run_unknown"},
        {"session": dead, "run": killed["run"]["id"]},
    ]
    worker = await world.worker(sessions=told)
    assert worker.welcome["cut"] == sorted(["ses_over", "ses_unknown", dead])
    assert world.context.workers.is_open("ses_going")


async def test_kill_cuts_one_session(world: World) -> None:
    started = await world.start_run()
    worker = await world.worker()
    session = (await worker.log_in(started["credential"]["secret"]))["grant"]["session"]
    world.add_session(started["run"]["id"], session=session)
    answer = await world.call("dev", "POST", f"/v1/sessions/{session}/kill")
    assert answer.json()["reached"] is True
    order = await worker.told("cut")
    assert (order["sessions"], order["run"]) == ([session], None)


@pytest.mark.parametrize("size", [8, 36, 260])
async def test_cancels_go_to_the_other_workers(world: World, size: int) -> None:
    here, there = await world.worker(0, "aa"), await world.worker(1, "bb")
    key = bytes(range(250, 256)).ljust(size, b"k")
    there.cancel_keys.add(key)
    here.channel.tell("cancel", {"key": key})
    assert await there.told("cancel") == {"key": key}
    assert here.orders.empty()
    await asyncio.sleep(0.05)
    assert world.context.workers.unknown_cancels == 0


@pytest.mark.parametrize("others", [0, 1, 2])
async def test_a_cancel_with_a_key_of_nobodys_is_counted_once(world: World, others: int) -> None:
    here = await world.worker(0, "00")
    for number in range(others):
        await world.worker(number + 1, f"{number + 1:02x}")
    here.channel.tell("cancel", {"key": b"nobody's"})
    async with asyncio.timeout(30):
        while not world.context.workers.unknown_cancels:
            await asyncio.sleep(0.01)
    assert world.context.workers.unknown_cancels == 1
    metrics = await world.call(None, "GET", "/metrics")
    assert "bodycam_unknown_cancels_total 1.0" in metrics.text


async def test_a_worker_that_does_not_answer_to_a_cancel_makes_nobody_suspect(world: World) -> None:
    here, gone = await world.worker(0, "aa"), await world.worker(1, "bb")
    hearing = asyncio.Event()

    async def silent(_channel: object, verb: str, _body: object) -> None:
        assert verb == "cancel"
        hearing.set()
        gone.channel.close()

    gone.channel._handler = silent
    here.channel.tell("cancel", {"key": b"somebody's"})
    async with asyncio.timeout(30):
        await hearing.wait()
    await asyncio.sleep(0.1)
    assert world.context.workers.unknown_cancels == 0


async def test_renewals_and_new_limits_are_pushed(world: World) -> None:
    started = await world.start_run(ttl=60)
    worker = await world.worker()
    await world.call("dev", "POST", f"/v1/runs/{started['run']['id']}/renew", json={"ttl": 120})
    order = await worker.told("renewed")
    assert order["run"] == started["run"]["id"]
    assert order["expires"] == pytest.approx(time.time() + 120, abs=5)
    await world.context.adopt(world.context.settings.settings)
    await worker.told("limits")
    action, _, _, detail = world.archivist.entered[-1]
    assert action == "settings"
    assert len(detail["settings"]) == 64


async def test_the_workers_certificate_is_signed(world: World) -> None:
    authority = Authority.create("test")
    world.context.workers._certify = lambda csr: authority.sign(csr, names=["localhost"])
    played = PlayedWorker()
    channel = await connect(world.folder / "control.sock", played.hear)
    world.lines.append((channel, asyncio.create_task(channel.run())))
    hello = {
        "worker": 0, "incarnation": "aa", "pid": 1, "sessions": [],
        "csr": request("listener").csr_pem.decode(),
    }  # fmt: skip
    assert (await channel.call("hello", hello))["certificate"].count("BEGIN CERTIFICATE") == 2


async def test_a_leaf_is_signed_for_one_host_of_whatever_request(world: World) -> None:
    authority = Authority.create("interception")
    world.context.workers._leaves = Leaves(authority)
    worker = await world.worker()
    csr = request("not-this.example").csr_pem.decode()
    for host, name in (("API.example.", x509.DNSName("api.example")), ("a" * 60 + ".example", None)):
        chain = (await worker.channel.call("leaf", {"host": host, "csr": csr}))["chain"]
        leaf, issuer = x509.load_pem_x509_certificates(chain.encode())
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert list(names) == [name or x509.DNSName(host)]
        assert leaf.subject.rfc4514_string() == f"CN={host.lower().removesuffix('.')[:64]}"
        assert leaf.not_valid_after_utc - leaf.not_valid_before_utc < timedelta(days=1, minutes=6)
        assert issuer == authority.certificate
        leaf.verify_directly_issued_by(authority.certificate)


@pytest.mark.parametrize(
    ("host", "csr", "code"),
    [
        ("*.example", CSR, "bad-host"),
        ("", CSR, "bad-host"),
        ("a" * 300, CSR, "bad-host"),
        ("fe80::1%eth0", CSR, "bad-host"),
        ("a.example", "", "bad-request"),
        ("a.example", CSR + " " * 5000, "bad-request"),
        ("a.example", CSR.replace("M", "N", 1), "bad-request"),
    ],
)
async def test_what_is_no_host_or_no_request_is_not_signed(
    world: World, host: str, csr: str, code: str
) -> None:
    world.context.workers._leaves = Leaves(Authority.create("interception"))
    worker = await world.worker()
    with pytest.raises(RemoteError) as caught:
        await worker.channel.call("leaf", {"host": host, "csr": csr})
    assert caught.value.code == code


async def test_a_gateway_that_intercepts_nothing_signs_nothing(world: World) -> None:
    worker = await world.worker()
    with pytest.raises(RemoteError) as caught:
        await worker.channel.call("leaf", {"host": "a.example", "csr": CSR})
    assert caught.value.code == "unknown-verb"


async def test_a_worker_s_line_carries_a_leaf_or_why_there_is_none(world: World) -> None:
    line = ControlLine(world.folder / "control.sock", PlayedOrders())  # type: ignore[arg-type]
    with pytest.raises(NoLeaf, match="starting again"):
        await line.leaf("a.example", CSR)
    world.context.workers._leaves = Leaves(Authority.create("interception"))
    running = asyncio.create_task(line.run())
    try:
        async with asyncio.timeout(30):
            await line.connected.wait()
        assert (await line.leaf("a.example", CSR)).count("BEGIN CERTIFICATE") == 2
        with pytest.raises(NoLeaf, match="neither a host's name nor an address"):
            await line.leaf("*.example", CSR)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_worker_s_line_carries_the_host_key_or_why_there_is_none(world: World) -> None:
    line = ControlLine(world.folder / "control.sock", PlayedOrders())  # type: ignore[arg-type]
    assert await line.host_key() == NoHostKey("the gateway's control process is starting again")
    running = asyncio.create_task(line.run())
    try:
        async with asyncio.timeout(5):
            await line.connected.wait()
        assert await line.host_key() == NoHostKey("the gateway's control process gives no host key")
        world.context.workers._host_key = b"the text of a key file"
        assert await line.host_key() == HostKey(b"the text of a key file")
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


class PlayedOrders:
    """A worker that says who it is, and does nothing."""

    def hello(self) -> dict[str, Any]:
        return {"worker": 0, "incarnation": "aa", "pid": 1, "sessions": [], "csr": None}

    def welcomed(self, answer: object) -> None: ...


async def test_who_said_no_hello_is_not_answered(world: World) -> None:
    played = PlayedWorker()
    channel = await connect(world.folder / "control.sock", played.hear)
    world.lines.append((channel, asyncio.create_task(channel.run())))
    with pytest.raises(RemoteError, match="hello"):
        await channel.call("challenge", {"name": "token", "secure": True, "address": ""})


async def test_a_lost_worker_has_no_sessions_left(world: World) -> None:
    started = await world.start_run()
    worker = await world.worker()
    session = (await worker.log_in(started["credential"]["secret"]))["grant"]["session"]
    worker.channel.close()
    async with asyncio.timeout(30):
        while world.context.workers.connected:
            await asyncio.sleep(0.01)
    assert not world.context.workers.is_open(session)


async def test_disabling_an_account_cuts_its_runs(world: World) -> None:
    started = await world.start_run("eve")
    worker = await world.worker()
    answer = await world.call("ada", "POST", "/v1/service-accounts/eve/disable")
    assert answer.json()["revoked"] == [started["run"]["id"]]
    assert (await worker.told("cut"))["run"] == started["run"]["id"]
    assert (await world.call("eve", "GET", "/v1/runs")).status_code == 401


async def test_what_a_run_uses_at_one_worker_is_told_to_the_others(world: World) -> None:
    one, other = [await world.worker(number, f"{number:02x}") for number in range(2)]
    one.channel.tell("used", {"run_a": [5, 100, 3]})
    assert await other.told("used") == {"run_a": [5, 100, 3]}
    other.channel.tell("used", {"run_a": [1, 0, 1], "run_b": [2, 0, 2]})
    assert await one.told("used") == {"run_a": [1, 0, 1], "run_b": [2, 0, 2]}
    third = await world.worker(3, "03")
    one.channel.tell("used", {"run_a": [6, 100, 4]})
    assert await third.told("used") == {"run_a": [7, 100, 5]}


async def test_what_a_run_used_at_a_worker_that_died_stays_counted(world: World) -> None:
    one, other = [await world.worker(number, f"{number:02x}") for number in range(2)]
    started = await world.start_run()
    run = started["run"]["id"]
    one.channel.tell("used", {run: [5, 100, 3]})
    assert await other.told("used") == {run: [5, 100, 3]}
    one.channel.close()
    third = await world.worker(3, "03")
    async with asyncio.timeout(30):
        while len(world.context.workers.connected) > 2:
            await asyncio.sleep(0.01)
    assert "grant" in await third.log_in(started["credential"]["secret"])
    assert await third.told("used") == {run: [5, 100, 0]}
