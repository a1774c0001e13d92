"""What retention asks of a catalog, in each database."""

from sqlalchemy import Engine

from bodycam.catalog import retention, sessions
from bodycam.catalog.engine import reading, writing
from bodycam.catalog.retention import DeletionRecord
from tests.contract.catalog_cases import NOON, add_session

SECOND = 1_000_000


def sealed(engine: Engine, name: str, at: int, **changes: object) -> None:
    add_session(engine, name, **changes)
    with writing(engine) as connection:
        place = sessions.Place(f"2026/{name}.bcr", 21, 100, b"r" * 32)
        assert sessions.seal_session(connection, name, place, at)


def deletion(name: str, run: str = "run_a", container: str = "2026/a.bcr") -> DeletionRecord:
    return DeletionRecord(f"ses_{name}", run, "short", NOON, NOON + SECOND, container)


def test_labels_are_kept_and_filled_in(catalog: Engine) -> None:
    add_session(catalog, "ses_a", labels={"env": "prod"})
    with writing(catalog) as connection:
        connection.exec_driver_sql("UPDATE sessions SET labels = NULL")
    with writing(catalog) as connection:
        found = sessions.get_session(connection, "ses_a")
        assert found is not None
        assert found.labels is None
        sessions.keep_labels(connection, "ses_a", {"env": "dev"})
        found = sessions.get_session(connection, "ses_a")
        assert found is not None
        assert found.labels == {"env": "dev"}
    add_session(catalog, "ses_a", labels={"env": "prod"})
    with reading(catalog) as connection:
        found = sessions.get_session(connection, "ses_a")
        assert found is not None
        assert found.labels == {"env": "prod"}, "what a recording says again counts"


def test_sessions_sealed_before_a_moment_come_page_by_page_and_open_ones_never(catalog: Engine) -> None:
    for number in range(5):
        sealed(catalog, f"ses_{number}", NOON + number * SECOND, opened=NOON - number * SECOND)
    add_session(catalog, "ses_open", opened=NOON - 100 * SECOND)
    found, after = list[str](), None
    while True:
        with reading(catalog) as connection:
            page = retention.sealed_sessions(connection, NOON + 4 * SECOND, after, 2)
        found += [one.id for one in page]
        if len(page) < 2:
            break
        after = page[-1].opened, page[-1].key
    assert found == ["ses_3", "ses_2", "ses_1", "ses_0"]


def test_a_deletion_is_noted_once_and_asks_for_a_scrub(catalog: Engine) -> None:
    with writing(catalog) as connection:
        assert not retention.scrub_demanded(connection)
        assert retention.note(connection, [deletion("a"), deletion("b", "run_b")]) == ["ses_a", "ses_b"]
        assert retention.note(connection, [deletion("b"), deletion("c")]) == ["ses_c"]
        assert retention.scrub_demanded(connection)
        retention.scrubbed(connection)
        assert not retention.scrub_demanded(connection)
    with reading(catalog) as connection:
        assert retention.deletion_of(connection, "ses_b") == deletion("b", "run_b")
        assert retention.deletion_of(connection, "ses_x") is None
        assert [one.session for one in retention.deletions_of_run(connection, "run_a", 9)] == [
            "ses_a",
            "ses_c",
        ]
        names = (f"ses_{one}" for one in ["a", "x", *range(1200)])
        assert retention.deleted_among(connection, names) == {"ses_a"}


def test_objects_are_left_until_they_are_gone(catalog: Engine) -> None:
    with writing(catalog) as connection:
        retention.note(connection, [deletion("a", container="x"), deletion("b", container="x")])
        retention.note(connection, [deletion("c", container="y")])
        assert retention.objects_left(connection, "", 9) == ["x", "y"]
        assert retention.objects_left(connection, "x", 9) == ["y"]
        assert retention.objects_left(connection, "", 1) == ["x"]
        retention.object_gone(connection, "x", NOON)
        assert retention.objects_left(connection, "", 9) == ["y"]
        found = retention.deletion_of(connection, "ses_b")
        assert found is not None
        assert found.removed == NOON
