"""Who may look at which recording: role by act by recording, at a real gateway, through every reading route.

Three sessions of two people on two targets. Each carries values of its own in a statement, a parameter, a row
and an error, so that whatever a route tells can be searched for what it must not.
"""

import asyncio
import contextlib
import json
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import psycopg
import pytest
from fastapi.routing import APIRoute

from bodycam.api.app import RESOURCES
from tests import stage

FULL, MASKED, LISTED, NONE = "full", "masked", "listed", "none"
OWNED_BY_TEAM = 'recording.target.labels.team == "payments"'
VIEWING = [
    {"name": "team", "who": {"groups": ["team"]}, "when": OWNED_BY_TEAM},
    {"name": "support", "who": {"groups": ["support"]}, "when": OWNED_BY_TEAM, "view": "masked"},
    {"name": "shelf", "who": {"groups": ["shelf"]}, "when": 'recording.agent.owner == "shop"', "acts": ["list"]},
    {"name": "errs", "who": {"groups": ["errs"]}, "when": 'recording.target.labels.nowhere != "x"'},
]  # fmt: skip
PEOPLE = {
    "ann": ["devs"],
    "bob": ["devs"],
    "aud": ["auditors"],
    "tim": ["team"],
    "sue": ["support"],
    "lia": ["shelf"],
    "eva": ["errs"],
    "app": ["approvers"],
    "nia": ["devs"],
}
# who sees which of: ann's session on the ledger, ann's on the shop in the same run, bob's on the shop
EXPECTED = {
    "ada": (FULL, FULL, FULL),
    "aud": (FULL, FULL, FULL),
    "ann": (FULL, FULL, NONE),
    "bob": (NONE, NONE, FULL),
    "tim": (FULL, NONE, NONE),
    "sue": (MASKED, NONE, NONE),
    "lia": (NONE, NONE, LISTED),
    "eva": (NONE, NONE, NONE),
    "app": (NONE, NONE, NONE),
    "nia": (NONE, NONE, NONE),
}
READS_ALL = ("ada", "aud")
# routes that tell of no recording, or of all of them to admins and auditors alone
APART = {
    "/healthz", "/readyz", "/metrics", "/v1/providers", "/v1/whoami", "/v1/gateway", "/v1/targets",
    "/v1/agents", "/v1/ledger/head", "/v1/ledger/consistency", "/v1/sign-ins",
}  # fmt: skip
PAGES = {
    "/sign-in", "/sign-in/start", "/sign-in/finish", "/sign-in/style.css", "/sign-in/submit.js",
    "/sign-in/oidc/{provider}/callback", "/sign-in/saml/{provider}/metadata", "/sign-in/saml/{provider}/logout",
}  # fmt: skip
READERS_ONLY = {"/v1/audit", "/v1/service-accounts", "/v1/retention/plan", "/v1/legal-holds"}
WITH_ID = {"/v1/runs/{run}", "/v1/sessions/{session}", "/v1/sessions/{session}/transcript",
           "/v1/approvals/{approval}"}  # fmt: skip
LISTS = {
    "/v1/runs": "runs",
    "/v1/sessions": "sessions",
    "/v1/exchanges": "exchanges",
    "/v1/search": "hits",
    "/v1/leaks": "leaks",
    "/v1/leaks/sessions": "sessions",
    "/v1/approvals": "approvals",
}
STREAMS = {"/v1/tail"}
TOKEN = "sk_live_" + "aB3dE5fG7hJ9kL2mN4pQ6rS8"


@dataclass
class House:
    """The gateway with all that was done there."""

    gateway: stage.Gateway
    keys: dict[str, str]
    sessions: list[str] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    credential: str = ""

    def get(self, who: str, path: str, **params: Any) -> httpx.Response:
        return self.gateway.api("GET", path, key=self.keys[who], params=params)

    def start(self, who: str, agent: str) -> stage.Credential:
        body = {"agent": agent, "labels": {"team": "payments"}, "grade": "advisory"}
        said = self.gateway.api("POST", "/v1/runs", key=self.keys[who], json=body).json()
        environment = {"PGPORT": str(self.gateway.port)}
        return stage.Credential(said["run"]["id"], said["credential"]["secret"], environment)

    def cli(self, who: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "bodycam", *arguments],
            cwd=self.gateway.folder,
            env=stage.clean_environment() | {"BODYCAM_API_KEY": self.keys[who]},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )


