"""Approvals from a worker's asking to its use: who may decide, what is told to whom, what is kept."""

import asyncio
import time
from typing import Any

import pytest
from sqlalchemy import update

from bodycam.api import approval_desk
from bodycam.catalog import accounts
from bodycam.catalog.engine import writing
from bodycam.catalog.tables import approvals, runs
from bodycam.identity import api_keys
from bodycam.model.identity import PrincipalKind
from bodycam.model.ids import SERVICE_ACCOUNT, new_id
from tests.unit.api.world import PlayedWorker, World

PEOPLE = {
    "dan": ["dba"],
    "dora": ["dba"],
    "pay": ["dba", "Payments"],
    "hal": ["devs", "dba"],
    "boss": ["admins"],
    "joe": ["sales"],
}


@pytest.fixture
def office(world: World) -> World:
    """A world with people in it, and a service in the group that decides."""
    with writing(world.context.catalog) as connection:
        for name, groups in (*PEOPLE.items(), ("bot", ["dba", "admins"])):
            kind = PrincipalKind.SERVICE if name == "bot" else PrincipalKind.HUMAN
            account = accounts.add_account(
                connection, id=new_id(SERVICE_ACCOUNT), name=name, groups=groups, now=1, kind=kind
            )
            issued = api_keys.issue(0.0, None)
            accounts.add_key(connection, id=issued.id, account=account.id, hash=issued.digest, now=1)
            world.keys[name] = issued.text
    return world


class Client:
    """One session on a worker, and what it asks."""

    def __init__(self, worker: PlayedWorker, run: str, session: str) -> None:
        self.worker, self.run, self.session = worker, run, session

    async def ask(self, **changes: Any) -> dict[str, Any]:
        wanted: dict[str, Any] = {
            "session": self.session,
            "run": self.run,
            "exchange": 3,
            "rule": "writes-need-a-human",
            "policy": "p1",
            "target": "orders",
            "database": "shop",
            "verb": "query",
            "text": "DROP TABLE old",
            "parameters": [],
            "by": ["dba"],
            "minimum": 1,
            "expires": 600.0,
            "binding": b"drop",
        } | changes
        return dict(await self.worker.channel.call("approval", wanted))


async def client(world: World, who: str = "dev", number: int = 0) -> Client:
    started = await world.start_run(who)
    worker = await world.worker(number, f"{number:02x}")
    grant = (await worker.log_in(started["credential"]["secret"]))["grant"]
    return Client(worker, started["run"]["id"], grant["session"])


async def decide(world: World, who: str, verdict: str, approval: str, reason: str = "") -> Any:
    return await world.call(who, "POST", f"/v1/approvals/{approval}/{verdict}", json={"reason": reason})


async def entered(world: World, action: str, count: int = 1) -> list[tuple[str, str, str, dict[str, Any]]]:
    async with asyncio.timeout(30):
        while len(found := [one for one in world.archivist.entered if one[0] == action]) < count:
            await asyncio.sleep(0.01)
    return found


async def test_asked_decided_told_used_once(office: World) -> None:
    asking, other = await client(office), await office.worker(1, "01")
    said = await asking.ask()
    assert (said["state"], said["by"], said["url"]) == ("pending", ["dba"], "")
    name = said["approval"]
    assert (await asking.ask())["approval"] == name
    listed = (await office.call("dan", "GET", "/v1/approvals?state=pending")).json()["approvals"]
    assert [(one["id"], one["may_decide"], one["text"]) for one in listed] == [(name, True, "DROP TABLE old")]

    answer = await decide(office, "dan", "approve", name, "old is old")

    assert (answer.status_code, answer.json()["state"]) == (200, "approved")
    for worker in (asking.worker, other):
        assert await worker.told("decided") == {"approval": name, "state": "approved"}
    said = await asking.ask(exchange=4)
    assert (said["approval"], said["state"], said["reason"]) == (name, "approved", "old is old")
    again = await asking.ask(exchange=5)
    assert again["state"] == "pending"
    assert again["approval"] != name
    shown = (await office.call("dan", "GET", f"/v1/approvals/{name}")).json()
    assert (shown["state"], shown["exchange"], shown["may_decide"], shown["why_not"]) == (
        "used", 4, False, "you have decided already",
    )  # fmt: skip
    assert [(one["principal"], one["approve"], one["reason"]) for one in shown["votes"]] == [
        ("dan@bodycam", True, "old is old")
    ]
    ((_, actor, thing, detail),) = await entered(office, "approval-used")
    assert (actor, thing, detail["session"], detail["exchange"]) == ("dev@bodycam", name, asking.session, 4)
    ((_, actor, _, detail),) = await entered(office, "approval-approved")
    assert (actor, detail["reason"], detail["rule"]) == ("dan@bodycam", "old is old", "writes-need-a-human")
    assert len(await entered(office, "approval-asked", 2)) == 2
    events = (await office.call("ada", "GET", "/v1/audit")).json()["events"]
    assert {one["action"] for one in events} == {"approval-asked", "approval-approved", "approval-used"}
    assert all(one["leaf"] is not None for one in events)


