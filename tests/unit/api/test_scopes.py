"""Scopes of API keys: what each lets a key do, and that no key gets more than the one that issued it."""

from typing import Any

from bodycam.api.scopes import NEEDED
from bodycam.identity.scopes import Scope
from tests.unit.api.world import World

GATEWAY = "/v1/gateway?agent="


async def key(world: World, account: str, *scopes: str, by: str = "ada", **more: Any) -> str:
    """Issues a key that `World.call` then knows by its scopes."""
    body = {"scopes": list(scopes), **more}
    answer = await world.call(by, "POST", f"/v1/service-accounts/{account}/keys", json=body)
    assert answer.status_code == 201, answer.text
    assert answer.json()["scopes"] == sorted(scopes)
    world.keys[name := f"{account}:{' '.join(scopes)}"] = answer.json()["key"]
    return name


async def code(world: World, who: str, method: str, path: str, **more: Any) -> str | int:
    """The error's code, or the status of what went well."""
    answer = await world.call(who, method, path, **more)
    return str(answer.json()["error"]["code"]) if answer.status_code >= 400 else answer.status_code


async def test_each_scope_opens_its_own_routes_and_no_others_even_to_an_admin(world: World) -> None:
    world.context.closing.set()  # streams end at once
    ids = dict.fromkeys(("run", "session", "approval", "name", "key", "hold", "sign_in"), "none")
    for scope in Scope:
        who = await key(world, "ada", scope)
        for (method, path), needed in NEEDED.items():
            answer = await world.call(who, method, path.format(**ids))
            refused = answer.status_code == 403 and answer.json()["error"]["code"] == "out-of-scope"
            assert refused == (needed not in (None, scope)), (scope, method, path, answer.text)
            if refused:
                said = answer.json()["error"]["message"]
                assert said == f"this API key has scopes {scope}, and this needs scope {needed}"


async def test_a_scope_gives_nothing_that_the_account_has_not(world: World) -> None:
    who = await key(world, "eve", *Scope)
    assert await code(world, who, "GET", "/v1/audit") == "forbidden"
    assert await code(world, who, "GET", "/v1/service-accounts") == "forbidden"
    assert await code(world, who, "POST", "/v1/runs", json={"agent": "root-bot"}) == "may-not-start"


async def test_a_key_for_one_agent_touches_runs_of_that_agent_only(world: World) -> None:
    who = await key(world, "ada", "runs:root-bot")
    own = (await world.start_run(who, "root-bot"))["run"]["id"]
    other = (await world.start_run("ada"))["run"]["id"]
    session = world.add_session(other, "ada")
    assert await code(world, who, "GET", f"{GATEWAY}root-bot") == 200
    assert await code(world, who, "GET", f"{GATEWAY}billing-bot") == "out-of-scope"
    assert await code(world, who, "POST", "/v1/runs", json={"agent": "billing-bot"}) == "out-of-scope"
    for what, body in (("renew", {}), ("end", {"wait": 0}), ("revoke", {})):
        assert await code(world, who, "POST", f"/v1/runs/{other}/{what}", json=body) == "out-of-scope"
    assert await code(world, who, "POST", f"/v1/sessions/{session}/kill") == "out-of-scope"
    assert await code(world, who, "POST", f"/v1/runs/{own}/renew") == 200
    assert await code(world, who, "POST", f"/v1/runs/{own}/end", json={"wait": 0}) == 200
    assert await code(world, who, "GET", "/v1/whoami") == 200
    assert await code(world, who, "GET", f"/v1/runs/{own}") == "out-of-scope"


async def test_a_key_for_runs_ends_those_of_its_account_only_even_an_admins(world: World) -> None:
    who = await key(world, "ada", "runs")
    run = (await world.start_run("dev"))["run"]["id"]
    session = world.add_session(run)
    assert await code(world, who, "POST", f"/v1/runs/{run}/revoke") == "forbidden"
    assert await code(world, who, "POST", f"/v1/sessions/{session}/kill") == "forbidden"
    mine = (await world.start_run("ada"))["run"]["id"]
    assert await code(world, who, "POST", f"/v1/runs/{mine}/revoke") == 200
    assert await code(world, "ada", "POST", f"/v1/runs/{run}/revoke") == 200


async def test_a_key_issues_none_that_may_do_more(world: World) -> None:
    who, path = await key(world, "ada", "accounts", "runs"), "/v1/service-accounts/dev/keys"
    whole = (await world.call("ada", "POST", path)).json()
    assert whole["scopes"] is None
    for body in (None, {"scopes": ["read"]}, {"scopes": ["runs", "audit"]}, {"replaces": whole["id"]}):
        assert await code(world, who, "POST", path, json=body) == "out-of-scope", body
    await key(world, "dev", "runs:billing-bot", by=who)
    await key(world, "dev", "runs", by=who, replaces=whole["id"], overlap=0)
    # for one agent is not for all
    await key(world, "ada", "accounts", "runs:a")
    assert await code(world, "ada:accounts runs:a", "POST", path, json={"scopes": ["runs"]}) == "out-of-scope"
    assert await code(world, "ada:accounts runs:a", "POST", path, json={"scopes": ["runs:a"]}) == 201


async def test_a_key_that_replaces_another_has_its_scopes_or_fewer(world: World) -> None:
    path = "/v1/service-accounts/dev/keys"
    old = (await world.call("ada", "POST", path, json={"scopes": ["runs", "read"]})).json()
    same = (await world.call("ada", "POST", path, json={"replaces": old["id"]})).json()
    assert same["scopes"] == ["read", "runs"]
    wider = {"replaces": same["id"], "scopes": ["read", "audit"]}
    assert await code(world, "ada", "POST", path, json=wider) == "scopes-wider"
    fewer = {"replaces": same["id"], "scopes": ["runs:billing-bot"]}
    made = (await world.call("ada", "POST", path, json=fewer)).json()
    world.keys["new"] = made["key"]
    said = (await world.call("new", "GET", "/v1/whoami")).json()
    assert (said["key"], said["scopes"]) == (made["id"], ["runs:billing-bot"])
    assert (await world.call("dev", "GET", "/v1/whoami")).json()["scopes"] is None
    accounts = (await world.call("ada", "GET", "/v1/service-accounts")).json()["accounts"]
    kept = [one["scopes"] for account in accounts if account["name"] == "dev" for one in account["keys"]]
    assert kept == [None, ["read", "runs"], ["read", "runs"], ["runs:billing-bot"]]
    entered = [detail for action, _, _, detail in world.archivist.entered if action == "key-issued"]
    assert entered[-1]["scopes"] == ["runs:billing-bot"]


async def test_what_is_no_scope_is_refused(world: World) -> None:
    for scopes in ([], [""], ["write"], ["runs:"], ["runs: a"], ["read:a"], ["READ"], ["runs:a\n"]):
        answer = await world.call("ada", "POST", "/v1/service-accounts/dev/keys", json={"scopes": scopes})
        assert answer.status_code == 422, answer.text
        if scopes:
            assert "expected one of read, runs, " in answer.json()["error"]["message"]
