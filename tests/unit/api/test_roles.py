"""Who may call what: one row a route, and a route without a row fails."""

from typing import Any

import pytest
from fastapi.routing import APIRoute

from bodycam.api.app import RESOURCES
from tests.unit.api.world import World

# route -> body, then the status for: nobody, a run credential, another member, the starter, auditor, admin
NEW = {"agent": "billing-bot"}
END = {"exit_code": 0, "wait": 0}
TABLE: dict[tuple[str, str], tuple[Any, tuple[int, int, int, int, int, int]]] = {
    ("GET", "/healthz"): (None, (200, 200, 200, 200, 200, 200)),
    ("GET", "/readyz"): (None, (503, 503, 503, 503, 503, 503)),
    ("GET", "/metrics"): (None, (200, 200, 200, 200, 200, 200)),
    ("GET", "/v1/gateway"): (None, (401, 401, 200, 200, 200, 200)),
    ("GET", "/v1/targets"): (None, (401, 401, 200, 200, 200, 200)),
    ("GET", "/v1/agents"): (None, (401, 401, 200, 200, 200, 200)),
    ("POST", "/v1/runs"): (NEW, (401, 401, 201, 201, 201, 201)),
    ("GET", "/v1/providers"): (None, (200, 200, 200, 200, 200, 200)),
    ("GET", "/v1/whoami"): (None, (401, 401, 200, 200, 200, 200)),
    ("GET", "/v1/runs"): (None, (401, 401, 200, 200, 200, 200)),
    ("GET", "/v1/runs/{run}"): (None, (401, 401, 404, 200, 200, 200)),
    ("POST", "/v1/runs/{run}/renew"): ({}, (401, 401, 404, 200, 403, 200)),
    ("POST", "/v1/runs/{run}/end"): (END, (401, 401, 404, 200, 403, 200)),
    ("POST", "/v1/runs/{run}/revoke"): ({}, (401, 401, 404, 200, 403, 200)),
    ("GET", "/v1/sessions"): (None, (401, 401, 200, 200, 200, 200)),
    ("GET", "/v1/sessions/{session}"): (None, (401, 401, 404, 200, 200, 200)),
    ("POST", "/v1/sessions/{session}/kill"): ({}, (401, 401, 404, 200, 403, 200)),
    ("GET", "/v1/sessions/{session}/transcript"): (None, (401, 401, 404, 200, 200, 200)),
    ("POST", "/v1/runs/{run}/evidence"): (None, (401, 401, 403, 403, 200, 200)),
    ("GET", "/v1/exchanges"): (None, (401, 401, 200, 200, 200, 200)),
    ("GET", "/v1/search"): (None, (401, 401, 200, 200, 200, 200)),
    ("GET", "/v1/leaks"): (None, (401, 401, 200, 200, 200, 200)),
    ("GET", "/v1/leaks/sessions"): (None, (401, 401, 200, 200, 200, 200)),
    ("POST", "/v1/hunts"): ({"detectors": ["pii"]}, (401, 401, 403, 403, 200, 200)),
    ("GET", "/v1/tail"): (None, (401, 401, 200, 200, 200, 200)),
    ("POST", "/v1/verify"): (None, (401, 401, 403, 403, 200, 200)),
    ("GET", "/v1/ledger/head"): (None, (401, 401, 200, 200, 200, 200)),
    ("GET", "/v1/ledger/consistency"): (None, (401, 401, 200, 200, 200, 200)),
    ("GET", "/v1/audit"): (None, (401, 401, 403, 403, 200, 200)),
    ("GET", "/v1/service-accounts"): (None, (401, 401, 403, 403, 200, 200)),
    ("POST", "/v1/service-accounts"): ({"name": "fresh"}, (401, 401, 403, 403, 403, 201)),
    ("POST", "/v1/service-accounts/{name}/keys"): (None, (401, 401, 403, 403, 403, 201)),
    ("DELETE", "/v1/service-accounts/{name}/keys/{key}"): (None, (401, 401, 403, 403, 403, 404)),
    ("POST", "/v1/service-accounts/{name}/disable"): (None, (401, 401, 403, 403, 403, 200)),
    ("GET", "/v1/approvals"): (None, (401, 401, 200, 200, 200, 200)),
    ("GET", "/v1/approvals/{approval}"): (None, (401, 401, 404, 200, 200, 200)),
    ("POST", "/v1/legal-holds"): ({"agent": "a", "reason": "r"}, (401, 401, 403, 403, 403, 201)),
    ("GET", "/v1/legal-holds"): (None, (401, 401, 403, 403, 200, 200)),
    ("POST", "/v1/legal-holds/{hold}/release"): ({"reason": "r"}, (401, 401, 403, 403, 403, 404)),
    ("POST", "/v1/redactions"): ({}, (401, 401, 403, 403, 403, 422)),
    ("GET", "/v1/retention/plan"): (None, (401, 401, 403, 403, 200, 200)),
    ("POST", "/v1/retention/apply"): ({}, (401, 401, 403, 403, 403, 200)),
    # all of these callers are services, and only people decide
    ("POST", "/v1/approvals/{approval}/approve"): ({}, (401, 401, 404, 403, 403, 403)),
    ("POST", "/v1/approvals/{approval}/deny"): ({"reason": "no"}, (401, 401, 404, 403, 403, 403)),
    ("POST", "/v1/sign-ins"): ({"code": "none", "verifier": "v" * 43}, (401,) * 6),
    ("GET", "/v1/sign-ins"): (None, (401, 401, 200, 200, 200, 200)),
    ("DELETE", "/v1/sign-ins/{sign_in}"): (None, (401, 401, 404, 404, 404, 404)),
    # pages are for browsers: no bearer makes a difference
    ("GET", "/sign-in"): (None, (200,) * 6),
    ("GET", "/sign-in/start"): (None, (422,) * 6),
    ("GET", "/sign-in/finish"): (None, (422,) * 6),
    ("POST", "/sign-in/command"): (None, (403,) * 6),
    ("POST", "/sign-out"): (None, (403,) * 6),
    ("GET", "/sign-in/style.css"): (None, (200,) * 6),
    ("GET", "/sign-in/submit.js"): (None, (200,) * 6),
    ("GET", "/sign-in/saml/{provider}/metadata"): (None, (404,) * 6),
    ("POST", "/sign-in/saml/{provider}/acs"): (None, (404,) * 6),
    ("GET", "/sign-in/saml/{provider}/logout"): (None, (404,) * 6),
    ("POST", "/sign-in/saml/{provider}/logout"): (None, (404,) * 6),
    ("GET", "/sign-in/oidc/{provider}/callback"): (None, (404,) * 6),
}
CALLERS = (None, "run", "eve", "dev", "aud", "ada")
QUERIES = {
    "/v1/gateway": {"agent": "billing-bot"},
    "/v1/ledger/consistency": {"first": 1, "second": 2},
    "/v1/leaks/sessions": {"leak": "pii.card"},
}


