"""What reviewers and starters see as settings, recordings and grants change; and what enters the trail."""

import asyncio
import json
from typing import get_args

import pytest
from sqlalchemy import insert

from bodycam.api import masked_view, sights, tail
from bodycam.api.looks import SAME_SECONDS, Looks, words
from bodycam.catalog.engine import writing
from bodycam.catalog.paging import BadCursor, decode, encode
from bodycam.catalog.retention import DeletionRecord, note
from bodycam.catalog.sessions import Opening, open_session
from bodycam.catalog.tables import provenances
from bodycam.catalog.tail import Arrival, announce
from bodycam.config import parse
from bodycam.config.viewing import Act
from bodycam.model.event import Kind
from bodycam.model.identity import Principal, PrincipalKind
from bodycam.model.ids import SESSION, new_id
from bodycam.model.transcript import (
    Asked,
    Body,
    Column,
    Columns,
    Done,
    Entry,
    Frame,
    Message,
    Noted,
    Output,
    Rows,
    Shown,
    Terminal,
)
from bodycam.policy.access import Role
from bodycam.policy.sql.literals import without_literals
from tests.unit.api.test_finding import index
from tests.unit.api.world import SETTINGS, World

GRANT = """viewing:
  - {name: prod, when: 'recording.target.labels.env == "prod"'}
"""
REVIEWED = SETTINGS.replace("auditor:", "reviewer: {subjects: [eve]}, auditor:") + GRANT


def session_of(world: World, run: str, target: str = "orders", who: str = "dev") -> str:
    name = new_id(SESSION)
    opening = Opening(
        name, run, f"{who}@bodycam", "billing-bot", target, "postgres", "shop", "127.0.0.1",
        {"application": "mine"}, "p1", 1_000_000, "aa", 1,
    )  # fmt: skip
    with writing(world.context.catalog) as connection:
        open_session(connection, opening)
    return name


async def adopt(world: World, text: str) -> None:
    await world.context.adopt(parse(text, file="bodycam.yaml", folder=world.folder))


async def listed(world: World, who: str) -> list[str]:
    said = (await world.call(who, "GET", "/v1/sessions")).json()
    return [one["id"] for one in said["sessions"]]


@pytest.fixture
async def reviewed(world: World) -> World:
    await adopt(world, REVIEWED)
    return world


async def test_a_reload_gives_and_takes_what_is_seen(world: World) -> None:
    run = (await world.start_run())["run"]["id"]
    session = session_of(world, run)
    assert await listed(world, "eve") == []
    await adopt(world, REVIEWED)
    assert await listed(world, "eve") == [session]
    # a session that opens later is seen, from a provenance that is known and from a new one
    again = session_of(world, run)
    assert set(await listed(world, "eve")) == {session, again}
    other = session_of(world, (await world.start_run("ada"))["run"]["id"], who="ada")
    assert set(await listed(world, "eve")) == {session, again, other}
    # and one on a target without the label is not, nor one on a target that there is no more
    hidden = session_of(world, run, "secret")
    assert hidden not in await listed(world, "eve")
    await adopt(
        world, REVIEWED.replace("  orders:", "  renamed:").replace("names: [orders]", "names: [renamed]")
    )
    assert await listed(world, "eve") == []
    await adopt(world, REVIEWED.replace("labels: {env: prod}", "labels: {env: dev}"))
    assert await listed(world, "eve") == []
    await adopt(world, SETTINGS)
    assert await listed(world, "eve") == []


async def test_a_run_of_which_some_sessions_are_seen_shows_these(reviewed: World) -> None:
    run = (await reviewed.start_run())["run"]["id"]
    empty = (await reviewed.start_run())["run"]["id"]
    seen, hidden = session_of(reviewed, run), session_of(reviewed, run, "secret")
    index(reviewed, seen, "SELECT apples")
    index(reviewed, hidden, "SELECT pears")
    assert [one["id"] for one in (await reviewed.call("eve", "GET", "/v1/runs")).json()["runs"]] == [run]
    shown = (await reviewed.call("eve", "GET", f"/v1/runs/{run}")).json()
    assert [one["id"] for one in shown["sessions"]] == [seen]
    told = (await reviewed.call("eve", "GET", "/v1/exchanges", params={"run": run})).json()["exchanges"]
    assert [one["text"] for one in told] == ["SELECT apples"]
    found = (
        await reviewed.call("eve", "GET", "/v1/search", params={"q": "select", "principal": "dev@bodycam"})
    ).json()
    assert [one["session"] for one in found["hits"]] == [seen]
    for method, path in (("GET", ""), ("POST", "/renew"), ("POST", "/revoke"), ("POST", "/end")):
        gone = await reviewed.call(
            "eve", method, f"/v1/runs/{empty}{path}", json={} if method == "POST" else None
        )
        assert gone.status_code == 404
    assert (await reviewed.call("eve", "POST", f"/v1/runs/{run}/revoke")).status_code == 403
    assert (await reviewed.call("eve", "POST", f"/v1/sessions/{seen}/kill")).status_code == 403
    assert (await reviewed.call("eve", "POST", f"/v1/sessions/{hidden}/kill")).status_code == 404


