"""Leaks as the API tells them: to whom, by run, with every session, and never a value."""

from bodycam.catalog.engine import writing
from bodycam.catalog.runs import get_run
from bodycam.catalog.sessions import get_session
from bodycam.catalog.sightings import Sighting, write
from tests.unit.api.test_finding import index
from tests.unit.api.world import World

KEY = "a" * 32


def tell(world: World, session: str, at: int, *, way: str = "received", what: str = KEY) -> None:
    with writing(world.context.catalog) as connection:
        found = get_session(connection, session)
        assert found is not None
        run = get_run(connection, found.run)
        assert run is not None
        secret = what == KEY
        one = Sighting(
            what, way, secret, "secrets.x" if secret else what, at, 1, 2_000_001, at, 1, 0 if secret else 5
        )
        write(connection, found.key, run.key, [one])


async def test_from_one_persons_run_to_anothers(world: World) -> None:
    first, second = (await world.start_run("dev"))["run"]["id"], (await world.start_run("eve"))["run"]["id"]
    source, sink = world.add_session(first, "dev"), world.add_session(second, "eve")
    index(world, source, "SELECT note FROM vault")
    tell(world, source, 2_000_010)
    tell(world, sink, 9_000_000, way="sent")
    tell(world, sink, 8_000_000, what="pii.email")

    mail, secret = (await world.call("aud", "GET", "/v1/leaks")).json()["leaks"]
    assert (mail["fingerprint"], mail["detector"], mail["values"]) == (None, "pii.email", 5)
    assert (secret["fingerprint"], secret["detector"], secret["values"]) == (KEY, "secrets.x", None)
    assert secret["first"] == {
        "at": 2.00001,
        "session": source,
        "run": first,
        "agent": "billing-bot",
        "principal": "dev@bodycam",
        "target": "orders",
        "way": "received",
        "exchange": 1,
        "verb": "query",
        "text": "SELECT note FROM vault",
    }
    assert [(one["session"], one["way"]) for one in secret["sessions"]] == [
        (source, "received"),
        (sink, "sent"),
    ]

    async def listed(who: str, **query: str) -> list[tuple[str, int]]:
        answer = await world.call(who, "GET", "/v1/leaks", params=query)
        return [(one["detector"], one["sessions_total"]) for one in answer.json()["leaks"]]

    # who may see one run alone learns nothing of the other's
    assert await listed("dev") == [("secrets.x", 1)]
    assert await listed("eve") == [("secrets.x", 1), ("pii.email", 1)]
    assert await listed("aud", run=first) == [("secrets.x", 2)]
    assert await listed("dev", run=first) == [("secrets.x", 1)]


async def test_every_session_page_by_page(world: World) -> None:
    run = (await world.start_run())["run"]["id"]
    names = [world.add_session(run) for _ in range(25)]
    for at, name in enumerate(names):
        tell(world, name, 5_000_000 + at)
    (leak,) = (await world.call("dev", "GET", "/v1/leaks")).json()["leaks"]
    assert (leak["more"], leak["sessions_total"], len(leak["sessions"])) == (True, 25, 20)
    found: list[str] = []
    query: dict[str, str] = {"leak": leak["id"], "limit": "10"}
    while True:
        page = (await world.call("dev", "GET", "/v1/leaks/sessions", params=query)).json()
        found += [one["session"] for one in page["sessions"]]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert found == names


async def test_an_unknown_run_is_refused_and_so_is_somebody_elses(world: World) -> None:
    theirs = (await world.start_run("eve"))["run"]["id"]
    for run in ("run_nothere", theirs):
        for path in ("/v1/leaks", "/v1/leaks/sessions"):
            answer = await world.call("dev", "GET", path, params={"run": run, "leak": KEY})
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not-found")
    assert (await world.call(None, "GET", "/v1/leaks")).status_code == 401


async def test_a_hunt_is_for_those_who_read_all_and_is_in_the_ledger_before_it_begins(world: World) -> None:
    run = (await world.start_run("dev"))["run"]["id"]
    body = {"run": run, "detectors": ["secrets"]}
    assert (await world.call("dev", "POST", "/v1/hunts", json=body)).status_code == 403
    assert (await world.call("aud", "POST", "/v1/hunts", json=body)).status_code == 200
    assert (await world.call("ada", "POST", "/v1/hunts", json={"detectors": ["a", "b"]})).status_code == 200
    assert world.archivist.entered[-2:] == [
        ("hunted", "aud@bodycam", run, {"detectors": ["secrets"]}),
        ("hunted", "ada@bodycam", "recordings", {"detectors": ["a", "b"]}),
    ]
    nowhere = await world.call("aud", "POST", "/v1/hunts", json={**body, "run": "run_nothere"})
    assert nowhere.status_code == 404
    assert (await world.call("aud", "POST", "/v1/hunts", json={"detectors": []})).status_code == 422
    world.archivist.away = True
    assert (await world.call("aud", "POST", "/v1/hunts", json=body)).status_code == 503
