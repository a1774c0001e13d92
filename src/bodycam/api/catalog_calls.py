"""Catalog queries off the event loop."""

from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine
from starlette.concurrency import run_in_threadpool

from bodycam.catalog.engine import reading, writing

P = ParamSpec("P")
T = TypeVar("T")


async def read(
    engine: Engine, query: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """What `query` finds, within one consistent view."""

    def work() -> T:
        with reading(engine) as connection:
            return query(connection, *args, **kwargs)

    return await run_in_threadpool(work)


async def write(
    engine: Engine, change: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """What `change` answers, in one durable transaction."""

    def work() -> T:
        with writing(engine) as connection:
            return change(connection, *args, **kwargs)

    return await run_in_threadpool(work)
