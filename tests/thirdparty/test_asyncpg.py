"""asyncpg's own tests end the same through the gateway as without it, but for those that are listed.

By default without the slow ones of its pool; BODYCAM_THIRDPARTY=full runs all.
"""

from collections import Counter
from collections.abc import Iterator

import pytest

from tests import stage
from tests.thirdparty.asyncpg_differences import DIFFERENCES
from tests.thirdparty.asyncpg_suite import PASSED, Suite
from tests.thirdparty.cache import FULL, Unavailable

# each a database, and a target of that name; the tests choose among them
DATABASES = ("suite", "postgres", "testdb", "asyncpg_intro_test")
PART = tuple(
    f"tests/test_{name}.py"
    for name in (
        "adversity",
        "cache_invalidation",
        "cancellation",
        "codecs",
        "copy",
        "cursor",
        "exceptions",
        "execute",
        "introspection",
        "listeners",
        "logging",
        "prepare",
        "record",
        "timeout",
        "transaction",
        "types",
        "utils",
    )
)
AGAIN = 2
"""Times that a test which differs is run again, both ways, before it counts: some of them race with a clock."""


@pytest.fixture
def suite() -> Suite:
    found = Suite()
    try:
        found.fetch()
    except Unavailable as reason:
        pytest.skip(str(reason))
    return found


@pytest.fixture
def server() -> Iterator[stage.Postgres]:
    with stage.postgres() as running:
        running.restart(log_statement="none")
        yield running


@pytest.fixture
def gateway(server: stage.Postgres) -> Iterator[stage.Gateway]:
    with stage.folder() as folder:
        targets = {name: stage.shop(server, database=name) for name in DATABASES}
        made = stage.Gateway(folder / "g", targets, workers=2)
        made.init()
        made.start()
        try:
            yield made
        finally:
            made.stop()


@pytest.mark.timeout(1200)
def test_the_suite_ends_the_same(suite: Suite, server: stage.Postgres, gateway: stage.Gateway) -> None:
    run = gateway.run()

    def both(*what: str) -> dict[str, tuple[str | None, str | None]]:
        """The tests that ended otherwise: directly, and through the gateway."""
        results = []
        # with a host, the suite takes the server that is there and makes none of its own
        for environment in (server.direct("suite"), run.environment | {"PGDATABASE": "suite"}):
            leave = "drop database if exists {} with (force)"
            server.sql(leave.format("suite"), leave.format("testdb"), "create database suite")
            results.append(suite.run(environment, what))
            counted.append(Counter(results[-1].values()))
        names = results[0].keys() | results[1].keys()
        return {
            name: pair
            for name in sorted(names)
            if len(set(pair := (results[0].get(name), results[1].get(name)))) > 1
        }

    counted: list[Counter[str]] = []
    different = both(*(() if FULL else PART))
    first = counted[:2]
    for _ in range(AGAIN):
        unknown = different.keys() - DIFFERENCES.keys()
        if unknown:
            still = both(*(as_argument(name) for name in sorted(unknown)))
            different = {
                name: pair for name, pair in different.items() if name in DIFFERENCES or name in still
            }

    gateway.end(run, wait=60)
    assert gateway.stop() == 0
    code, report = gateway.verify()
    for way, counts in zip(("direct", "through the gateway"), first, strict=True):
        print(f"{way}: {dict(counts)}")  # noqa: T201
    for name, pair in different.items():
        print(f"{name}: {pair[0]}, {pair[1]}: {DIFFERENCES.get(name, '?')}")  # noqa: T201
    assert first[0][PASSED] > (250 if FULL else 150)
    assert {name: pair for name, pair in different.items() if name not in DIFFERENCES} == {}
    assert (code, report["findings"], report["open"]) == (0, [], [])


def as_argument(name: str) -> str:
    """A test's name as pytest takes it."""
    file, _, rest = name.partition("::")
    return f"tests/{file}.py::{rest}"
