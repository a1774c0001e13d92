"""The supervisor's wiring: it binds the listeners, writes the snapshot, and starts the others."""

import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

import structlog
import uvloop

from bodycam.app import data_lock
from bodycam.app.judging import load_settings
from bodycam.app.keys_there import require_keys
from bodycam.app.masking import warm
from bodycam.app.shared import log_as, snapshot_file, write_snapshot
from bodycam.config import Settings, changes_needing_restart, until_restart
from bodycam.config.problem import SettingsError
from bodycam.gateway.supervisor import ChildSpec, Supervisor, bind, lifeline
from bodycam.policy.detectors.secrets import RulesUnreadable

log = structlog.get_logger(__name__)

# reads of 256 KiB come and go without end: glibc would give each one's pages back and fault them in again,
# which was three quarters of a worker's time in a large result (mallopt(3))
_MALLOC = {"MALLOC_MMAP_THRESHOLD_": "4194304", "MALLOC_TRIM_THRESHOLD_": "16777216"}
# what a child that must hold no target's secret still needs of its environment
_PLAIN_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "PYTHONPATH", "PYTHONWARNINGS")


def serve(settings_file: Path) -> None:
    """Run the gateway of a settings file until SIGTERM.

    Raises:
        SettingsError: the file is wrong; nothing was started.
        KeysUnusable: a key is missing; nothing was started.
        DataFolderTaken: another gateway runs over the data folder.
        OSError: an address can't be bound, or a folder can't be made.
    """
    settings = load_settings(settings_file)
    log_as(settings)
    _make_folders(settings)
    require_keys(settings, settings_file)  # a gateway without keys starts nothing
    lock = data_lock.take(settings.storage.data)
    write_snapshot(settings)
    warm(settings)
    listeners = {
        name: bind(address.host, address.port) for name, address in settings.listen.protocols.items()
    }
    reading_end, _writing_end = lifeline()
    current = [settings]

    def reload() -> Sequence[str]:
        try:
            changed = load_settings(settings_file)
        except SettingsError as error:
            log.error(
                "the changed settings are wrong; the gateway goes on with the old ones", error=str(error)
            )
            return ()
        if restart := changes_needing_restart(current[0], changed):
            log.warning("some changed settings wait for a restart", sections=", ".join(restart))
            # a child that dies before then must still find its journal, its keys and its siblings
            changed = until_restart(current[0], changed)
        try:
            warm(changed)
        except RulesUnreadable as error:
            log.error(
                "the detectors can't be made; the gateway goes on with the old settings", error=str(error)
            )
            return ()
        current[0] = changed
        write_snapshot(changed)
        return (
            "archivist",
            "control",
            *(child.name for child in children if child.name.startswith("worker")),
        )

    children = _children(settings, listeners, reading_end)
    supervisor = Supervisor(children, inherited=(reading_end, lock), reload=reload)
    try:
        uvloop.run(supervisor.run())
    finally:
        for sock in listeners.values():
            sock.close()
        os.close(lock)


def _children(settings: Settings, listeners: Mapping[str, socket.socket], lifeline: int) -> list[ChildSpec]:
    common = ["-m", "bodycam.app"]
    where = ["--snapshot", str(snapshot_file(settings)), "--lifeline", str(lifeline)]
    plain = {**_MALLOC, **{name: os.environ[name] for name in _PLAIN_ENVIRONMENT if name in os.environ}}
    catalog = dict(plain)
    password = settings.storage.catalog.password
    if password is not None and password.env is not None and password.env in os.environ:
        catalog[password.env] = os.environ[password.env]
    doors = [part for name, sock in listeners.items() for part in ("--listen", f"{name}={sock.fileno()}")]
    descriptors = tuple(sock.fileno() for sock in listeners.values())
    patience = settings.limits.drain_timeout + 15
    workers = [
        ChildSpec(
            f"worker {number}",
            (*common, "worker", *where, "--number", str(number), *doors),
            plain,
            descriptors,
            stage=0,
            patience=patience,
        )
        for number in range(1, settings.workers + 1)
    ]
    return [
        ChildSpec("archivist", (*common, "archivist", *where), catalog, (), stage=2, patience=30),
        ChildSpec("control", (*common, "control", *where), dict(os.environ), (), stage=1, patience=15),
        *workers,
    ]


def _make_folders(settings: Settings) -> None:
    for folder in (settings.storage.data, settings.storage.sockets, settings.storage.data / "journal"):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