def work(run: stage.Credential, target: str, mark: str) -> None:
    """What a session does: values of its own wherever values can be."""
    with psycopg.connect(run.dsn(target), autocommit=True) as connection:
        connection.execute(
            f"select %s::text as par, 'lit{mark}' as lit, 'row' || 'x{mark}' as made", [f"par{mark}"]
        )
        with contextlib.suppress(psycopg.Error):
            connection.execute(f"select 'err{mark}'::int")
        connection.execute(f"select '{TOKEN}' as token")
        with contextlib.suppress(psycopg.Error):
            connection.execute(f"delete from nowhere where note = 'ask{mark}'")


VALUES = ("lit", "par", "rowx", "err", "ask")


@pytest.fixture(scope="module")
def house(server: stage.Postgres) -> Iterator[House]:
    targets = {
        "ledger": stage.shop(server, labels={"team": "payments"}),
        "shop": stage.shop(server, labels={"team": "shop"}),
    }
    settings = {
        "roles": {
            "auditor": {"groups": ["auditors"]},
            "reviewer": {"groups": ["team", "support", "shelf", "errs"]},
            "approver": {"groups": ["approvers"]},
        },
        "agents": {
            "pay-bot": {"owner": "payments", "may_start": {"groups": ["devs"]}},
            "shop-bot": {"owner": "shop", "may_start": {"groups": ["devs"]}},
        },
        "access": [{"groups": ["devs"], "targets": {"names": ["*"]}}],
        "viewing": VIEWING,
        "masking": [{"detect": ["secrets"]}],
        "rules": [
            {"name": "ask", "when": '"delete" in op.sql.kinds', "then": "require_approval", "wait": "0s"}
        ],
    }
    with stage.gateway(targets, **settings) as gateway:
        keys = {"ada": (gateway.folder / "keys" / "admin.key").read_text().strip()}
        for name, groups in PEOPLE.items():
            body = {"name": name, "groups": groups, "kind": "human"}
            assert gateway.api("POST", "/v1/service-accounts", json=body).status_code == 201
            issued = gateway.api("POST", f"/v1/service-accounts/{name}/keys").json()
            keys[name] = issued["key"]
        made = House(gateway, keys)
        first, second = made.start("ann", "pay-bot"), made.start("bob", "shop-bot")
        work(first, "ledger", "A1")
        work(first, "shop", "B2")
        work(second, "shop", "C3")
        for run in (first, second):
            gateway.end(run)
        made.runs, made.credential = [first.run, second.run], first.secret
        told = [made.get("ada", "/v1/sessions", run=run).json()["sessions"] for run in made.runs]
        made.sessions = [one["id"] for part in told for one in reversed(part)]
        assert len(made.sessions) == 3
        yield made


MARKS = ("A1", "B2", "C3")


def reading_routes() -> set[str]:
    return {
        route.path
        for resource in RESOURCES
        for route in resource.router.routes
        if isinstance(route, APIRoute) and "GET" in route.methods
    }


def test_every_reading_route_is_in_this_matrix() -> None:
    assert reading_routes() == APART | PAGES | READERS_ONLY | WITH_ID | set(LISTS) | STREAMS


def texts(house: House, who: str, path: str, **params: Any) -> list[str]:
    """All pages of a listing, one item a page."""
    found, cursor = [], None
    while True:
        answer = house.get(who, path, **params, limit=1, **({"cursor": cursor} if cursor else {}))
        assert answer.status_code in (200, 403, 404), answer.text
        if answer.status_code != 200:
            return [answer.text]
        found.append(answer.text)
        cursor = answer.json()["next"]
        if cursor is None:
            return found