async def test_what_is_only_listed_is_refused_and_not_shown_as_empty(world: World) -> None:
    await adopt(world, REVIEWED.replace("{name: prod,", "{name: prod, acts: [list],"))
    run = (await world.start_run())["run"]["id"]
    session, hidden = (
        session_of(world, run),
        session_of(world, (await world.start_run())["run"]["id"], "secret"),
    )
    assert await listed(world, "eve") == [session]
    for path, params in (
        (f"/v1/sessions/{session}/transcript", {}),
        ("/v1/exchanges", {"session": session}),
        ("/v1/exchanges", {"run": run}),
        ("/v1/search", {"run": run, "q": "x"}),
        ("/v1/leaks", {"run": run}),
        ("/v1/tail", {"session": session}),
    ):
        answer = await world.call("eve", "GET", path, params=params)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "not-granted"), path
    unseen = await world.call("eve", "GET", "/v1/exchanges", params={"session": hidden})
    absent = await world.call("eve", "GET", "/v1/exchanges", params={"session": "ses_none"})
    assert (unseen.status_code, unseen.text) == (absent.status_code, absent.text)
    assert not [one for one in world.archivist.entered if one[0] == "viewed"]


BY_ACT = {
    ("/v1/sessions/{session}", "look"): "list",
    ("/v1/exchanges?session={session}", "look"): "search",
    ("/v1/search?session={session}", "look"): "search",
    ("/v1/leaks?run={run}", "look"): "search",
    ("/v1/sessions/{session}/transcript", "look"): "play",
    ("/v1/tail?session={session}", "look"): "tail",
    ("/v1/exchanges?session={session}", "export"): "export",
    ("/v1/sessions/{session}/transcript", "export"): "export",
}


@pytest.mark.parametrize("act", [one.value for one in Act])
async def test_an_act_opens_its_routes_and_no_others(world: World, act: str) -> None:
    await adopt(world, REVIEWED.replace("{name: prod,", f"{{name: prod, acts: [{act}],"))
    world.context.closing.set()  # a stream ends at once: only its status is looked at
    run = (await world.start_run())["run"]["id"]
    session = session_of(world, run)
    world.archivist.events[session] = []
    for (path, purpose), needed in BY_ACT.items():
        filled = path.format(session=session, run=run)
        filled += f"{'&' if '?' in filled else '?'}purpose={purpose}"
        answer = await world.call("eve", "GET", filled)
        assert answer.status_code == (200 if needed in ("list", act) else 403), (path, purpose)


async def test_a_deleted_recording_was_never_there_for_a_reviewer(reviewed: World) -> None:
    run = (await reviewed.start_run())["run"]["id"]
    session_of(reviewed, run)
    gone = new_id(SESSION)
    with writing(reviewed.context.catalog) as connection:
        note(connection, [DeletionRecord(gone, run, "short", 1, 2, "x.bcr")])
    assert (await reviewed.call("dev", "GET", f"/v1/sessions/{gone}")).status_code == 410
    assert (await reviewed.call("eve", "GET", f"/v1/sessions/{gone}")).status_code == 404
    told = {
        who: (await reviewed.call(who, "GET", f"/v1/runs/{run}")).json()["deleted"] for who in ("dev", "eve")
    }
    assert ([one["session"] for one in told["dev"]], told["eve"]) == ([gone], [])


async def test_the_groups_of_who_started_a_run_decide_in_list_and_replay(world: World) -> None:
    devs, others = (
        GRANT.replace('recording.target.labels.env == "prod"', f'"{one}" in recording.principal.groups')
        for one in ("devs", "nobodys")
    )
    run = (await world.start_run())["run"]["id"]
    session = session_of(world, run)
    for grant, seen in ((devs, [session]), (others, [])):
        await adopt(world, REVIEWED.replace(GRANT, grant))
        assert await listed(world, "eve") == seen
        answer = await world.call("eve", "GET", f"/v1/sessions/{session}")
        assert answer.status_code == (200 if seen else 404)


