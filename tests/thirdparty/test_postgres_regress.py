"""PostgreSQL's own regression tests print the same through the gateway as without it.

By default a part that takes seconds; BODYCAM_THIRDPARTY=full runs all of it.
"""

import difflib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import stage
from tests.thirdparty import debian_source
from tests.thirdparty.cache import FULL, Unavailable
from tests.thirdparty.regress import DATABASE, Results, Suite

# in groups that run at once, as in the suite's own schedule
PART = """\
test: test_setup
test: boolean char name varchar text int2 int4 int8 float4 float8 numeric uuid enum money
test: strings date time timetz timestamp timestamptz interval inet
test: copy copyselect copydml insert insert_conflict
test: create_index
test: select errors transactions portals arrays case union subselect
test: prepare plancache limit plpgsql copy2 temp domain largeobject json jsonb async psql_crosstab guc returning with
"""


@pytest.fixture
def server() -> Iterator[stage.Postgres]:
    with stage.postgres() as running:
        # as in the instance that pg_regress makes for itself; the log would only slow it down
        running.restart(max_prepared_transactions="2", log_statement="none")
        yield running


@pytest.fixture
def source() -> Path:
    try:
        return debian_source.suites() / "regress"
    except Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture
def gateway(server: stage.Postgres) -> Iterator[stage.Gateway]:
    with stage.folder() as folder:
        made = stage.Gateway(folder / "g", {DATABASE: stage.shop(server, database=DATABASE)}, workers=2)
        made.init()
        made.start()
        try:
            yield made
        finally:
            made.stop()


@pytest.mark.timeout(1200)
def test_the_suite_prints_the_same(source: Path, server: stage.Postgres, gateway: stage.Gateway) -> None:
    with stage.folder() as folder:
        suite = Suite(source, folder, server)
        schedule = None if FULL else PART
        direct = suite.run("direct", server.direct(DATABASE), schedule)
        run = gateway.run()
        through = suite.run("through", run.environment | {"PGDATABASE": DATABASE}, schedule)
    sessions = gateway.end(run, wait=60)["sessions"]
    assert gateway.stop() == 0
    code, report = gateway.verify()

    print(summary(direct, through))  # noqa: T201
    assert len(through.printed) >= (200 if FULL else 50)
    assert differing(direct, through) == {}
    assert [name for name, good in direct.expected.items() if good and not through.expected[name]] == []
    assert (code, report["findings"], report["open"]) == (0, [], [])
    assert len(sessions) >= len(through.printed)


def differing(direct: Results, through: Results) -> dict[str, str]:
    """The tests that printed something else through the gateway, with the first lines of the difference.

    Several outputs may be right, and chance decide between them: what is expected both times is the same.
    """
    found = {}
    for name in sorted(direct.printed.keys() | through.printed.keys()):
        left, right = direct.printed.get(name, b""), through.printed.get(name, b"")
        if left != right and not (direct.expected.get(name) and through.expected.get(name)):
            lines = difflib.unified_diff(
                left.decode("utf-8", "replace").splitlines(),
                right.decode("utf-8", "replace").splitlines(),
                "direct",
                "through the gateway",
                n=1,
                lineterm="",
            )
            found[name] = os.linesep.join(line for line, _ in zip(lines, range(40), strict=False))
    return found


def summary(direct: Results, through: Results) -> str:
    """What was run, in one line for each way."""
    same = sum(direct.printed.get(name) == printed for name, printed in through.printed.items())
    return "\n".join(
        [
            "",
            f"direct: {sum(direct.expected.values())} of {len(direct.expected)} as PostgreSQL expects",
            f"through the gateway: {sum(through.expected.values())} of {len(through.expected)}",
            f"printed byte for byte the same: {same} of {len(through.printed)}",
        ]
    )
