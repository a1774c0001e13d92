"""What may be seen, in every listing: the same as looking at each session, few or many, on both catalogs."""

import pytest
from sqlalchemy import Connection, Engine

from bodycam.catalog import deletion, runs, sessions, visible
from bodycam.catalog.engine import reading, writing
from bodycam.catalog.exchanges import ExchangeFilter, list_exchanges
from bodycam.catalog.provenances import newer
from bodycam.catalog.search import search
from bodycam.catalog.sightings import LeakFilter, Sighting, leak_sessions, list_leaks
from bodycam.catalog.sightings import write as write_sightings
from bodycam.catalog.visible import EVERYTHING, NOTHING, Visible
from bodycam.model.provenance import Provenance
from tests.contract.catalog_cases import CI, NOON, add_session, exchange, write

SESSIONS = {
    "ses_a": {"run": "run_a", "principal": "ann@corp", "target": "ledger"},
    "ses_b": {"run": "run_a", "principal": "ann@corp", "target": "shop"},
    "ses_c": {"run": "run_c", "principal": "bob@corp", "target": "shop"},
    "ses_d": {"run": "run_d", "principal": "ann@corp", "target": "ledger"},
}


@pytest.fixture(params=["few", "many"])
def filled(request: pytest.FixtureRequest, catalog: Engine, monkeypatch: pytest.MonkeyPatch) -> Engine:
    if request.param == "many":
        monkeypatch.setattr(visible, "_FEW", 0)
    for number, (name, given) in enumerate(SESSIONS.items()):
        keys = add_session(catalog, name, opened=NOON + number, **given)
        write(catalog, [exchange(keys, 1, "SELECT zebra", started=NOON + number, values=f"only{name[-1]}")])
        with writing(catalog) as connection:
            seen = Sighting(
                "fp_1", "received", True, "secrets.x", NOON + number, 1, NOON + number, NOON, 1, 0
            )
            write_sightings(connection, *keys, [seen])
    return catalog


def keys_of(connection: Connection, *targets: str, principal: str | None = None) -> tuple[int, ...]:
    return tuple(
        key
        for key, one in newer(connection, 0, 100)
        if one.target in targets and principal in (None, one.principal)
    )


def listed(connection: Connection, seen: Visible) -> dict[str, set[str]]:
    """Which sessions each listing tells of."""
    hits, cursor = [], None
    while True:
        page = search(connection, "zebra", ExchangeFilter(visible=seen), limit=1, cursor=cursor)
        hits += [hit.exchange.session for hit in page.items]
        cursor = page.next
        if cursor is None:
            break
    leaks = list_leaks(connection, LeakFilter(visible=seen)).items
    places = leak_sessions(connection, "fp_1", LeakFilter(visible=seen)).items
    assert sum(leak.sessions for leak in leaks) == len(places) == len(hits)
    return {
        "sessions": {one.id for one in sessions.list_sessions(connection, sessions.SessionFilter(visible=seen)).items},
        "exchanges": {one.session for one in list_exchanges(connection, ExchangeFilter(visible=seen)).items},
        "hits": set(hits),
        "leaks": {place.session for leak in leaks for place in leak.places},
        "places": {place.session for place in places},
    }  # fmt: skip


def runs_of(connection: Connection, seen: Visible) -> set[str]:
    return {one.id for one in runs.list_runs(connection, runs.RunFilter(visible=seen), now=1).items}