def test_every_route_has_its_row() -> None:
    routes = {
        (method, route.path)
        for resource in RESOURCES
        for route in resource.router.routes
        if isinstance(route, APIRoute)
        for method in route.methods
    }
    assert routes == set(TABLE)


@pytest.mark.parametrize(("method", "path"), TABLE, ids=lambda part: part)
async def test_each_role_gets_its_status(world: World, method: str, path: str) -> None:
    body, expected = TABLE[method, path]
    got = []
    if path == "/v1/tail":
        world.context.closing.set()  # the stream ends at once: only its status is looked at
    for who in CALLERS:
        started = await world.start_run()
        session = world.add_session(started["run"]["id"])
        world.archivist.events[session] = []
        world.keys["run"] = started["credential"]["secret"]
        approval = world.add_approval(started["run"]["id"], session)
        filled = path.format(
            run=started["run"]["id"],
            session=session,
            name="eve",
            key="key_none",
            approval=approval,
            hold="hld_none",
            sign_in="sgn_none",
            provider="none",
        )
        answer = await world.call(who, method, filled, json=body, params=QUERIES.get(path))
        got.append(answer.status_code)
        if answer.status_code >= 400 and path.startswith("/v1/"):
            assert set(answer.json()["error"]) == {"code", "message", "hint"}
    assert tuple(got) == expected


async def test_listings_of_a_member_hold_their_own_only(world: World) -> None:
    mine, theirs = await world.start_run("dev"), await world.start_run("eve")
    own = world.add_session(mine["run"]["id"], "dev")
    world.add_session(theirs["run"]["id"], "eve")
    runs = (await world.call("dev", "GET", "/v1/runs")).json()["runs"]
    sessions = (await world.call("dev", "GET", "/v1/sessions")).json()["sessions"]
    assert [run["id"] for run in runs] == [mine["run"]["id"]]
    assert [session["id"] for session in sessions] == [own]
    everything = (await world.call("aud", "GET", "/v1/sessions")).json()["sessions"]
    assert len(everything) == 2
    refused = await world.call("dev", "GET", "/v1/runs", params={"principal": "eve@bodycam"})
    assert refused.status_code == 403


async def test_targets_and_agents_show_what_the_caller_can_use(world: World) -> None:
    targets = (await world.call("dev", "GET", "/v1/targets")).json()["targets"]
    assert [one["name"] for one in targets] == ["orders"]
    assert targets[0]["hosts"] == ["db.internal:5432"]
    assert targets[0]["database"] == "shop"
    agents = (await world.call("dev", "GET", "/v1/agents")).json()["agents"]
    assert [(one["name"], one["targets"]) for one in agents] == [("billing-bot", ["orders"])]
    assert len((await world.call("aud", "GET", "/v1/targets")).json()["targets"]) == 2


async def test_gateway_tells_a_starter_where_to_go(world: World) -> None:
    said = (await world.call("dev", "GET", "/v1/gateway", params={"agent": "billing-bot"})).json()
    assert said["listeners"] == {"postgres": {"host": "127.0.0.1", "port": 7432, "tls": False}}
    assert (said["version"], said["ca_pem"], said["interception_ca_pem"]) == ("1.2.3", "PEM", "OTHER")
    assert [one["name"] for one in said["targets"]] == ["orders"]
    refused = await world.call("dev", "GET", "/v1/gateway", params={"agent": "root-bot"})
    assert refused.status_code == 403