def values(mark: str) -> list[str]:
    return [f"{kind}{mark}" for kind in VALUES]


def may_hold(house: House, who: str, said: str, *, named: str = "") -> None:
    """Nothing in an answer tells of a session that this viewer does not see, nor a value that is hidden."""
    for session, mark, view in zip(house.sessions, MARKS, EXPECTED[who], strict=True):
        if view is NONE and session != named:
            assert session not in said, (who, said)
        if view is not FULL:
            assert not [value for value in values(mark) if value in said], (who, said)
    for run, views in ((house.runs[0], EXPECTED[who][:2]), (house.runs[1], EXPECTED[who][2:])):
        if set(views) == {NONE} and run != named:
            assert run not in said, (who, said)


@pytest.mark.parametrize("who", EXPECTED)
def test_lists_tell_of_what_is_seen_and_of_nothing_else(house: House, who: str) -> None:
    leak = house.get("ada", "/v1/leaks").json()["leaks"][0]["id"]
    for path in LISTS:
        more: dict[str, Any] = {"leak": leak} if path == "/v1/leaks/sessions" else {}
        variants: list[dict[str, Any]] = [{}]
        if path == "/v1/search":
            variants += [{"q": f"lit{mark}"} for mark in MARKS] + [{"q": "select"}, {"status": "error"}]
        if path in ("/v1/exchanges", "/v1/search", "/v1/sessions", "/v1/approvals"):
            variants += [{"run": run} for run in house.runs]
        if path in ("/v1/exchanges", "/v1/search"):
            variants += [{"session": session} for session in house.sessions]
        if path == "/v1/exchanges":
            variants += [{"purpose": "export"}, {"asides": True}]
        if path == "/v1/approvals" and who == "app":
            continue  # who decides sees what it is about
        for variant in variants:
            for said in texts(house, who, path, **more, **variant):
                may_hold(house, who, said)


@pytest.mark.parametrize("who", EXPECTED)
def test_what_is_seen_is_listed_counted_and_found(house: House, who: str) -> None:
    visible = [one for one, view in zip(house.sessions, EXPECTED[who], strict=True) if view is not NONE]
    runs = [house.runs[0]] * bool({FULL, MASKED, LISTED} & set(EXPECTED[who][:2]))
    runs += [house.runs[1]] * (EXPECTED[who][2] is not NONE)
    listed = house.get(who, "/v1/sessions").json()
    assert [one["id"] for one in listed["sessions"]] == visible[::-1]
    assert listed["next"] is None
    found = house.get(who, "/v1/runs").json()
    assert ([one["id"] for one in found["runs"]], found["next"]) == (runs[::-1], None)
    claimed = [] if who == "sue" else [{"team": "payments"}] * len(runs)
    assert [one["labels"] for one in found["runs"] if one["labels"]] == claimed
    for run in runs:
        shown = house.get(who, f"/v1/runs/{run}").json()["sessions"]
        own = house.sessions[:2] if run == house.runs[0] else house.sessions[2:]
        assert [one["id"] for one in shown] == [one for one in reversed(own) if one in visible]
    inside = [one for one, view in zip(house.sessions, EXPECTED[who], strict=True) if view in (FULL, MASKED)]
    exchanges = house.get(who, "/v1/exchanges", limit=100)
    assert {one["session"] for one in exchanges.json()["exchanges"]} == set(inside)
    leaks = house.get(who, "/v1/leaks").json()["leaks"]
    places = {place["session"] for leak in leaks for place in leak["sessions"]}
    assert places == set(inside)
    assert sum(leak["sessions_total"] for leak in leaks) == len(inside)


