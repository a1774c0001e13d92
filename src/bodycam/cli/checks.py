"""The checks of `bodycam doctor`; each answers, none raises, and each has its deadline."""

import asyncio
import contextlib
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
from bodycam.app.keys_there import has_host_key, intercepts, vouches_at_targets
from bodycam.archive.store import ObjectMissing, StoreUnavailable
from bodycam.archive.store.local import LocalStore
from bodycam.catalog.schema import SchemaError
from bodycam.catalog.schema import check as check_schema
from bodycam.cli.catalog_door import catalog_of
from bodycam.cli.failure import Failure
from bodycam.cli.ssh_hosts import host_fault
from bodycam.config import Settings
from bodycam.config.targets import TargetSettings
from bodycam.net.control_access import ControlAccess, control_url
from bodycam.net.control_client import ControlError, trust
from bodycam.registry import WANTS
from bodycam.session.quota import Quota
from bodycam.targets.secrets import SecretUnavailable
from bodycam.targets.ssh_logins import known_hosts

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
# needed where the settings say so; looked after wherever they are
_INTERCEPTION = ("public/interception-ca.pem", "control/interception-ca.pem")
_SSH = ("public/ssh-host.pub", "control/ssh-host.key", "public/run-ssh-ca.pub", "control/run-ssh-ca.key")
_SSH_TARGETS = ("public/target-ssh-ca.pub", "control/target-ssh-ca.key")
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
        _quota,
        _sockets,
        _catalog,
        _control,
        _targets,
    ]
    return [Check("settings", State.GOOD, str(file)), *(one for look in looks for one in look(settings))]


def _keys(settings: Settings) -> Iterator[Check]:
    faults = []
    special = (
        (intercepts(settings), _INTERCEPTION),
        (has_host_key(settings), _SSH),
        (vouches_at_targets(settings), _SSH_TARGETS),
    )
    wanted = [one for needed, names in special for one in names if needed or (settings.keys / one).exists()]
    for name in (*_PUBLIC, *_PRIVATE, *wanted):
        path = settings.keys / name
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
        except OSError as error:
            faults.append(Check(f"key {name}", State.BAD, str(error.strerror), "bodycam init"))
            continue
        if not name.startswith("public/") and mode & 0o077:
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


def _quota(settings: Settings) -> Iterator[Check]:
    most = settings.storage.quota
    if most is None:
        return
    used, until = 0, time.monotonic() + SECONDS
    store = LocalStore(settings.storage.data / "recordings")
    try:
        for name in store.list():
            with contextlib.suppress(ObjectMissing, ValueError):  # it went meanwhile, or is none
                used += store.size(name)
            if time.monotonic() > until:
                found = f"more than {used} of {most} bytes; there are too many recordings to count here"
                yield Check("quota", State.WARNING, found, "ask the running gateway: quota in GET /readyz")
                return
    except StoreUnavailable as error:
        yield Check("quota", State.WARNING, f"it can't be told how full it is: {error}", "check storage.data")
        return
    quota = Quota()
    quota.see(used, most)
    share = f"the recordings take {used} of the {most} bytes of storage.quota ({quota.percent} %)"
    fix = "raise storage.quota and reload, or make room: bodycam retention plan"
    if quota.full:
        yield Check("quota", State.BAD, f"{share}: new sessions are refused", fix)
    elif quota.warning:
        yield Check("quota", State.WARNING, f"{share}: at 100 % new sessions are refused", fix)
    else:
        yield Check("quota", State.GOOD, share)


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
        if address is None:
            return Check(f"target {name}", State.GOOD, "a set of hosts, each reached when it is asked for")
        try:
            socket.create_connection((address.host, address.port), timeout=SECONDS).close()
        except OSError as error:
            fix = f"check targets.{name}.address, and that it may be reached from here"
            return Check(f"target {name}", State.WARNING, f"{address}: {error}", fix)
        return Check(f"target {name}", State.GOOD, f"{address} accepts connections")

    if not settings.targets:
        return [Check("targets", State.WARNING, "there are none", "describe one under `targets`")]
    with ThreadPoolExecutor(max_workers=16) as pool:
        return [*pool.map(dial, sorted(settings.targets)), *asyncio.run(_host_keys(settings))]


async def _host_keys(settings: Settings) -> list[Check]:
    """The host keys of SSH: files that can't be read, keys that a target shows and may not have."""
    asked = [name for name in sorted(settings.targets) if WANTS[settings.targets[name].protocol].host_keys]
    found = await asyncio.gather(*(_host_key(name, settings.targets[name]) for name in asked))
    return [one for one in found if one is not None]


async def _host_key(name: str, target: TargetSettings) -> Check | None:
    what = f"host keys of {name}"
    try:
        known = await known_hosts(target)
    except SecretUnavailable as error:
        fix = f"correct targets.{name}.known_hosts, and let this user read the file"
        return Check(what, State.WARNING, str(error), fix)
    if target.address is None:
        return None
    fault = await host_fault(target, known, SECONDS)
    if fault is None:
        return None
    state = State.BAD if fault.wrong_key else State.WARNING
    return Check(what, state, f"{target.address}: {fault.message}", fault.hint)
