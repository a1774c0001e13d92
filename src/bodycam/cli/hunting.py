"""`bodycam leaks --hunt`: old recordings are searched for what new detectors describe."""

import multiprocessing
import os
import signal
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from bodycam.app import hunter
from bodycam.app.hunter import Quarry
from bodycam.app.judging import load_settings
from bodycam.archive.format.container import Place, read_footer
from bodycam.archive.format.v1 import FormatDamaged
from bodycam.archive.hunt import Hunted
from bodycam.archive.keys import KeysUnusable, load_archivist
from bodycam.archive.store import StoreUnavailable
from bodycam.archive.store.local import LocalStore
from bodycam.cli.door import knock
from bodycam.cli.failure import NO, Failure
from bodycam.cli.leak_lines import print_leaks
from bodycam.cli.printing import print_json, tell
from bodycam.cli.quarry import Bag
from bodycam.config import Settings, from_snapshot, snapshot
from bodycam.config.hunt import HuntRules, load_hunt
from bodycam.model import ids
from bodycam.net.control_client import ControlClient
from bodycam.policy.detectors import secrets
from bodycam.policy.detectors.known import unknown

_BATCH, _BATCH_BYTES = 64, 4 << 20
"""Sessions and bytes of one task at most; a session that is longer is a task of its own."""
_AHEAD = 3
"""Tasks that wait for each process."""
_LOOK = 0.2

Task = tuple[str, list[Place]]


@dataclass(slots=True)
class _Ground:
    """What there is to be searched, and what of it could not be."""

    tasks: list[Task] = field(default_factory=list)
    size: int = 0
    sessions: int = 0
    faults: list[dict[str, Any]] = field(default_factory=list)


def search(
    file: Path,
    *,
    run: str | None,
    jobs: int | None,
    limit: int,
    settings: str,
    as_json: bool,
    url: str | None,
) -> None:
    """Search sealed recordings, and tell what was found in the form of `leaks`.

    Raises:
        Failure: the keys can't be used, or a process was killed.
        SettingsError: settings or rules are wrong.
    """
    loaded = load_settings(Path(settings))
    rules = load_hunt(file, loaded.detectors, unknown)
    quarry = _quarry(loaded, rules)
    ground, unsealed = _begin(quarry, loaded, run, url)
    bag = Bag()
    for hunted in _hunted(quarry, ground, jobs or len(os.sched_getaffinity(0))):
        bag.take(hunted)
    faults = ground.faults + bag.faults
    leaks = bag.leaks()[:limit]
    if as_json:
        searched = {
            "sessions": ground.sessions - len(bag.faults) - bag.gone,
            "bytes": ground.size,
            "damaged": faults,
            "deleted": bag.gone,
            "unsealed": unsealed,
            "cut": bag.cut,
        }
        print_json({"leaks": leaks, "searched": searched})
    else:
        print_leaks(leaks, empty="nothing was found")
        _tell(ground, bag, faults, unsealed)
    if faults:
        raise typer.Exit(NO)


def value_of(
    fingerprint: str, file: Path | None, *, run: str | None, jobs: int | None, settings: str, url: str | None
) -> bytes:
    """The value with that fingerprint, out of sealed recordings, found by a file's detectors.

    Without a file it is found by all for secrets, and the settings' own.

    Raises:
        Failure: they find none, or the keys can't be used, or a process was killed.
        SettingsError: settings or rules are wrong.
    """
    loaded = load_settings(Path(settings))
    if file is not None:
        quarry = replace(_quarry(loaded, load_hunt(file, loaded.detectors, unknown)), wanted=fingerprint)
    else:
        own = [name for name, detector in loaded.detectors.items() if detector.secret]
        quarry = Quarry(snapshot(loaded), (secrets.GROUP, *own), fingerprint)
    ground = _begin(quarry, loaded, run, url)[0]
    faults = list(ground.faults)
    hunt = _hunted(quarry, ground, jobs or len(os.sched_getaffinity(0)))
    with closing(hunt):
        for _, hunted in hunt:
            if hunted.caught is not None:
                return hunted.caught
            if hunted.fault is not None:
                faults.append({"session": hunted.session})
    what = f"of {ground.sessions} recordings none has a value with the fingerprint {fingerprint}"
    more = f"; {len(faults)} could not be read" if faults else ""
    hint = "the detectors that found it have to be asked again: give their file with --hunt"
    raise Failure(what + more, hint=hint, code=NO)


