"""Where secrets turned up, in either database."""

from collections.abc import Sequence

from sqlalchemy import Engine, func, select

from bodycam.catalog import deletion, renewal, sightings
from bodycam.catalog.engine import reading, writing
from bodycam.catalog.sightings import RECEIVED, SENT, LeakFilter, Sighting, leak_sessions, list_leaks
from bodycam.catalog.tables import sightings as table
from tests.contract.catalog_cases import NOON, add_session, exchange, write

KEY, OTHER = "a" * 32, "b" * 32


def seen(what: str, at: int, number: int = 1, *, way: str = RECEIVED, times: int = 1) -> Sighting:
    secret = len(what) == 32
    first = NOON + at * 1000
    detector = "secrets.some-token" if secret else what
    met = 0 if secret else 3 * times
    return Sighting(
        what, way, secret, detector, first, number, NOON + number * 1000, first + times, times, met
    )


def tell(engine: Engine, keys: tuple[int, int], *found: Sighting) -> None:
    with writing(engine, durable=False) as connection:
        sightings.write(connection, *keys, found)


def leaks(engine: Engine, run: str | None = None, principal: str | None = None) -> Sequence[sightings.Leak]:
    with reading(engine) as connection:
        return list_leaks(connection, LeakFilter(run, principal)).items


def test_a_secret_that_went_from_one_run_to_another(catalog: Engine) -> None:
    first = add_session(catalog, "ses_a", run="run_a", target="vault")
    second = add_session(catalog, "ses_b", run="run_b", target="outside", agent="other")
    add_session(catalog, "ses_c", run="run_c")
    write(catalog, [exchange(first, 1, "SELECT note FROM vault"), exchange(second, 4, "INSERT ...")])
    tell(catalog, second, seen(KEY, 900, 4, way=SENT, times=2))
    tell(catalog, first, seen(KEY, 1), seen(OTHER, 5, 2), seen("pii.email", 3))

    newest, card, oldest = leaks(catalog)
    assert [newest.what, card.what, oldest.what] == [OTHER, "pii.email", KEY]
    assert (oldest.detector, oldest.sessions, oldest.exchanges) == ("secrets.some-token", 2, 3)
    assert oldest.asked is not None
    assert (oldest.asked.text, oldest.asked.number) == ("SELECT note FROM vault", 1)
    assert [(one.session, one.run, one.target, one.sighting.way) for one in oldest.places] == [
        ("ses_a", "run_a", "vault", "received"),
        ("ses_b", "run_b", "outside", "sent"),
    ]
    assert newest.asked is None  # its exchange is not indexed
    assert (card.secret, card.met) == (False, 3)
    # in the second run it is the same secret with all its story; the mail addresses are not that run's
    assert [one.what for one in leaks(catalog, run="run_b")] == [KEY]
    assert leaks(catalog, run="run_b")[0].sessions == 2
    assert [one.what for one in leaks(catalog, run="run_a")] == [OTHER, "pii.email", KEY]
    assert leaks(catalog, run="run_c") == ()
    assert leaks(catalog, principal="somebody@else") == ()


def test_writing_again_changes_nothing_and_more_replaces(catalog: Engine) -> None:
    keys = add_session(catalog, "ses_a")
    for _ in range(2):
        tell(catalog, keys, seen(KEY, 1), seen(KEY, 2, way=SENT))
    tell(catalog, keys, seen(KEY, 1, times=5))

    (one,) = leaks(catalog)
    assert (one.exchanges, one.sessions) == (6, 1)
    assert [(place.sighting.way, place.sighting.exchanges) for place in one.places] == [
        ("received", 5),
        ("sent", 1),
    ]


def test_pages_of_leaks_and_of_their_sessions(catalog: Engine) -> None:
    for number in range(30):
        keys = add_session(catalog, f"ses_{number:02}", opening=number + 1)
        # all at one moment: the order has to hold all the same
        tell(catalog, keys, seen(KEY, 7), seen(f"{number:032x}", 9))
    found: list[str] = []
    cursor = None
    with reading(catalog) as connection:
        while True:
            page = list_leaks(connection, LeakFilter(), limit=7, cursor=cursor)
            found += [one.what for one in page.items]
            cursor = page.next
            if cursor is None:
                break
        (shared,) = [one for one in list_leaks(connection, LeakFilter()).items if one.what == KEY]
        sessions: list[str] = []
        while True:
            places = leak_sessions(connection, KEY, LeakFilter(), limit=11, cursor=cursor)
            sessions += [one.session for one in places.items]
            cursor = places.next
            if cursor is None:
                break
    assert sorted(found) == sorted([KEY, *(f"{number:032x}" for number in range(30))])
    assert found[-1] == KEY
    assert (len(shared.places), shared.more, shared.sessions) == (sightings.FIRST_SESSIONS, True, 30)
    assert sessions == [f"ses_{number:02}" for number in range(30)]


def test_they_go_with_their_session_and_with_the_index(catalog: Engine) -> None:
    first, second = add_session(catalog, "ses_a"), add_session(catalog, "ses_b")
    tell(catalog, first, seen(KEY, 1))
    tell(catalog, second, seen(KEY, 2), seen(OTHER, 3))
    assert deletion.forget_session(catalog, "ses_a")
    assert [(one.what, one.sessions) for one in leaks(catalog)] == [(OTHER, 1), (KEY, 1)]
    deletion.clear_index(catalog)
    with reading(catalog) as connection:
        assert connection.execute(select(func.count()).select_from(table)).scalar_one() == 0


def test_recordings_are_read_again_once_and_nothing_is_emptied_for_it(catalog: Engine) -> None:
    keys = add_session(catalog, "ses_a")
    write(catalog, [exchange(keys, 1, "SELECT zebra")])
    with writing(catalog) as connection:
        renewal.read_again(connection)
        renewal.read_again(connection)
    with reading(catalog) as connection:
        assert renewal.demanded(connection)
        assert deletion.counts(connection)["exchanges"] == 1