async def test_of_two_workers_at_one_instant_one_goes_on(office: World) -> None:
    first = await client(office)
    second_worker = await office.worker(1, "01")
    renewed = await office.start_run("dev")
    grant = (await second_worker.log_in(renewed["credential"]["secret"]))["grant"]
    second = Client(second_worker, renewed["run"]["id"], grant["session"])
    name = (await first.ask())["approval"]
    await decide(office, "dan", "approve", name)
    answers = await asyncio.gather(*(one.ask() for one in (first, second) * 3))
    assert [one["approval"] for one in answers if one["state"] == "approved"] == [name]
    waiting = {one["approval"] for one in answers if one["state"] == "pending"}
    assert len(waiting) == 1
    assert name not in waiting


@pytest.mark.parametrize(
    ("who", "says"),
    [
        ("hal", "you started the run"),
        ("pay", "you answer for the agent"),
        ("bot", "bot@bodycam is a service"),
        ("boss", "none of the groups that decide here: dba"),
        ("ada", "ada@bodycam is a service"),
    ],
)
async def test_who_may_not_decide(office: World, who: str, says: str) -> None:
    asking = await client(office, "hal")
    name = (await asking.ask())["approval"]
    for verdict in ("approve", "deny"):
        answer = await decide(office, who, verdict, name, "because")
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "may-not-decide")
        assert says in answer.json()["error"]["message"]
    shown = (await office.call(who, "GET", f"/v1/approvals/{name}")).json()
    assert (shown["may_decide"], shown["votes"], shown["state"]) == (False, [], "pending")
    assert says in shown["why_not"]
    assert (await asking.ask())["state"] == "pending"


async def test_who_has_nothing_to_do_with_it_sees_nothing(office: World) -> None:
    asking = await client(office)
    name = (await asking.ask())["approval"]
    for who, seen in (("joe", 404), ("eve", 404), ("dev", 200), ("dan", 200), ("aud", 200), ("ada", 200)):
        assert (await office.call(who, "GET", f"/v1/approvals/{name}")).status_code == seen
        listed = (await office.call(who, "GET", "/v1/approvals")).json()["approvals"]
        assert [one["id"] for one in listed] == ([name] if seen == 200 else [])
    assert (await decide(office, "joe", "approve", name)).status_code == 404
    assert (await decide(office, "dan", "approve", "apr_unknown")).status_code == 404
    assert (await office.call(None, "GET", "/v1/approvals")).status_code == 401


async def test_without_groups_admins_decide_who_are_people(office: World) -> None:
    name = (await (await client(office)).ask(by=[]))["approval"]
    assert (await decide(office, "dan", "approve", name)).status_code == 404
    assert (await decide(office, "ada", "approve", name)).status_code == 403
    assert (await decide(office, "boss", "approve", name)).json()["state"] == "approved"


async def test_two_people_are_two_people(office: World) -> None:
    asking = await client(office)
    name = (await asking.ask(minimum=2))["approval"]
    assert (await decide(office, "dan", "approve", name)).json()["state"] == "pending"
    twice = await decide(office, "dan", "approve", name)
    assert (twice.status_code, twice.json()["error"]["code"]) == (409, "decided-already")
    assert (await asking.ask(minimum=2))["state"] == "pending"
    assert (await decide(office, "dora", "approve", name)).json()["state"] == "approved"
    assert (await asking.ask(minimum=2))["state"] == "approved"