@pytest.mark.parametrize("who", EXPECTED)
def test_each_recording_is_played_and_exported_by_whom_it_may_and_is_not_there_for_others(
    house: House, who: str
) -> None:
    for session, mark, view in zip(house.sessions, MARKS, EXPECTED[who], strict=True):
        unknown = f"ses_{'a' * (len(session) - 4)}"
        one = house.get(who, f"/v1/sessions/{session}")
        for purpose in ("look", "export"):
            played = house.get(who, f"/v1/sessions/{session}/transcript", purpose=purpose)
            may_hold(house, who, played.text, named=session)
            match view:
                case "full":
                    assert (one.status_code, played.status_code) == (200, 200)
                    assert not [value for value in values(mark) if value not in played.text]
                case "masked":
                    assert (one.status_code, played.status_code) == (200, 200)
                    lines = [json.loads(said) for said in played.text.splitlines()]
                    assert lines[0]["what"] == "masked"
                    assert "rows" not in {said["type"] for said in lines}
                    asked = [said["text"] for said in lines if said["type"] == "asked"]
                    assert "select $1::text as par, ? as lit, ? || ? as made" in asked
                    assert {said["text"] for said in lines if said["type"] == "message"} == {"[hidden]"}
                case "listed":
                    assert (one.status_code, played.status_code) == (200, 403)
                case _:
                    absent = house.get(who, f"/v1/sessions/{unknown}/transcript", purpose=purpose)
                    assert (one.status_code, played.status_code, absent.status_code) == (404, 404, 404)
                    assert played.text.replace(session, "") == absent.text.replace(unknown, "")
    for run, views in ((house.runs[0], EXPECTED[who][:2]), (house.runs[1], EXPECTED[who][2:])):
        expected = 404 if set(views) == {NONE} else 200
        assert house.get(who, f"/v1/runs/{run}").status_code == expected
        refused = house.gateway.api("POST", f"/v1/runs/{run}/renew", key=house.keys[who], json={}).status_code
        owns = who == ("ann" if run == house.runs[0] else "bob")
        assert refused == (409 if owns or who == "ada" else 404 if expected == 404 else 403)


def test_a_run_credential_and_nobody_get_nothing(house: House) -> None:
    for path in sorted(reading_routes() - PAGES - {"/healthz", "/readyz", "/metrics", "/v1/providers"}):
        filled = path.format(run=house.runs[0], session=house.sessions[0], approval="apr_x")
        for key in (False, house.credential):
            answer = house.gateway.api("GET", filled, key=key, params={"agent": "pay-bot", "leak": "x"})
            assert answer.status_code == 401, path


@pytest.mark.parametrize("path", sorted(READERS_ONLY))
def test_what_tells_of_all_is_for_admins_and_auditors(house: House, path: str) -> None:
    got = {who: house.get(who, path).status_code for who in EXPECTED}
    assert got == {who: 200 if who in READS_ALL else 403 for who in EXPECTED}


def test_approvals_are_for_the_starter_and_those_who_decide(house: House) -> None:
    by_run = {one["run"]: one["id"] for one in house.get("ada", "/v1/approvals").json()["approvals"]}
    sees = {"ada": {*house.runs}, "aud": {*house.runs}, "app": {*house.runs},
            "ann": {house.runs[0]}, "bob": {house.runs[1]}}  # fmt: skip
    for who in EXPECTED:
        listed = house.get(who, "/v1/approvals").json()["approvals"]
        assert {one["run"] for one in listed} == sees.get(who, set()), who
        for run, approval in by_run.items():
            expected = 200 if run in sees.get(who, set()) else 404
            assert house.get(who, f"/v1/approvals/{approval}").status_code == expected
    one = by_run[house.runs[1]]
    deciding = house.gateway.api("POST", f"/v1/approvals/{one}/approve", key=house.keys["app"])
    assert deciding.status_code == 200, deciding.text
    service = {"name": "robot", "groups": ["approvers"], "kind": "service"}
    house.gateway.api("POST", "/v1/service-accounts", json=service)
    key = house.gateway.api("POST", "/v1/service-accounts/robot/keys").json()["key"]
    other = by_run[house.runs[0]]
    refused = house.gateway.api("POST", f"/v1/approvals/{other}/approve", key=key)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "may-not-decide")


