"""What a change of settings means: a new policy version, or a restart."""

import hashlib
import json
from typing import Any

from bodycam.config.settings import Settings

# what processes, sockets, files and keys were made from; the rest is swapped whole by a reload
_FIXED_AT_START = ("listen", "tls", "workers", "keys", "storage", "journal", "archive", "limits", "logging")

# of a target: how the gateway gets there, knows it and proves itself, which says nothing of what may be done
_WAYS = (
    *("password", "tls", "headers", "query", "oauth"),
    *("private_key", "issued_certificate", "known_hosts", "host_keys"),
)

_JUDGED_BY = {"access", "agents", "detectors", "judging", "masking", "roles", "rules", "targets"}


def policy_version(settings: Settings) -> str:
    """A short hash of who may open what, do what there and see what: 12 hexadecimal digits of a SHA-256.

    The same grants, rules and masks give the same version, however the file is laid out and wherever it lies.
    """
    plain = settings.model_dump(mode="json", include=_JUDGED_BY)
    for target in plain["targets"].values():
        for key in _WAYS:
            del target[key]
    for agent in plain["agents"].values():
        del agent["description"]
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def changes_needing_restart(old: Settings, new: Settings) -> list[str]:
    """The sections that differ and that a running gateway can't take over by a reload."""
    return [name for name in _FIXED_AT_START if _section(old, name, new) != getattr(new, name)]


def until_restart(old: Settings, new: Settings) -> Settings:
    """The new settings, with the old ones in place of what a running gateway can't take over."""
    kept = {name: _section(old, name, new) for name in changes_needing_restart(old, new)}
    return new.model_copy(update=kept)


def _section(old: Settings, name: str, new: Settings) -> Any:
    """An old section, with what a reload takes over of the new one: nothing was made from the quota."""
    if name == "storage":
        return old.storage.model_copy(update={"quota": new.storage.quota})
    return getattr(old, name)