def _begin(quarry: Quarry, settings: Settings, run: str | None, url: str | None) -> tuple[_Ground, list[str]]:
    """What is to be looked into once the gateway has been asked, and which sessions are not sealed."""
    try:
        load_archivist(settings.keys)
    except KeysUnusable as error:
        hint = "a hunt decrypts recordings: it runs on the gateway's machine, as the gateway's user"
        raise Failure(f"the archivist's keys can't be used: {error}", hint=hint) from error
    with knock(url) as client:
        client.post("/v1/hunts", {"run": run, "detectors": list(quarry.detectors)})
        wanted, unsealed = _sessions(client, run)
    # compiled once, before the others want it
    hunter.matcher(from_snapshot(quarry.settings), quarry.detectors)
    return _ground(LocalStore(settings.storage.data / "recordings"), wanted), unsealed


def _tell(ground: _Ground, bag: Bag, faults: Sequence[dict[str, Any]], unsealed: Sequence[str]) -> None:
    tell(f"{ground.sessions} recordings, {ground.size / 1e6:.1f} MB, {bag.count} leaks")
    if bag.gone:
        tell(f"{bag.gone} recordings are deleted: their keys are gone")
    if unsealed:
        tell(f"{len(unsealed)} sessions are not sealed yet and were not looked into")
    if bag.cut:
        tell(f"of {bag.cut} messages only the first MiB was looked into")
    for fault in faults:
        tell(f"could not be read: recording {fault['object']}, session {fault['session']}: {fault['why']}")


def _with(settings: Settings, rules: HuntRules) -> Settings:
    return settings.model_copy(update={"detectors": {**settings.detectors, **rules.detectors}})


def _quarry(settings: Settings, rules: HuntRules) -> Quarry:
    names = dict.fromkeys([*rules.detect, *rules.detectors])
    return Quarry(snapshot(_with(settings, rules)), tuple(names))


def _sessions(client: ControlClient, run: str | None) -> tuple[set[bytes] | None, list[str]]:
    """Which sessions to look into (None: all), and those of them that are not sealed."""
    unsealed = [
        str(one["id"])
        for state in ("open", "closed")
        for one in client.pages("/v1/sessions", "sessions", {"run": run, "state": state})
    ]
    if run is None:
        return None, unsealed
    found = client.pages("/v1/sessions", "sessions", {"run": run, "state": "sealed"})
    return {ids.raw(str(one["id"])) for one in found}, unsealed


def _ground(store: LocalStore, wanted: set[bytes] | None) -> _Ground:
    """All that is to be looked into, by container."""
    ground = _Ground()
    for name in store.list():
        try:
            places = read_footer(partial(store.get_range, name), store.size(name))[0]
        except (FormatDamaged, StoreUnavailable, ValueError) as error:
            ground.faults.append({"object": name, "session": None, "why": str(error)})
            continue
        batch: list[Place] = []
        for place in places:
            if wanted is not None and place.session not in wanted:
                continue
            ground.sessions += 1
            ground.size += place.length
            if batch and (
                len(batch) >= _BATCH or sum(one.length for one in batch) + place.length > _BATCH_BYTES
            ):
                ground.tasks.append((name, batch))
                batch = []
            batch.append(place)
        if batch:
            ground.tasks.append((name, batch))
    return ground


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Ctrl-C waits while a process may be started, which inherits that it waits, and so never hears of it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _hunted(quarry: Quarry, ground: _Ground, jobs: int) -> Generator[tuple[str, Hunted]]:
    """What each session has, with its container, as it is done."""
    if not ground.tasks:
        return
    context = multiprocessing.get_context("spawn")
    stop, read = context.Event(), context.Value("Q", 0)
    pool = ProcessPoolExecutor(
        min(jobs, len(ground.tasks)), context, initializer=hunter.begin, initargs=(quarry, stop, read)
    )
    console = Console(stderr=True)
    waiting: dict[Future[list[Hunted]], str] = {}
    tasks = iter(ground.tasks)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    try:
        with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
            bar = progress.add_task("recordings", total=ground.size)
            while True:
                while len(waiting) < _AHEAD * jobs and (task := next(tasks, None)) is not None:
                    with _undisturbed():
                        waiting[pool.submit(hunter.look, *task)] = task[0]
                if not waiting:
                    return
                done, _ = wait(waiting, _LOOK, FIRST_COMPLETED)
                progress.update(bar, completed=min(read.value, ground.size))
                for one in done:
                    name = waiting.pop(one)
                    yield from ((name, hunted) for hunted in one.result())
    except BrokenProcessPool as error:
        hint = "it may have run out of memory, or a key can't be read; try --jobs 1"
        raise Failure("a process of the hunt ended by itself", hint=hint) from error
    finally:
        # whatever ends it early, Ctrl-C too: each process stops before its next block
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)