async def test_beyond_the_bound_recordings_are_hidden(
    reviewed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sights, "MOST_PROVENANCES", 2)
    run = (await reviewed.start_run())["run"]["id"]
    first, second = session_of(reviewed, run), session_of(reviewed, run, who="ada")
    assert set(await listed(reviewed, "eve")) == {first, second}
    third = session_of(reviewed, run, who="aud")
    assert set(await listed(reviewed, "eve")) == {second, third}
    reviewed.context.sights.__init__(reviewed.context.catalog, reviewed.context.settings)  # type: ignore[misc]
    assert set(await listed(reviewed, "eve")) == {second, third}


async def test_a_provenance_that_comes_late_is_seen_too(reviewed: World) -> None:
    eve = Principal("bodycam", "eve", PrincipalKind.SERVICE)

    async def told() -> tuple[int, ...] | None:
        sight = await reviewed.context.sights.of(eve, frozenset({Role.REVIEWER}))
        return sight.visible(Act.PLAY).provenances

    for key, right in ((7, (7,)), (5, (5, 7)), (9, (5, 7, 9))):
        with writing(reviewed.context.catalog) as connection:
            row = {
                "key": key,
                "principal": f"p{key}@corp",
                "agent": "bot",
                "target": "orders",
                "protocol": "postgres",
                "groups": [],
                "groups_hash": "",
            }
            connection.execute(insert(provenances).values(**row))
        assert await told() == right
        assert await told() == right