def test_a_search_tells_nothing_of_what_is_hidden(house: House) -> None:
    def asked(who: str, **params: Any) -> tuple[int, str]:
        answer = house.get(who, "/v1/search", **params)
        return answer.status_code, answer.text

    nothing = (200, '{"hits":[],"next":null,"left_out":false}')
    for word in ("litB2", "parC3", "errC3", "nowhere-at-all"):
        assert asked("tim", q=word) == nothing
        assert asked("nia", q=word) == nothing
    for run, session in ((house.runs[1], house.sessions[2]), ("run_none", "ses_none")):
        assert asked("tim", q="select", run=run) == nothing
        assert asked("tim", q="select", session=session) == nothing
        assert asked("tim", session=session) == nothing
    # whether a masked recording holds a word makes no difference
    for word in ("litA1", "parA1", "select", "nowhere-at-all"):
        assert asked("sue", q=word) == (200, '{"hits":[],"next":null,"left_out":true}')
    plain = house.get("sue", "/v1/search", status="error").json()["hits"]
    assert [(one["text"], one["error"]) for one in plain] == [("select ?::int", "[hidden]")]
    # as many pages as there are hits, and cursors that say no number
    pages = texts(house, "tim", "/v1/search", q="select")
    mine = texts(house, "ann", "/v1/search", q="select", session=house.sessions[0])
    assert len(pages) == len(mine) > 1
    assert len({len(json.loads(one)["next"] or "") for one in pages[:-1]}) == 1


BLIND = ("ann", "tim", "sue", "nia", "eva")
"""Who sees nothing of what shop-bot does for others."""


def answers(house: House, who: str, hidden: tuple[str, str]) -> dict[str, list[str]]:
    """All that somebody is told by every listing, a page at a time, and of a run and a session by their ids."""
    leak = house.get("ada", "/v1/leaks").json()["leaks"][0]["id"]
    run, session = hidden
    asked: list[tuple[str, dict[str, Any]]] = [(path, {}) for path in LISTS if path != "/v1/leaks/sessions"]
    asked += [(path, {"run": one}) for path in LISTS if path not in ("/v1/runs", "/v1/leaks/sessions")
              for one in (house.runs[0], run)]  # fmt: skip
    asked += [(path, {"session": session}) for path in ("/v1/exchanges", "/v1/search")]
    asked += [("/v1/leaks/sessions", {"leak": leak}), ("/v1/leaks/sessions", {"leak": leak, "run": run})]
    asked += [
        ("/v1/search", {"q": q}) for q in ("select", "litA1", "lit*", "errZ9", "nowhere", '"row" litA1')
    ]
    asked += [("/v1/search", more) for more in (
        {"status": "error"}, {"kind": "execute"}, {"agent": "shop-bot"}, {"target": "shop"}, {"since": 1},
        {"principal": "zed@bodycam"}, {"principal": "ann@bodycam", "q": "select"}, {"trace": "0af7651916cd43dd8448eb211c80319c"},
    )]  # fmt: skip
    asked += [("/v1/sessions", {"agent": "shop-bot"}), ("/v1/runs", {"agent": "shop-bot"})]
    said = {f"{path} {more}": texts(house, who, path, **more) for path, more in asked}
    ids = (f"/v1/runs/{run}", f"/v1/sessions/{session}", f"/v1/sessions/{session}/transcript")
    for path in (*ids, f"/v1/runs/{house.runs[0]}", "/v1/agents", "/v1/targets"):
        answer = house.get(who, path)
        said[path] = [f"{answer.status_code} {answer.text}"]
    for act in ("renew", "end", "revoke"):
        answer = house.gateway.api("POST", f"/v1/runs/{run}/{act}", key=house.keys[who], json={})
        said[act] = [f"{answer.status_code} {answer.text}"]
    answer = house.gateway.api("POST", f"/v1/sessions/{session}/kill", key=house.keys[who], json={})
    said["kill"] = [f"{answer.status_code} {answer.text}"]
    return said


