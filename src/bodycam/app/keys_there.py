"""The keys that a gateway of these settings needs, looked for before anything starts."""

from collections.abc import Iterator
from pathlib import Path

from bodycam.app.key_files import (
    INTERCEPTION_AUTHORITY,
    INTERCEPTION_AUTHORITY_PUBLIC,
    LISTENER_AUTHORITY,
    LISTENER_AUTHORITY_PUBLIC,
    LOGIN_KEY,
    RUN_AUTHORITY,
    RUN_AUTHORITY_PUBLIC,
    RUN_SSH_AUTHORITY,
    RUN_SSH_AUTHORITY_PUBLIC,
    SSH_HOST_KEY,
    SSH_HOST_KEY_PUBLIC,
    TARGET_SSH_AUTHORITY,
    TARGET_SSH_AUTHORITY_PUBLIC,
)
from bodycam.archive.keys import KeysUnusable, load_public
from bodycam.config import Settings
from bodycam.registry import PROTOCOLS


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


def intercepts(settings: Settings) -> bool:
    """Whether a protocol that is served needs the interception CA."""
    return any(PROTOCOLS[name].intercepts for name in settings.listen.protocols)


def has_host_key(settings: Settings) -> bool:
    """Whether a protocol that is served needs the gateway's SSH host key, and the runs' SSH CA."""
    return any(PROTOCOLS[name].host_key for name in settings.listen.protocols)


def vouches_at_targets(settings: Settings) -> bool:
    """Whether the gateway logs in to a target with certificates of the targets' SSH CA."""
    return any(target.issued_certificate for target in settings.targets.values())


def _needed(settings: Settings) -> Iterator[Path]:
    yield LOGIN_KEY
    if settings.tls.enabled:
        yield RUN_AUTHORITY
        yield RUN_AUTHORITY_PUBLIC
        if settings.tls.certificate is None:
            yield LISTENER_AUTHORITY
            yield LISTENER_AUTHORITY_PUBLIC
    if intercepts(settings):
        yield INTERCEPTION_AUTHORITY
        yield INTERCEPTION_AUTHORITY_PUBLIC
    if has_host_key(settings):
        yield from (SSH_HOST_KEY, SSH_HOST_KEY_PUBLIC, RUN_SSH_AUTHORITY, RUN_SSH_AUTHORITY_PUBLIC)
    if vouches_at_targets(settings):
        yield from (TARGET_SSH_AUTHORITY, TARGET_SSH_AUTHORITY_PUBLIC)