async def test_own_runs_can_be_masked_with_what_waits_for_people(world: World) -> None:
    await adopt(world, SETTINGS + "viewing: [{name: own, acts: [search, play], view: masked}]\n")
    run = (await world.start_run())["run"]["id"]
    session = session_of(world, run)
    index(world, session, "SELECT 'apples'")
    world.archivist.events[session] = [
        [Kind.REQUEST, 10, 1, ["query", "SELECT 'pears'", [], {}, "statement", None, 0]]
    ]
    one = (await world.call("dev", "GET", f"/v1/sessions/{session}")).json()
    assert (one["claims"], one["reason"]) == ({}, None)
    told = (await world.call("dev", "GET", "/v1/exchanges", params={"run": run})).json()["exchanges"]
    assert [(exchange["text"], exchange["parameters"]) for exchange in told] == [("SELECT ?", "[hidden]")]
    lines = (await world.call("dev", "GET", f"/v1/sessions/{session}/transcript")).text.splitlines()
    assert json.loads(lines[0])["what"] == "masked"
    assert json.loads(lines[1])["text"] == "SELECT ?"
    refused = await world.call("dev", "GET", "/v1/search", params={"q": "apples"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "masked-view")
    away = await world.call("dev", "GET", "/v1/exchanges", params={"purpose": "export"})
    assert away.status_code == 403
    approval = world.add_approval(run, session)
    assert (await world.call("dev", "GET", f"/v1/approvals/{approval}")).json()["text"] == "DROP TABLE old"
    assert (await world.call("dev", "POST", f"/v1/runs/{run}/revoke")).status_code == 200


async def test_a_watcher_whose_grant_is_taken_sees_nothing_more(
    reviewed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail, "ALIVE_SECONDS", 0.0)
    run = (await reviewed.start_run())["run"]["id"]
    first = session_of(reviewed, run)
    watching = asyncio.create_task(reviewed.call("eve", "GET", "/v1/tail"))
    async with asyncio.timeout(30):
        while not reviewed.context.watchers:
            await asyncio.sleep(0.01)
    with writing(reviewed.context.catalog) as connection:
        announce(connection, [(Arrival.OPENED, first)])
    await asyncio.sleep(0.6)
    await adopt(reviewed, SETTINGS)
    await asyncio.sleep(0.4)
    second = session_of(reviewed, run)
    with writing(reviewed.context.catalog) as connection:
        announce(connection, [(Arrival.OPENED, second)])
    await asyncio.sleep(0.6)
    reviewed.context.closing.set()
    told = [json.loads(one) for one in (await watching).text.splitlines()]
    assert [one["session"] for one in told if one["type"] == "opened"] == [first]


async def test_without_the_ledger_nothing_is_looked_into(reviewed: World) -> None:
    run = (await reviewed.start_run())["run"]["id"]
    session_of(reviewed, run)
    reviewed.archivist.away = True
    for path in ("/v1/exchanges", "/v1/search", "/v1/leaks", "/v1/tail"):
        answer = await reviewed.call("eve", "GET", path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "archivist-away"), path
    assert (await reviewed.call("eve", "GET", "/v1/sessions")).status_code == 200


async def test_the_same_look_is_entered_once_a_minute(world: World) -> None:
    now = [1000.0]
    looks = Looks(world.context.trail, lambda: now[0])
    entered = world.archivist.entered
    for _ in range(3):
        await looks.searched("a@b", "run_a", {"of": "search", "words": "x"})
    await looks.searched("a@b", "run_a", {"of": "search", "words": "y"})
    await looks.searched("c@b", "run_a", {"of": "search", "words": "x"})
    await looks.exported("a@b", "run_a", {"of": "search", "words": "x"})
    assert [one[:2] for one in entered] == [
        ("searched", "a@b"), ("searched", "a@b"), ("searched", "c@b"), ("exported", "a@b")
    ]  # fmt: skip
    now[0] += SAME_SECONDS
    await looks.searched("a@b", "run_a", {"of": "search", "words": "x"})
    await looks.viewed("a@b", "ses_a", {})
    await looks.viewed("a@b", "ses_a", {})
    assert [one[0] for one in entered[4:]] == ["searched", "viewed", "viewed"]


@pytest.mark.parametrize(
    ("question", "kept"),
    [
        ("select orders", "select orders"),
        ("4111 1111 1111 1111 card", "41… card"),
        ("4111-1111-1111-1111", "41…"),
        ("aVeryLongTokenWithoutDigits x", "aV… x"),
        ("078-05-1120", "07…"),
        ('"by 2026"', '"by 2026"'),
    ],
)
def test_words_that_may_be_secrets_are_cut(question: str, kept: str) -> None:
    assert words(question) == kept
    assert len(words("x " * 500)) == 200


BODIES: dict[type, tuple[Body, Body | None]] = {
    Asked: (
        Asked("query", "select 'v'", (Shown("text", "v"), Shown("int", None)), False, "deny by rule r: because v", 2),
        Asked("query", "select ?", (Shown("text", "[hidden]"), Shown("int", "[hidden]")), False, "deny by rule r", 2),
    ),
    Columns: (Columns((Column("name", "text"),)), Columns((Column("name", "text"),))),
    Rows: (Rows((("v", None),)), None),
    Output: (Output("stdout", "v"), None),
    Terminal: (Terminal("xterm v", 80, 24), Terminal("", 80, 24)),
    Frame: (Frame("v", input=True), None),
    Message: (Message("error", "22P02", "v", "v", "v"), Message("error", "22P02", "[hidden]")),
    Done: (Done("ok", "SELECT 1", 1, 10), Done("ok", "SELECT 1", 1, 10)),
    Noted: (Noted("parameter", "v"), Noted("parameter", "")),
}  # fmt: skip


def test_a_masked_view_of_every_kind_of_entry() -> None:
    assert set(BODIES) == set(get_args(Body))
    for body, shown in BODIES.values():
        seen = masked_view.entry(Entry(5, 1, body), without_literals)
        assert seen == (None if shown is None else Entry(5, 1, shown))
    opened = Entry(0, 0, Noted("opened", "bot in run_a"))
    assert masked_view.entry(opened, without_literals) == opened
    unknown = masked_view.entry(Entry(0, 1, Asked("get", "/users?ssn=1", (), False)), None)
    assert unknown == Entry(0, 1, Asked("get", "[hidden]", (), False))


def test_cursors_say_nothing_and_can_not_be_made() -> None:
    cursor = encode(1_700_000_000_000_000, 7)
    assert decode(cursor, 2) == (1_700_000_000_000_000, 7)
    assert len(cursor) == len(encode(1_700_000_000_000_000, 123_456))
    assert len(encode(2**62, 2**62, 2**62)) < 200
    for wrong in (
        cursor[:-2],
        f"A{cursor[1:]}" if cursor[0] != "A" else f"B{cursor[1:]}",
        "WzEsMl0",
        "",
        "%%%",
    ):
        with pytest.raises(BadCursor):
            decode(wrong, 2)
    with pytest.raises(BadCursor):
        decode(cursor, 3)