def test_listings_tell_of_what_may_be_seen(filled: Engine) -> None:
    with reading(filled) as connection:
        ledger, shop = keys_of(connection, "ledger"), keys_of(connection, "shop")
        bobs = keys_of(connection, "shop", principal="bob@corp")
        cases = [
            (EVERYTHING, {"ses_a", "ses_b", "ses_c", "ses_d"}, {"run_a", "run_c", "run_d"}),
            (NOTHING, set(), set()),
            (Visible(), set(), set()),
            (Visible("ann@corp"), {"ses_a", "ses_b", "ses_d"}, set()),
            (Visible(provenances=ledger), {"ses_a", "ses_d"}, {"run_a", "run_d"}),
            (Visible(provenances=shop), {"ses_b", "ses_c"}, {"run_a", "run_c"}),
            (Visible("nobody@corp", bobs), {"ses_c"}, {"run_c"}),
        ]
        for seen, right, right_runs in cases:
            for name, told in listed(connection, seen).items():
                assert told == right, (seen, name)
            # of `principal` alone runs go by who started them, which the cases' runs say otherwise
            if seen != Visible("ann@corp"):
                assert runs_of(connection, seen) == right_runs
            for run in ("run_a", "run_c", "run_d"):
                inside = {name for name, given in SESSIONS.items() if given["run"] == run}
                assert runs.has_visible(connection, run, seen) == bool(inside & right)
        assert runs_of(connection, Visible("ci@api")) == {"run_a", "run_c", "run_d"}
        assert runs_of(connection, Visible("ci@api", ())) == {"run_a", "run_c", "run_d"}


def test_filters_and_pages_stay_within_what_may_be_seen(filled: Engine) -> None:
    with reading(filled) as connection:
        seen = Visible(provenances=keys_of(connection, "shop"))
        page = sessions.list_sessions(connection, sessions.SessionFilter(visible=seen), limit=1)
        rest = sessions.list_sessions(
            connection, sessions.SessionFilter(visible=seen), limit=1, cursor=page.next
        )
        assert [one.id for one in (*page.items, *rest.items)] == ["ses_c", "ses_b"]
        assert rest.next is None
        for wanted in (
            ExchangeFilter(session="ses_a", visible=seen),
            ExchangeFilter(run="run_d", visible=seen),
            ExchangeFilter(target="ledger", visible=seen),
            ExchangeFilter(agent="bot", target="ledger", visible=seen),
        ):
            assert list_exchanges(connection, wanted).items == ()
            assert search(connection, "zebra", wanted).items == ()
        assert search(connection, "onlya", ExchangeFilter(visible=seen)).items == ()
        # what was met in a session of the run that is not seen brings up no other place
        only_d = Visible(provenances=keys_of(connection, "ledger"))
        assert [
            leak.sessions for leak in list_leaks(connection, LeakFilter("run_a", visible=only_d)).items
        ] == [2]
        bobs = Visible(provenances=keys_of(connection, "shop", principal="bob@corp"))
        assert list_leaks(connection, LeakFilter("run_a", visible=bobs)).items == ()


GROUPS = tuple(sorted(CI.groups))


def test_provenances_come_and_go_with_their_sessions(catalog: Engine) -> None:
    for name, given in SESSIONS.items():
        add_session(catalog, name, **given)
    with reading(catalog) as connection:
        known = newer(connection, 0, 100)
    assert [one for _, one in known] == [
        Provenance("ann@corp", "bot", "ledger", "postgres", GROUPS),
        Provenance("ann@corp", "bot", "shop", "postgres", GROUPS),
        Provenance("bob@corp", "bot", "shop", "postgres", GROUPS),
    ]
    assert deletion.forget_session(catalog, "ses_a")
    assert deletion.forget_session(catalog, "ses_c")
    add_session(catalog, "ses_e", **SESSIONS["ses_c"])
    with reading(catalog) as connection:
        left = newer(connection, 0, 100)
        assert [one.target for _, one in newer(connection, known[-1][0], 100)] == ["shop"]
        assert newer(connection, 0, 1) == left[-1:]
    # no key is given twice: whoever remembers an old one must not take it for another's
    assert [key for key, _ in left][:2] == [known[0][0], known[1][0]]
    assert left[2][0] > known[2][0]
    deletion.clear_index(catalog)
    with reading(catalog) as connection:
        assert newer(connection, 0, 100) == []
