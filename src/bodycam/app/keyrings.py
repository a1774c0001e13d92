"""From the settings and the keys folder to the keys that open and wrap what is kept."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from bodycam.archive.kek import DEFAULT
from bodycam.archive.keyring import Keyring
from bodycam.archive.keys import KeysUnusable, load_public
from bodycam.archive.kms import KeyCommand
from bodycam.archive.rotation import journal_keys
from bodycam.archive.verify import fingerprint
from bodycam.config import Settings
from bodycam.policy.access import selects


def commands(settings: Settings) -> dict[str, KeyCommand]:
    """The commands of key-encryption keys, by name."""
    return {
        name: KeyCommand(one.wrap, one.unwrap, one.timeout, one.cache)
        for name, one in settings.storage.key_encryption.items()
        if one.wrap
    }


def kek_names(settings: Settings) -> set[str]:
    """The key-encryption keys that these settings use."""
    named = {one.kek for one in settings.storage.keys_by}
    return {DEFAULT, *settings.storage.key_encryption, *named}


def open_keyring(settings: Settings) -> Keyring:
    """The key-encryption keys of a gateway's keys folder."""
    return Keyring(settings.keys / "archivist", commands(settings))


def kek_for(settings: Settings) -> Callable[[Mapping[str, Any]], str]:
    """Which key-encryption key a session has, by its opening."""
    entries = settings.storage.keys_by

    def chosen(opened: Mapping[str, Any]) -> str:
        target = opened.get("target")
        name = target.get("name") if isinstance(target, dict) else None
        labels = target.get("labels") if isinstance(target, dict) else None
        for entry in entries:
            if selects(entry.targets, str(name), labels if isinstance(labels, dict) else {}):
                return entry.kek
        return DEFAULT

    return chosen


def keys_there(settings: Settings, ring: Keyring) -> frozenset[tuple[str, str, str]]:
    """The archivist's keys as they lie in the folder: kind, name and id of each.

    Raises:
        KeysUnusable: one can't be read.
    """
    found = {("kek", one.name, one.id.hex()) for one in ring.files()}
    found.add(("signing", "", fingerprint(load_public(settings.keys).signing)))
    found |= {("journal", "", one.id.hex()) for one in journal_keys(settings.keys)}
    return frozenset(found)


def journal_opener(folder: Path) -> Callable[[bytes], X25519PrivateKey | None]:
    """The private keys of journals by fingerprint; one that was made since is found when it is asked for."""
    known: dict[bytes, X25519PrivateKey] = {}

    def opened(recipient: bytes) -> X25519PrivateKey | None:
        if recipient not in known:
            try:
                known.update({one.id: one.private for one in journal_keys(folder)})
            except KeysUnusable:
                return known.get(recipient)
        return known.get(recipient)

    return opened
