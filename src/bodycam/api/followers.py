"""One task for each of the things that the settings name, which goes on whatever it trips over."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, Final, Protocol, TypeVar

FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 60.0


class Named(Protocol):
    """A section of the settings that has a name."""

    @property
    def name(self) -> str: ...


Section = TypeVar("Section", bound=Named)


async def follow_each(
    wanted: Callable[[], Iterable[Section]],
    follow: Callable[[Section], Coroutine[Any, Any, None]],
    gone: Callable[[str], object],
    interval: float,
) -> None:
    """Have a task for each until cancelled; `wanted` is asked again each `interval` seconds.

    One whose settings have changed is ended, `gone` is told its name, and another takes its place.
    """
    running: dict[str, tuple[Section, asyncio.Task[None]]] = {}
    try:
        while True:
            now = {one.name: one for one in wanted()}
            for name, (section, task) in list(running.items()):
                if now.get(name) != section:
                    await _stop(task)
                    del running[name]
                    gone(name)
            for name, section in now.items():
                if name not in running:
                    running[name] = (section, asyncio.create_task(follow(section)))
            await asyncio.sleep(interval)
    finally:
        for _, task in running.values():
            await _stop(task)


async def keep_on(
    step: Callable[[], Awaitable[bool]],
    failed: Callable[[Exception], object],
    *,
    interval: float,
    first_pause: float,
) -> None:
    """Step until cancelled: at once again while `step` says so, else after `interval` seconds.

    Whatever it raises is told to `failed`, and it is tried again after a pause that grows up to
    `LONGEST_PAUSE`: a task that ended would be missed by nobody.
    """
    pause = first_pause
    while True:
        try:
            more = await step()
        except Exception as error:
            failed(error)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
            continue
        pause = first_pause
        if not more:
            await asyncio.sleep(interval)


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