async def test_a_denial_has_a_reason_that_the_worker_is_told(office: World) -> None:
    asking = await client(office)
    name = (await asking.ask())["approval"]
    for reason in ("", "  "):
        assert (await decide(office, "dan", "deny", name, reason)).status_code == 422
    assert (await office.call("dan", "POST", f"/v1/approvals/{name}/deny")).status_code == 422
    assert (await decide(office, "dan", "deny", name, "not on a Friday")).json()["state"] == "denied"
    assert (await asking.worker.told("decided"))["state"] == "denied"
    said = await asking.ask()
    assert (said["approval"], said["state"], said["reason"]) == (name, "denied", "not on a Friday")
    late = await decide(office, "dora", "approve", name)
    assert (late.status_code, late.json()["error"]["code"]) == (409, "not-pending")
    ((_, actor, thing, detail),) = await entered(office, "approval-denied")
    assert (actor, thing, detail["reason"]) == ("dan@bodycam", name, "not on a Friday")


async def test_while_the_archivist_is_away_nothing_is_approved_and_everything_can_be_denied(
    office: World,
) -> None:
    asking = await client(office)
    name = (await asking.ask())["approval"]
    await entered(office, "approval-asked")
    office.archivist.away = True
    assert (await decide(office, "dan", "approve", name)).status_code == 503
    assert (await asking.ask())["state"] == "pending"
    assert (await decide(office, "dora", "deny", name, "no")).status_code == 200
    assert (await asking.ask())["state"] == "denied"
    assert office.context.trail.owed == 1


@pytest.mark.parametrize("how", ["ended", "revoked", "lease", "disabled"])
async def test_a_run_that_is_over_uses_nothing(office: World, how: str) -> None:
    asking = await client(office)
    name = (await asking.ask())["approval"]
    await decide(office, "dan", "approve", name)
    path = f"/v1/runs/{asking.run}"
    match how:
        case "ended":
            # the worker has not heard of it: its session is open still
            ending = office.call("dev", "POST", f"{path}/end", json={"wait": 0})
        case "revoked":
            ending = office.call("dev", "POST", f"{path}/revoke")
        case "disabled":
            ending = office.call("ada", "POST", "/v1/service-accounts/dev/disable")
        case _:
            ending = office.call("dev", "GET", path)
            with writing(office.context.catalog) as connection:
                connection.execute(update(runs).where(runs.c.id == asking.run).values(expires=1))
    assert (await ending).status_code == 200
    said = await asking.ask()
    assert (said["approval"], said["state"]) == ("", "denied")
    assert "run has ended" in said["reason"]
    shown = (await office.call("dan", "GET", f"/v1/approvals/{name}")).json()
    assert shown["state"] == ("withdrawn" if how in ("revoked", "disabled") else "approved")


async def test_a_session_that_is_not_this_workers_asks_nothing(office: World) -> None:
    asking, other = await client(office), await office.worker(1, "01")
    stolen = Client(other, asking.run, asking.session)
    unknown = Client(asking.worker, asking.run, "ses_unknown")
    foreign = Client(asking.worker, "run_other", asking.session)
    for one in (stolen, unknown, foreign):
        said = await one.ask()
        assert (said["approval"], said["state"]) == ("", "denied")
        assert "session is not open" in said["reason"]
    assert (await office.call("ada", "GET", "/v1/approvals")).json()["approvals"] == []


async def test_anothers_approval_is_not_used_whatever_the_worker_says(office: World) -> None:
    asking, other = await client(office), await client(office, "hal", 1)
    await decide(office, "dan", "approve", (await asking.ask())["approval"])
    assert (await other.ask())["state"] == "pending"


@pytest.mark.parametrize(
    "changes",
    [
        {"rule": "stricter"},
        {"by": ["leads"]},
        {"minimum": 2},
        {"target": "secret"},
        {"database": "x"},
        {"binding": b"x"},
    ],
)
async def test_what_was_approved_is_not_enough_for_anything_else(office: World, changes: Any) -> None:
    asking = await client(office)
    await decide(office, "dan", "approve", (await asking.ask())["approval"])
    assert (await asking.ask(**changes))["state"] == "pending"
    assert (await asking.ask())["state"] == "approved"


