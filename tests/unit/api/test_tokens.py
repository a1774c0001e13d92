"""Tokens of an identity provider at the control API: whose runs they start, and what needs a fresh sign-in."""

import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bodycam.api import proof as proof_module
from bodycam.catalog import audit
from bodycam.catalog.engine import reading
from bodycam.config import parse
from bodycam.config.providers import Provider
from bodycam.identity.oidc.failure import ProviderAway
from bodycam.identity.oidc.keys import PublicKey, read_keys
from bodycam.model.event import Kind
from tests.issuer import CLIENT, ISSUER, Issuer
from tests.unit.api.world import SETTINGS, World, living

WITH_PROVIDERS = (
    SETTINGS
    + f"""
identity:
  providers:
    - {{name: corp, type: oidc, issuer: '{ISSUER}', client_id: {CLIENT}, groups: groups}}
    - name: ci
      type: oidc
      kind: workloads
      issuer: https://ci.example
      audience: [bodycam]
      workloads: [{{when: {{repository: acme/*}}, agent: billing-bot, groups: [devs]}}]
    - name: refs
      type: oidc
      kind: workloads
      issuer: https://refs.example
      subject: repository
      audience: [bodycam]
      workloads:
        - {{when: {{ref: main}}, agent: billing-bot, groups: [devs]}}
        - {{when: {{ref: "*"}}, agent: root-bot, groups: [devs, admins]}}
"""
)
ISSUED = Issuer()
CI = Issuer("https://ci.example", ISSUED.keys)
REFS = Issuer("https://refs.example", ISSUED.keys)


class Played:
    """The providers' side; `away` makes them not answer."""

    away = False

    async def keys(self, _provider: Provider) -> tuple[PublicKey, ...]:
        if self.away:
            raise ProviderAway("nobody answers")
        return read_keys(ISSUED.jwks())


@pytest.fixture
def played() -> Played:
    return Played()


@pytest.fixture
async def world(played: Played) -> AsyncIterator[World]:
    folder = Path(tempfile.mkdtemp(prefix="api"))
    try:
        async with living(folder, WITH_PROVIDERS, source=played.keys) as one:
            one.keys["ann"] = ISSUED.token()
            yield one
    finally:
        shutil.rmtree(folder)


def old(**more: Any) -> str:
    """A token that is good, of somebody who signed in an hour ago."""
    return ISSUED.token(auth_time=int(time.time()) - 3600, **more)


