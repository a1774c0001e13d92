"""Exporting evidence by the API: who may, what enters the ledger first, and what a bundle cut short looks like."""

import pytest

from bodycam.api.anchoring import State
from bodycam.api.archivist import ArchivistAway
from bodycam.archive.head import Head
from bodycam.catalog.audit import list_events
from bodycam.catalog.engine import reading
from tests.unit.api.test_anchoring import KEY
from tests.unit.api.world import World


@pytest.mark.parametrize(("who", "status"), [("ada", 200), ("aud", 200), ("dev", 403), (None, 401)])
async def test_admins_and_auditors_may(world: World, who: str | None, status: int) -> None:
    run = (await world.start_run("dev"))["run"]["id"]
    answer = await world.call(who, "POST", f"/v1/runs/{run}/evidence")
    assert answer.status_code == status
    exported = [entry for entry in world.archivist.entered if entry[0] == "exported"]
    if status == 200:
        assert answer.content == b"onetwo"
        assert (answer.headers["content-type"], answer.headers["bodycam-sessions"]) == (
            "application/x-tar",
            "2",
        )
        assert exported == [("exported", f"{who}@bodycam", run, {"kind": "evidence"})]
        with reading(world.context.catalog) as connection:
            (event,) = list_events(connection, action="exported").items
        assert event.leaf is not None
    else:
        assert exported == []
        assert world.archivist.asked == []


async def test_proofs_are_asked_from_the_clients_heads_and_the_anchors(world: World) -> None:
    run = (await world.start_run("dev"))["run"]["id"]
    world.context.anchoring.told.states["a"] = state = State()
    state.last = Head.sign(KEY, bytes(16), 77, bytes(32), 1)
    assert (
        await world.call("aud", "POST", f"/v1/runs/{run}/evidence", json={"kept": [5, 9]})
    ).status_code == 200
    assert world.archivist.asked == [(run, [5, 9, 77])]


async def test_what_is_refused(world: World) -> None:
    run = (await world.start_run("dev"))["run"]["id"]
    assert (await world.call("aud", "POST", "/v1/runs/run_none/evidence")).status_code == 404
    for body in ({"kept": [-1]}, {"kept": ["x"]}, {"kept": [1] * 201}, {"other": 1}):
        assert (await world.call("aud", "POST", f"/v1/runs/{run}/evidence", json=body)).status_code == 422
    world.archivist.away = True
    assert (await world.call("aud", "POST", f"/v1/runs/{run}/evidence")).status_code == 503
    assert world.archivist.asked == []


async def test_a_bundle_that_breaks_off_has_no_end(world: World) -> None:
    run = (await world.start_run("dev"))["run"]["id"]
    world.archivist.bundle = [b"half", ArchivistAway("it died")]
    with pytest.raises(AssertionError):
        # this transport asserts that every answer has its end; a server closes the connection without it
        await world.call("aud", "POST", f"/v1/runs/{run}/evidence")