async def test_an_agent_cannot_flood_people(office: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(approval_desk, "MOST_PENDING", 3)
    asking = await client(office)
    for number in range(3):
        assert (await asking.ask(binding=b"%d" % number))["state"] == "pending"
    said = await asking.ask(binding=b"more")
    assert (said["approval"], said["state"]) == ("", "denied")
    assert "asks people too often" in said["reason"]
    metrics = (await office.call(None, "GET", "/metrics")).text
    assert "bodycam_approvals_pending 3.0" in metrics
    assert "bodycam_approvals_asked_total 3.0" in metrics
    assert "bodycam_approvals_refused_total 1.0" in metrics


async def test_what_nobody_could_read_whole_is_not_asked(office: World) -> None:
    asking = await client(office)
    said = await asking.ask(text="x" * 60_000, parameters=["y" * 5_000, "z" * 5_000])
    assert (said["approval"], said["state"]) == ("", "denied")
    assert "nobody can be asked" in said["reason"]
    for changes in ({"expires": float("nan")}, {"expires": 0.0}, {"minimum": 0}, {"by": ["g"] * 101}):
        assert "can't be given" in (await asking.ask(**changes))["reason"]
    said = await asking.ask(text="with a \0 in it", expires=1e12)
    shown = (await office.call("dan", "GET", f"/v1/approvals/{said['approval']}")).json()
    assert shown["text"] == "with a \ufffd in it"
    assert shown["expires"] - shown["created"] == pytest.approx(7 * 24 * 3600, abs=1)


async def test_one_that_expired_is_asked_for_anew(office: World) -> None:
    asking = await client(office)
    name = (await asking.ask())["approval"]
    with writing(office.context.catalog) as connection:
        connection.execute(update(approvals).where(approvals.c.id == name).values(expires=1))
    late = await decide(office, "dan", "approve", name)
    assert late.json()["error"]["message"] == f"approval {name} is expired"
    assert (await asking.ask())["approval"] != name
    listed = (await office.call("dan", "GET", "/v1/approvals?state=expired")).json()["approvals"]
    assert [(one["id"], one["why_not"]) for one in listed] == [(name, "it is expired")]


async def test_a_key_that_is_revoked_meanwhile_decides_nothing(office: World, monkeypatch: Any) -> None:
    asking = await client(office)
    name = (await asking.ask())["approval"]
    real = office.archivist.enter

    async def revoked_meanwhile(*given: Any) -> Any:
        with writing(office.context.catalog) as connection:
            accounts.disable_account(connection, "dan", 5)
        return await real(*given)

    monkeypatch.setattr(office.archivist, "enter", revoked_meanwhile)
    assert (await decide(office, "dan", "approve", name)).status_code == 401
    assert (await asking.ask())["state"] == "pending"


async def test_old_approvals_are_forgotten(office: World) -> None:
    asking = await client(office)
    old, young = (await asking.ask())["approval"], (await asking.ask(binding=b"2"))["approval"]
    with writing(office.context.catalog) as connection:
        long_ago = round((time.time() - 91 * 86400) * 1e6)
        connection.execute(update(approvals).where(approvals.c.id == old).values(expires=long_ago))
    await office.context.approvals.keep()
    listed = (await office.call("ada", "GET", "/v1/approvals")).json()["approvals"]
    assert [one["id"] for one in listed] == [young]


async def test_a_persons_account_is_made_by_an_admin(office: World) -> None:
    made = await office.call(
        "ada", "POST", "/v1/service-accounts", json={"name": "new", "groups": ["dba"], "kind": "human"}
    )
    assert (made.status_code, made.json()["kind"]) == (201, "human")
    key = (await office.call("ada", "POST", "/v1/service-accounts/new/keys")).json()["key"]
    office.keys["new"] = key
    assert office.archivist.entered[0][3] == {"groups": ["dba"], "kind": "human"}
    name = (await (await client(office)).ask())["approval"]
    assert (await decide(office, "new", "approve", name)).status_code == 200
    wrong = await office.call("ada", "POST", "/v1/service-accounts", json={"name": "x", "kind": "god"})
    assert wrong.status_code == 422


async def test_a_use_waits_for_the_ledger_for_a_bounded_time(
    office: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = await client(office)
    name = (await asking.ask())["approval"]
    await decide(office, "dan", "approve", name)
    monkeypatch.setattr(approval_desk, "ENTER_SECONDS", 0.2)
    real, goes_on = office.archivist.enter, asyncio.Event()

    async def slow(*given: Any) -> Any:
        await goes_on.wait()
        return await real(*given)

    monkeypatch.setattr(office.archivist, "enter", slow)
    assert (await asking.ask())["state"] == "approved"
    assert not [one for one in office.archivist.entered if one[0] == "approval-used"]
    goes_on.set()
    await entered(office, "approval-used")
