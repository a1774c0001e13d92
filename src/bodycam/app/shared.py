"""What several processes need: the settings' snapshot, the catalog, the log."""

import asyncio
import logging
import os
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from bodycam.config import Settings, snapshot
from bodycam.model import ids

if TYPE_CHECKING:
    from sqlalchemy import Engine

SNAPSHOT = "settings.json"
CONTROL_SOCKET, ARCHIVIST_SOCKET = "control.sock", "archivist.sock"


async def open_catalog(settings: Settings) -> "Engine":
    """The catalog, its tables brought up to date."""
    # read here, so that a worker never loads a database's driver
    from bodycam.catalog.engine import make_engine
    from bodycam.catalog.schema import migrate
    from bodycam.targets.secrets import read_secret

    source = settings.storage.catalog.password
    password = None if source is None else await read_secret(source)
    engine = make_engine(settings.storage.catalog_url, password)
    await asyncio.to_thread(migrate, engine)
    return engine


def snapshot_file(settings: Settings) -> Path:
    """Where the supervisor puts the settings for its children."""
    return settings.storage.sockets / SNAPSHOT


def write_snapshot(settings: Settings) -> None:
    """Put the settings there, whole or not at all."""
    file = snapshot_file(settings)
    partial = file.with_suffix(f".{ids.encode(secrets.token_bytes(4))}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(snapshot(settings))
    partial.rename(file)


def log_as(settings: Settings) -> None:
    """Log to standard error, as the settings say."""
    text = settings.logging.format.value == "text"
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer(colors=False) if text else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[settings.logging.level.value.upper()]
        ),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
