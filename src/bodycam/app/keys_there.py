"""The keys that a gateway of these settings needs, looked for before anything starts."""

from collections.abc import Iterator
from pathlib import Path

from bodycam.app.key_files import (
    LISTENER_AUTHORITY,
    LISTENER_AUTHORITY_PUBLIC,
    LOGIN_KEY,
    RUN_AUTHORITY,
    RUN_AUTHORITY_PUBLIC,
)
from bodycam.archive.keys import KeysUnusable, load_public
from bodycam.config import Settings


def require_keys(settings: Settings, settings_file: Path) -> None:
    """Look for every key file of a gateway but the archivist's own, which it looks after itself.

    Raises:
        KeysUnusable: one is missing; the text says which, and how to add it. Nothing is made here.
    """
    load_public(settings.keys)
    for name in _needed(settings):
        if not (settings.keys / name).exists():
            raise KeysUnusable(
                f"{settings.keys / name} is not there; `bodycam init --settings {settings_file}` adds the "
                "keys that are missing and leaves all that is there as it is"
            )


def _needed(settings: Settings) -> Iterator[Path]:
    yield LOGIN_KEY
    if settings.tls.enabled:
        yield RUN_AUTHORITY
        yield RUN_AUTHORITY_PUBLIC
        if settings.tls.certificate is None:
            yield LISTENER_AUTHORITY
            yield LISTENER_AUTHORITY_PUBLIC