def error(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


async def test_a_run_that_a_token_started_has_the_persons_and_the_agents_name(world: World) -> None:
    started = (await world.start_run("ann"))["run"]
    assert (started["principal"], started["agent"], started["api_key"]) == ("ann@corp", "billing-bot", None)
    shown = await world.call("ann", "GET", f"/v1/runs/{started['id']}")
    assert shown.json()["run"]["principal"] == "ann@corp"
    assert (await world.call("eve", "GET", f"/v1/runs/{started['id']}")).status_code == 404
    worker = await world.worker()
    granted = await worker.log_in((await world.start_run("ann"))["credential"]["secret"])
    assert granted["grant"]["run"]["principal"]["subject"] == "ann", granted


async def test_whoami_says_what_a_token_proves_and_what_a_key_does(world: World) -> None:
    now = int(time.time())
    world.keys["ann"] = ISSUED.token(groups=["devs", "admins"], exp=now + 60, auth_time=now - 3)
    assert (await world.call("ann", "GET", "/v1/whoami")).json() == {
        "principal": "ann@corp", "kind": "human", "groups": ["admins", "devs"], "role": "admin",
        "roles": ["admin", "user"], "key": None, "provider": "corp", "expires": now + 60, "signed_in": now - 3,
        "fresh": True, "sign_in": None, "scopes": None,
    }  # fmt: skip
    said = (await world.call("dev", "GET", "/v1/whoami")).json()
    assert (said["principal"], said["kind"], said["provider"]) == ("dev@bodycam", "service", None)
    assert said["key"].startswith("key_")
    # of keys it is not asked, and whose sign-in was long ago, or at no time, is told so
    assert said["fresh"] is True
    for signed_in in (now - 3600, now + 3000, None):
        world.keys["ann"] = ISSUED.token(auth_time=signed_in)
        assert (await world.call("ann", "GET", "/v1/whoami")).json()["fresh"] is False


async def test_the_providers_of_people_are_told_to_anybody(world: World) -> None:
    assert (await world.call(None, "GET", "/v1/providers")).json() == {
        "providers": [
            {
                "name": "corp", "type": "oidc", "issuer": ISSUER, "client_id": CLIENT,
                "scopes": ["openid", "offline_access"], "ca_pem": None, "page": None,
            }
        ]
    }  # fmt: skip


async def test_groups_of_a_token_are_groups_here_and_nothing_else_is(world: World) -> None:
    world.keys["ann"] = ISSUED.token(groups=[])
    answer = await world.call("ann", "POST", "/v1/runs", json={"agent": "billing-bot"})
    assert error(answer) == (403, "may-not-start")
    # a name that an account has here is another principal's
    world.keys["ann"] = ISSUED.token(sub="ada", groups=["devs"])
    assert error(await world.call("ann", "GET", "/v1/audit")) == (403, "forbidden")


@pytest.mark.parametrize(
    ("token", "status", "code"),
    [
        (ISSUED.token(exp=time.time() - 1), 401, "token-expired"),
        (ISSUED.token(aud="other"), 401, "token-audience"),
        (ISSUED.token(iss="https://evil.example"), 401, "token-issuer"),
        ("eyJ.eyJ.x", 401, "token-malformed"),
        (CI.token(aud="bodycam", repository="evil/x"), 401, "token-no-workload"),
    ],
    ids=["expired", "audience", "issuer", "malformed", "no workload"],
)
async def test_a_refused_token_is_counted_in_the_audit_with_its_reason(
    world: World, token: str, status: int, code: str
) -> None:
    world.keys["ann"] = token
    for _ in range(3):
        answer = await world.call("ann", "POST", "/v1/runs", json={"agent": "billing-bot"})
        assert error(answer) == (status, code)
        assert token not in answer.text
    await world.context.trail.failed_logins(world.context.admission.failures())
    with reading(world.context.catalog) as connection:
        (event,) = audit.list_events(connection, limit=10).items
    assert (event.action, event.detail["reason"], event.detail["count"]) == ("login-failed", code, 3)


async def test_while_the_provider_is_away_tokens_are_refused_as_such_and_keys_go_on(
    world: World, played: Played
) -> None:
    played.away = True
    assert error(await world.call("ann", "GET", "/v1/runs")) == (503, "provider-away")
    assert (await world.call("dev", "GET", "/v1/runs")).status_code == 200


async def test_a_token_that_ends_while_a_run_is_being_started_starts_none(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = proof_module.hold
    monkeypatch.setattr("bodycam.api.runs.hold", lambda at, proof, now: real(at, proof, now + 22_000_000_000))
    answer = await world.call("ann", "POST", "/v1/runs", json={"agent": "billing-bot"})
    assert error(answer) == (401, "token-expired")
    assert (await world.call("ada", "GET", "/v1/runs")).json()["runs"] == []


async def test_who_lost_the_group_meanwhile_can_not_renew(world: World) -> None:
    run = (await world.start_run("ann"))["run"]["id"]
    world.keys["ann"] = ISSUED.token(groups=["devs", "more"])
    assert (await world.call("ann", "POST", f"/v1/runs/{run}/renew")).status_code == 200
    world.keys["ann"] = ISSUED.token(groups=["more"])
    assert error(await world.call("ann", "POST", f"/v1/runs/{run}/renew")) == (403, "may-not-start")
    assert (await world.call("ann", "POST", f"/v1/runs/{run}/end", json={"wait": 0})).status_code == 200


async def test_viewing_needs_a_fresh_sign_in_and_listing_does_not(world: World) -> None:
    run = (await world.start_run("ann"))["run"]["id"]
    session = world.add_session(run, "ann@corp")
    world.archivist.events[session] = [[Kind.REQUEST.value, 1, 1, ["query", "select 1"]]]
    path = f"/v1/sessions/{session}/transcript"
    with_run = await world.call("ann", "GET", f"/v1/runs/{run}")
    assert with_run.json()["sessions"][0]["id"] == session
    world.keys["ann"] = ISSUED.token(groups=["auditors"])
    assert (await world.call("ann", "GET", path)).status_code == 200
    for stale in (old(groups=["auditors"]), ISSUED.token(groups=["auditors"], auth_time=None),
                  ISSUED.token(groups=["auditors"], auth_time=time.time() + 3000),
                  ISSUED.token(groups=["auditors"], auth_time="now")):  # fmt: skip
        world.keys["ann"] = stale
        assert error(await world.call("ann", "GET", path)) == (403, "sign-in-too-old")
        assert (await world.call("ann", "GET", "/v1/sessions")).status_code == 200
    viewed = [one for one in world.archivist.entered if one[0] == "viewed"]
    assert [one[1] for one in viewed] == ["ann@corp"]


async def test_issuing_a_key_needs_a_fresh_sign_in_and_taking_one_away_does_not(world: World) -> None:
    world.keys["ann"] = old(groups=["admins"])
    answer = await world.call("ann", "POST", "/v1/service-accounts/dev/keys")
    assert error(answer) == (403, "sign-in-too-old")
    assert "bodycam login" in answer.json()["error"]["hint"]
    assert (await world.call("ann", "POST", "/v1/service-accounts/eve/disable")).status_code == 200
    world.keys["ann"] = ISSUED.token(groups=["admins"])
    assert (await world.call("ann", "POST", "/v1/service-accounts/dev/keys")).status_code == 201


async def test_approving_needs_a_fresh_sign_in_and_denying_does_not(world: World) -> None:
    run = (await world.start_run("dev"))["run"]["id"]
    session = world.add_session(run, "dev")
    first = world.add_approval(run, session)
    world.keys["ann"] = old(groups=["dba"])
    assert error(await world.call("ann", "POST", f"/v1/approvals/{first}/approve")) == (
        403,
        "sign-in-too-old",
    )
    world.keys["ann"] = ISSUED.token(groups=["dba"])
    said = (await world.call("ann", "POST", f"/v1/approvals/{first}/approve")).json()
    assert (said["state"], said["votes"][0]["principal"]) == ("approved", "ann@corp")
    second = world.add_approval(run, session)
    world.keys["bob"] = old(sub="bob", groups=["dba"])
    denied = await world.call("bob", "POST", f"/v1/approvals/{second}/deny", json={"reason": "no"})
    assert denied.json()["state"] == "denied"


async def test_nobody_approves_what_their_own_token_started(world: World) -> None:
    world.keys["ann"] = ISSUED.token(groups=["devs", "dba"])
    run = (await world.start_run("ann"))["run"]["id"]
    approval = world.add_approval(run, world.add_session(run, "ann"))
    world.keys["ann"] = ISSUED.token(groups=["dba"])
    assert error(await world.call("ann", "POST", f"/v1/approvals/{approval}/approve")) == (
        403,
        "may-not-decide",
    )


async def test_where_a_key_is_no_sign_in_people_need_one_and_services_do_not(world: World) -> None:
    for name, groups in (("hal", ["admins", "dba"]), ("eva", ["auditors"])):
        made = {"name": name, "groups": groups, "kind": "human" if name == "hal" else "service"}
        await world.call("ada", "POST", "/v1/service-accounts", json=made)
        issued = await world.call("ada", "POST", f"/v1/service-accounts/{name}/keys")
        world.keys[name] = issued.json()["key"]
    run = (await world.start_run("dev"))["run"]["id"]
    session = world.add_session(run, "dev")
    world.archivist.events[session] = []
    approval = world.add_approval(run, session)
    acts = (
        ("GET", f"/v1/sessions/{session}/transcript"),
        ("POST", "/v1/service-accounts/dev/keys"),
        ("POST", f"/v1/approvals/{approval}/approve"),
    )
    strict = WITH_PROVIDERS.replace("identity:", "identity:\n  api_keys: {instead_of_sign_in: false}")
    await world.context.adopt(parse(strict, file="x", folder=world.folder))
    for method, path in acts:
        assert error(await world.call("hal", method, path)) == (403, "sign-in-needed")
    assert (await world.call("hal", "GET", "/v1/whoami")).json()["fresh"] is False
    assert (await world.call("hal", "GET", "/v1/sessions")).status_code == 200
    assert (await world.call("eva", *acts[0])).status_code == 200
    world.keys["ann"] = ISSUED.token(groups=["dba", "admins"])
    for method, path in acts:
        assert (await world.call("ann", method, path)).status_code in (200, 201)
    # on the day on which the provider is away
    glass = strict.replace("identity:", "identity:\n  break_glass: {enabled: true, account: hal}")
    await world.context.adopt(parse(glass, file="x", folder=world.folder))
    answer = await world.call("hal", *acts[0], headers={"Bodycam-Reason": "INC-1"})
    assert answer.status_code == 200
    await world.context.adopt(parse(WITH_PROVIDERS, file="x", folder=world.folder))
    assert (await world.call("hal", *acts[0])).status_code == 200


async def test_a_workload_starts_runs_as_a_service_and_decides_on_nothing(world: World) -> None:
    world.keys["job"] = CI.token(aud="bodycam", sub="repo:acme/shop", repository="acme/shop", auth_time=None)
    run = (await world.start_run("job"))["run"]
    assert run["principal"] == "repo:acme/shop@ci"
    assert (await world.call("job", "GET", "/v1/whoami")).json()["kind"] == "service"
    other = await world.call("job", "POST", "/v1/runs", json={"agent": "other-bot"})
    assert error(other) == (403, "may-not-start")


async def test_a_workload_has_no_hand_in_another_agents_runs_though_its_name_is_on_them(world: World) -> None:
    def job(ref: str) -> str:
        return REFS.token(aud="bodycam", repository="acme/shop", ref=ref, auth_time=None)

    world.keys |= {"main": job("main"), "branch": job("try")}
    run = (await world.start_run("main"))["run"]
    assert run["principal"] == "acme/shop@refs"
    session = world.add_session(run["id"], "acme/shop@refs")
    calls: tuple[tuple[str, str, Any], ...] = (
        ("POST", "/v1/runs", {"agent": "billing-bot"}),
        ("POST", f"/v1/runs/{run['id']}/renew", {}),
        ("POST", f"/v1/runs/{run['id']}/end", {"exit_code": 0, "wait": 0}),
        ("POST", f"/v1/runs/{run['id']}/revoke", {}),
        ("POST", f"/v1/sessions/{session}/kill", {}),
        ("GET", "/v1/gateway?agent=billing-bot", None),
    )
    for method, path, body in calls:
        answer = await world.call("branch", method, path, json=body)
        assert error(answer) == (403, "may-not-start"), path
        assert "root-bot" in answer.json()["error"]["message"]
    agents = (await world.call("branch", "GET", "/v1/agents")).json()["agents"]
    assert {one["name"] for one in agents if one["may_start"]} == {"root-bot"}
    assert (await world.call("main", "POST", f"/v1/runs/{run['id']}/renew", json={})).status_code == 200
    assert (await world.call("branch", "POST", "/v1/runs", json={"agent": "root-bot"})).status_code == 201


async def test_a_reload_takes_a_provider_away(world: World) -> None:
    assert (await world.call("ann", "GET", "/v1/runs")).status_code == 200
    await world.context.adopt(parse(SETTINGS, file="bodycam.yaml", folder=world.folder))
    assert error(await world.call("ann", "GET", "/v1/runs")) == (401, "token-issuer")
