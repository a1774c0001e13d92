"""The checks of `bodycam doctor`; each answers, none raises, and each has its deadline."""

import errno
import os
import shutil
import socket
import stat
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum
from pathlib import Path

import httpx
from sqlalchemy.exc import SQLAlchemyError

from bodycam import config
from bodycam.app.judging import load_settings
from bodycam.catalog.schema import SchemaError
from bodycam.catalog.schema import check as check_schema
from bodycam.cli.catalog_door import catalog_of
from bodycam.cli.failure import Failure
from bodycam.config import Settings
from bodycam.net.control_access import ControlAccess, control_url
from bodycam.net.control_client import ControlError, trust

SECONDS = 3.0
_PUBLIC = (
    "public/archivist.pem",
    "public/signing.pem",
    "public/listener-ca.pem",
    "public/run-client-ca.pem",
)
_PRIVATE = (
    "archivist/journal.pem",
    "archivist/signing.pem",
    "archivist/wrapping.key",
    "control/listener-ca.pem",
    "control/run-client-ca.pem",
    "control/login.key",
    "admin.key",
)
_PREALLOCATED = 1 << 20
_CLOCK_SECONDS = 2.0
_BEFORE_ALL = 1_735_689_600  # 2025-01-01: no clock that is right is behind this program


class State(StrEnum):
    """How bad it is."""

    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at, what was found, and what to do about it."""

    name: str
    state: State
    found: str
    fix: str = ""


def examine(file: Path) -> list[Check]:
    """All checks of the gateway that these settings describe."""
    try:
        settings = load_settings(file)
    except config.SettingsError as error:
        return [
            Check("settings", State.BAD, str(error), f"correct {file}; `bodycam init` writes a first one")
        ]
    looks: list[Callable[[Settings], Iterable[Check]]] = [
        _keys,
        _disk,
        _sockets,
        _catalog,
        _control,
        _targets,
    ]
    return [Check("settings", State.GOOD, str(file)), *(one for look in looks for one in look(settings))]


def _keys(settings: Settings) -> Iterator[Check]:
    faults = []
    for name in (*_PUBLIC, *_PRIVATE):
        path = settings.keys / name
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
        except OSError as error:
            faults.append(Check(f"key {name}", State.BAD, str(error.strerror), "bodycam init"))
            continue
        if name in _PRIVATE and mode & 0o077:
            faults.append(
                Check(f"key {name}", State.BAD, f"others can read it ({mode:04o})", f"chmod 600 {path}")
            )
    yield from faults or [Check("keys", State.GOOD, f"all there, closed to others, in {settings.keys}")]


def _disk(settings: Settings) -> Iterator[Check]:
    folder = settings.storage.data
    if not folder.is_dir():
        yield Check("data folder", State.BAD, f"{folder} is not there", "bodycam init")
        return
    free, wanted = shutil.disk_usage(folder).free, settings.journal.max_size * settings.workers
    state = State.GOOD if free > wanted else State.WARNING
    fix = "" if state is State.GOOD else "make room, or lower journal.max_size"
    yield Check("disk space", state, f"{free >> 20} MiB free; the journal may take {wanted >> 20} MiB", fix)
    try:
        with tempfile.NamedTemporaryFile(dir=folder) as file:
            os.posix_fallocate(file.fileno(), 0, _PREALLOCATED)
    except OSError as error:
        unable = error.errno in (errno.EOPNOTSUPP, errno.EINVAL)
        fix = (
            "put storage.data on ext4, XFS, Btrfs or tmpfs" if unable else f"let this user write to {folder}"
        )
        yield Check("preallocation", State.BAD, f"{folder}: {error.strerror}", fix)
        return
    yield Check("preallocation", State.GOOD, "the file system reserves space for real")


def _sockets(settings: Settings) -> Iterator[Check]:
    folder = settings.storage.sockets
    if not folder.exists():
        yield Check("sockets", State.GOOD, f"{folder} is made when the gateway starts")
        return
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & 0o077:
        yield Check("sockets", State.BAD, f"{folder} is open to others ({mode:04o})", f"chmod 700 {folder}")
    else:
        yield Check("sockets", State.GOOD, f"{folder} is closed to others")


def _catalog(settings: Settings) -> Iterator[Check]:
    try:
        engine = catalog_of(settings)
        try:
            check_schema(engine)
        finally:
            engine.dispose()
    except SchemaError as error:
        yield Check("catalog", State.BAD, str(error), "bodycam init, or start the gateway, which upgrades it")
    except (Failure, SQLAlchemyError, OSError) as error:
        yield Check("catalog", State.BAD, str(error).splitlines()[0], "check storage.catalog; bodycam init")
    else:
        yield Check("catalog", State.GOOD, "it answers and has this version's schema")


def _control(settings: Settings) -> Iterator[Check]:
    url, ca = control_url(settings), settings.keys / "public" / "listener-ca.pem"
    try:
        access = ControlAccess(url, ca_file=ca if ca.exists() else None)
        with httpx.Client(verify=trust(access), timeout=SECONDS, trust_env=False) as client:
            answer = client.get(f"{url}/readyz")
    except (httpx.HTTPError, ControlError) as error:
        yield Check("control API", State.WARNING, f"{url} does not answer: {error}", "bodycam serve")
        return
    if answer.status_code == httpx.codes.OK:
        yield Check("control API", State.GOOD, f"{url} is ready")
    else:
        yield Check(
            "control API", State.BAD, f"{url} is not ready: {answer.text[:300]}", "see the gateway's log"
        )
    yield _clock(answer.headers.get("date", ""))


def _clock(date: str) -> Check:
    now = time.time()
    if now < _BEFORE_ALL:
        return Check("clock", State.BAD, "it is years behind", "set the clock, and keep it by NTP")
    try:
        apart = abs(parsedate_to_datetime(date).timestamp() - now)
    except ValueError:
        return Check("clock", State.GOOD, "plausible; the gateway did not tell its own")
    if apart > _CLOCK_SECONDS:
        return Check("clock", State.WARNING, f"{apart:.0f} s apart from the gateway's", "keep both by NTP")
    return Check("clock", State.GOOD, "the same as the gateway's")


def _targets(settings: Settings) -> list[Check]:
    def dial(name: str) -> Check:
        address = settings.targets[name].address
        try:
            socket.create_connection((address.host, address.port), timeout=SECONDS).close()
        except OSError as error:
            fix = f"check targets.{name}.address, and that it may be reached from here"
            return Check(f"target {name}", State.WARNING, f"{address}: {error}", fix)
        return Check(f"target {name}", State.GOOD, f"{address} accepts connections")

    if not settings.targets:
        return [Check("targets", State.WARNING, "there are none", "describe one under `targets`")]
    with ThreadPoolExecutor(max_workers=16) as pool:
        return list(pool.map(dial, sorted(settings.targets)))
