"""Spans on their way to a collector: each at least once, whatever the collector answers."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from bodycam.api import otlp_post
from bodycam.api.settings_in_use import SettingsInUse
from bodycam.api.span_export import SpanExport
from bodycam.catalog import spans, tail
from bodycam.catalog.engine import reading, writing
from bodycam.catalog.tables import bundles
from bodycam.config import parse
from bodycam.config.telemetry import Traces
from bodycam.registry import WORDINGS
from tests.collector import Collector, attributes, collector
from tests.contract.catalog_cases import add_session, exchange, write
from tests.unit.api.world import World


def settings(traces: dict[str, Any] | None) -> SettingsInUse:
    text = json.dumps({"telemetry": {"traces": traces}} if traces else {})
    return SettingsInUse(parse(text, file=Path("bodycam.yaml"), folder=Path("/nowhere")))


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def exporting(world: World, in_use: SettingsInUse) -> AsyncIterator[SpanExport]:
    export = SpanExport(
        world.context.catalog, in_use, WORDINGS, "1.2.3", wall=time.time, interval=0.01, first_pause=0.02
    )
    task = asyncio.create_task(export.run())
    try:
        await until(lambda: export.following is not None)
        yield export
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def index(world: World, numbers: range, **changes: Any) -> None:
    """Index exchanges, and announce them as the archivist does."""
    engine = world.context.catalog
    keys = add_session(engine, "ses_a")
    with reading(engine) as connection:
        before = set(connection.execute(bundles.select().with_only_columns(bundles.c.id)).scalars())
    write(engine, [exchange(keys, n, f"SELECT {n}", **changes) for n in numbers])
    with writing(engine) as connection:
        now = sorted(connection.execute(bundles.select().with_only_columns(bundles.c.id)).scalars())
        tail.announce(connection, [(tail.Arrival.EXCHANGES, str(key)) for key in now if key not in before])


def handed_on(world: World) -> bool:
    """Whether the exporter has written down that it needs nothing again; its own gauge may be a step behind."""
    with reading(world.context.catalog) as connection:
        place = spans.place(connection)
        return place is not None and spans.behind(connection, place) == 0


def texts(to: Collector) -> list[str]:
    return [str(attributes(one)["db.query.text"]) for one in to.spans]


async def test_what_a_collector_refuses_for_now_comes_again_with_the_same_ids(world: World) -> None:
    with collector() as to:
        to.answers += [503, 200, 429]
        async with exporting(world, settings({"endpoint": to.url})) as export:
            index(world, range(1, 4))
            await until(lambda: len(to.spans) == 3)
            index(world, range(4, 6))
            await until(lambda: len(to.spans) == 5)
            await until(lambda: handed_on(world) and export.behind == 0)
        assert (export.sent, export.failed, export.refused) == (5, 2, 0)
        assert len(to.ids()) == 5
        assert texts(to) == [f"SELECT {n}" for n in range(1, 6)]


async def test_what_is_too_much_at_once_is_halved_and_one_that_is_refused_holds_nobody_up(
    world: World,
) -> None:
    with collector() as to:
        to.most = 2
        to.answers += [400, 400, 400]
        async with exporting(world, settings({"endpoint": to.url})) as export:
            index(world, range(1, 9))
            # 8, 4 and 2 are refused; of what is left after that only more than two
            await until(lambda: export.sent == 8 and handed_on(world))
        assert (len(to.ids()), export.refused) == (8, 0)
        to.spans.clear()
        to.answers += [400]
        async with exporting(world, settings({"endpoint": to.url})) as export:
            index(world, range(10, 11))
            await until(lambda: export.refused == 1)
            index(world, range(11, 12))
            await until(lambda: texts(to) == ["SELECT 11"])


async def test_spans_that_the_collector_says_it_threw_away_are_counted(world: World) -> None:
    with collector() as to:
        to.says = {"partialSuccess": {"rejectedSpans": "2", "errorMessage": "no"}}
        async with exporting(world, settings({"endpoint": to.url})) as export:
            index(world, range(1, 4))
            await until(lambda: export.refused == 2)
        assert export.sent == 1


async def test_who_has_no_collector_keeps_nothing_for_it(world: World) -> None:
    in_use = settings({"endpoint": "http://127.0.0.1:9/v1/traces"})
    async with exporting(world, in_use) as export:
        index(world, range(1, 2))
        await until(lambda: export.failed > 0)
        with reading(world.context.catalog) as connection:
            assert spans.place(connection) is not None
        in_use.adopt(settings(None).settings)
        await until(lambda: export.following is False)
    assert export.behind == 0
    with reading(world.context.catalog) as connection:
        assert spans.place(connection) is None


async def test_housekeeping_is_left_out_and_long_texts_are_cut(world: World) -> None:
    with collector() as to:
        async with exporting(world, settings({"endpoint": to.url})):
            index(world, range(1, 2), aside=True)
            index(world, range(2, 3), error="x" * 5000, status="error", details='{"sql.command":"SELECT"}')
            await until(lambda: len(to.spans) == 1)
    (one,) = to.spans
    assert (one["name"], len(one["status"]["message"])) == ("SELECT shop", 1024)


async def test_a_collector_has_to_prove_itself_and_errors_name_no_secret(tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("wrong\x01token-0815\n")
    secret.chmod(0o600)
    traces = Traces.model_validate(
        {"endpoint": "http://127.0.0.1:9/", "headers": {"Authorization": {"file": str(secret)}}}
    )
    with pytest.raises(otlp_post.CollectorAway) as caught:
        await otlp_post.post(traces, {})
    assert "0815" not in str(caught.value)


@pytest.mark.parametrize(
    "traces",
    [
        {},
        {"endpoint": "http://collector:4318/v1/traces"},
        {"endpoint": "https://user:secret@collector/v1/traces"},
        {"endpoint": "https://c/", "headers": {"Content-Type": {"env": "X"}}},
        {"endpoint": "https://c/", "headers": {"a b": {"env": "X"}}},
        {"endpoint": "https://c/", "headers": {"Authorization": "Bearer 0815"}},
        {"endpoint": "https://c/", "protocol": "grpc"},
    ],
)
def test_settings_that_can_not_be_meant_are_refused(traces: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"expected|required|permitted|refused"):
        Traces.model_validate(traces)