def test_nothing_that_is_told_changes_by_what_is_hidden(house: House) -> None:
    body = {"name": "zed", "groups": ["devs"], "kind": "human"}
    assert house.gateway.api("POST", "/v1/service-accounts", json=body).status_code == 201
    house.keys["zed"] = house.gateway.api("POST", "/v1/service-accounts/zed/keys").json()["key"]
    nobodys = f"run_{'a' * (len(house.runs[0]) - 4)}", f"ses_{'a' * (len(house.sessions[0]) - 4)}"
    before = {who: answers(house, who, nobodys) for who in BLIND}
    # somebody from nowhere yet says the same as ann, and more: the same words, the same secret, the same error
    run = house.start("zed", "shop-bot")
    for mark in ("A1", "Z9", "A1"):
        work(run, "shop", mark)
    house.gateway.end(run)
    told = house.get("ada", "/v1/sessions", run=run.run).json()["sessions"]
    assert (len(told), {one["state"] for one in told}) == (3, {"sealed"})
    deadline = time.monotonic() + 30
    while not house.get("zed", "/v1/search", q="errZ9").json()["hits"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    hidden = run.run, told[0]["id"]
    for who in BLIND:
        after = answers(house, who, hidden)
        known = {
            name.replace(hidden[0], nobodys[0]).replace(hidden[1], nobodys[1]): [
                one.replace(hidden[0], nobodys[0]).replace(hidden[1], nobodys[1]) for one in said
            ]
            for name, said in after.items()
        }
        assert known.keys() == before[who].keys()
        for name, said in known.items():
            assert said == before[who][name], (who, name)


# what differs between two sessions that did the same: who they are and how long it took
OWN = {
    "address",
    "at",
    "closed",
    "duration",
    "duration_us",
    "id",
    "opened",
    "root",
    "run",
    "sealed",
    "session",
    "started",
}


def shown_masked(house: House, session: str) -> list[Any]:
    """All that sue is shown of one session, without what is of every session its own."""

    def bare(plain: Any) -> Any:
        if isinstance(plain, dict):
            return {name: bare(value) for name, value in plain.items() if name not in OWN}
        return [bare(one) for one in plain] if isinstance(plain, list) else plain

    one = house.get("sue", f"/v1/sessions/{session}").json()
    played = house.get("sue", f"/v1/sessions/{session}/transcript").text.replace(one["address"], "there")
    listed = [house.get("sue", path, session=session, asides=True, limit=100).json()
              for path in ("/v1/exchanges", "/v1/search")]  # fmt: skip
    return [bare(one), [bare(json.loads(line)) for line in played.splitlines()], *map(bare, listed)]


def test_two_sessions_that_differ_in_values_are_one_to_a_masked_view(house: House) -> None:
    run = house.start("ann", "pay-bot")
    for mark in ("D4", "E5"):
        work(run, "ledger", mark)
    house.gateway.end(run)
    first, second = (one["id"] for one in house.get("sue", "/v1/sessions", run=run.run).json()["sessions"])
    deadline = time.monotonic() + 30
    while not all(house.get("ann", "/v1/search", q=f"err{mark}").json()["hits"] for mark in ("D4", "E5")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    told = shown_masked(house, first)
    assert told == shown_masked(house, second)
    # and there is something in it that could have told
    assert len(told[1]) > 10
    assert len(told[2]["exchanges"]) >= 4


def test_looking_is_on_record_with_the_grant_that_let_it(house: House) -> None:
    house.get("tim", f"/v1/sessions/{house.sessions[0]}/transcript")
    house.get("sue", f"/v1/sessions/{house.sessions[0]}/transcript", purpose="export")
    house.get("tim", "/v1/search", q="balance sk_live_0123456789012345")
    house.get("tim", "/v1/exchanges", session=house.sessions[0], purpose="export")
    before = len(events(house, "tim"))
    house.get("tim", "/v1/search", q="balance sk_live_0123456789012345")
    told = events(house, "tim")
    assert len(told) == before
    assert all(one["leaf"] is not None for one in told)
    (viewed,) = [one for one in told if one["action"] == "viewed"][:1]
    assert viewed["object"] == house.sessions[0]
    assert viewed["detail"] == {"run": house.runs[0], "grant": "team", "view": "full"}
    searched = [one["detail"] for one in told if one["detail"].get("words", "").startswith("balance")]
    assert searched == [{"of": "search", "grants": ["own", "team"], "words": "balance sk…"}]
    exported = [one["object"] for one in told if one["action"] == "exported"]
    assert house.sessions[0] in exported
    (masked,) = [one for one in events(house, "sue") if one["action"] == "exported"][:1]
    assert masked["detail"] == {"run": house.runs[0], "grant": "support", "view": "masked"}
    # what was refused was no viewing
    assert not [one for one in events(house, "lia") if one["action"] == "viewed"]


def events(house: House, who: str) -> list[dict[str, Any]]:
    """Acts of looking of one person, the last first."""
    said = house.get("ada", "/v1/audit", actor=f"{who}@bodycam", limit=1000).json()["events"]
    return list(said)


def test_the_command_line_obeys(house: House) -> None:
    def ran(who: str, *arguments: str) -> str:
        done = house.cli(who, *arguments)
        assert done.returncode == 0, done.stderr
        may_hold(house, who, done.stdout)
        return done.stdout

    ledger = house.sessions[0]
    assert "litA1" in ran("tim", "show", ledger)
    assert "select $1::text as par, ? as lit" in ran("sue", "show", ledger)
    assert "litA1" in ran("tim", "export", "--transcripts", house.runs[0])
    assert "[hidden]" in ran("sue", "export", ledger)
    found = house.cli("sue", "search", "litA1")
    assert "nothing fits" in found.stderr
    assert "your view is masked were left out" in found.stderr
    absent = house.cli("nia", "show", ledger)
    assert absent.returncode != 0
    assert "litA1" not in absent.stdout + absent.stderr


async def test_the_tail_shows_live_what_may_be_seen(house: House) -> None:
    watchers = ("ada", "ann", "tim", "sue", "nia", "eva")
    context = ssl.create_default_context(cafile=str(house.gateway.listener_ca))
    heard: dict[str, list[dict[str, Any]]] = {who: [] for who in watchers}
    base = f"https://127.0.0.1:{house.gateway.control}"
    async with httpx.AsyncClient(verify=context, timeout=30, trust_env=False, base_url=base) as client:
        opened = asyncio.Event()

        async def watch(who: str) -> None:
            headers = {"Authorization": f"Bearer {house.keys[who]}"}
            async with client.stream("GET", "/v1/tail", headers=headers) as answer:
                started.append(who)
                if len(started) == len(watchers):
                    opened.set()
                async for one in answer.aiter_lines():
                    heard[who].append(json.loads(one))

        started: list[str] = []
        tasks = [asyncio.create_task(watch(who)) for who in watchers]
        try:
            async with asyncio.timeout(40):
                await opened.wait()
                run = await asyncio.to_thread(house.start, "ann", "pay-bot")
                await asyncio.to_thread(work, run, "shop", "B2")
                await asyncio.to_thread(work, run, "ledger", "A1")
                await asyncio.to_thread(house.gateway.end, run)
                until = time.monotonic() + 20
                while sum(one["type"] == "sealed" for one in heard["ada"]) < 2 and time.monotonic() < until:
                    await asyncio.sleep(0.05)
                await asyncio.sleep(0.6)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    targets = {who: {one["target"] for one in said if "target" in one} for who, said in heard.items()}
    assert targets == {
        "ada": {"ledger", "shop"}, "ann": {"ledger", "shop"}, "tim": {"ledger"}, "sue": {"ledger"},
        "nia": set(), "eva": set(),
    }  # fmt: skip
    assert "litA1" in json.dumps(heard["tim"])
    may_hold(house, "sue", json.dumps(heard["sue"]))
    assert "select $1::text as par, ? as lit, ? || ? as made" in json.dumps(heard["sue"])
    assert [one for one in events(house, "sue") if one["action"] == "watched"]
