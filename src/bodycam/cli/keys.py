"""`bodycam keys`: the archivist's keys: what there is, new ones, and taking old ones away.

Run on the gateway's machine, as the gateway's user: what proves that one may is that the files can be read.
"""

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from bodycam import config
from bodycam.app.keyrings import commands, open_keyring
from bodycam.archive import keys as archive_keys
from bodycam.archive import rotation
from bodycam.archive.kek import DEFAULT, KeyAway
from bodycam.archive.keys import KeysUnusable
from bodycam.archive.keystore import KeyStore
from bodycam.archive.rotation import NotRetired
from bodycam.archive.verify import fingerprint
from bodycam.cli.failure import NO, USAGE, Failure
from bodycam.cli.options import Json
from bodycam.cli.options import Settings as SettingsFile
from bodycam.cli.printing import print_json, print_table, tell
from bodycam.config import Settings
from bodycam.journal import layout
from bodycam.journal.folder import incarnations, segments_of

app = typer.Typer(help="List, rotate and retire the archivist's keys.", no_args_is_help=True)
rotate = typer.Typer(help="Put a new key in the place of an old one.", no_args_is_help=True)
app.add_typer(rotate, name="rotate")

RELOAD = "a running gateway takes it at the next reload: send SIGHUP to the supervisor"


@app.command("list")
def list_keys(settings: SettingsFile = "bodycam.yaml", as_json: Json = False) -> None:
    """List the archivist's keys by id, and what still needs each; finishes a rotation that was cut off."""
    found = _found(_loaded(settings))
    if as_json:
        print_json({"keys": found})
        return
    print_table(
        ["kind", "name", "id", "state", "needed by"],
        [(one["kind"], one["name"], one["id"], one["state"], one["needed_by"]) for one in found],
        empty="there are no keys",
    )


@rotate.command("kek")
def rotate_kek(
    name: Annotated[str, typer.Option("--name", help="Which key-encryption key.")] = DEFAULT,
    settings: SettingsFile = "bodycam.yaml",
    as_json: Json = False,
) -> None:
    """Make a new key-encryption key: used at once, and by and by for what is wrapped with the old one."""
    loaded = _loaded(settings)
    try:
        made = rotation.rotate_kek(loaded.keys, name, commands(loaded))
    except KeyAway as error:
        raise Failure(str(error), hint="nothing was changed") from error
    except KeysUnusable as error:
        raise Failure(str(error)) from error
    _made("kek", name, made.hex(), "`bodycam keys list` says how much is wrapped with the old one", as_json)


@rotate.command("signing")
def rotate_signing(settings: SettingsFile = "bodycam.yaml", as_json: Json = False) -> None:
    """Make a new signing key, which the old one vouches for before it is destroyed."""
    loaded = _loaded(settings)
    try:
        new = rotation.rotate_signing(loaded.keys)
    except KeysUnusable as error:
        raise Failure(str(error)) from error
    _made("signing", "", fingerprint(new.public_key()), RELOAD, as_json)


@rotate.command("journal")
def rotate_journal(settings: SettingsFile = "bodycam.yaml", as_json: Json = False) -> None:
    """Make a new key for journals; the old one stays until nothing is written to it any more."""
    loaded = _loaded(settings)
    try:
        made = rotation.rotate_journal(loaded.keys)
    except KeysUnusable as error:
        raise Failure(str(error)) from error
    _made("journal", "", made.hex(), RELOAD, as_json)


@app.command("retire")
def retire(
    key: Annotated[str, typer.Argument(help="The id of an older key, as `keys list` shows it.")],
    settings: SettingsFile = "bodycam.yaml",
    as_json: Json = False,
) -> None:
    """Destroy an older key that nothing needs any more; exits 1 if something does."""
    loaded = _loaded(settings)
    try:
        _retire(loaded, key.lower())
    except NotRetired as error:
        raise Failure(f"the key {key} stays: {error}", code=NO) from error
    except KeysUnusable as error:
        raise Failure(str(error)) from error
    if as_json:
        print_json({"retired": key.lower()})
    else:
        tell(f"the key {key} is destroyed; copies of it in backups are yours to destroy")


def _loaded(settings: str) -> Settings:
    loaded = config.load(Path(settings))
    try:
        rotation.settle(loaded.keys)
    except KeysUnusable as error:
        raise Failure(f"the archivist's keys can't be used: {error}") from error
    except OSError as error:
        hint = "keys are made on the gateway's machine, as the gateway's user"
        raise Failure(f"the keys folder can't be used: {error}", hint=hint) from error
    return loaded


def _made(kind: str, name: str, id: str, then: str, as_json: bool) -> None:  # noqa: A002
    if as_json:
        print_json({"kind": kind, "name": name, "id": id})
        return
    tell(f"made a new {kind} key{f' {name}' if name else ''}: {id}")
    tell(then)


def _found(loaded: Settings) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    ring, wraps = open_keyring(loaded), _wraps(loaded)
    for one in ring.files():
        needed = wraps.pop(one.id, 0) + (wraps.pop(None, 0) if one.name == DEFAULT and one.current else 0)
        rows.append(_row("kek", one.name, one.id.hex(), one.current, needed))
    for id_, count in wraps.items():
        if id_ is not None:
            rows.append({**_row("kek", "", id_.hex(), False, count), "state": "missing"})
    used = _segments(loaded)
    try:
        public = archive_keys.load_public(loaded.keys)
        rows.append(_row("signing", "", fingerprint(public.signing), True, None))
        rows += [
            _row("journal", "", found.id.hex(), found.current, used.get(found.id, 0))
            for found in rotation.journal_keys(loaded.keys)
        ]
    except KeysUnusable as error:
        raise Failure(f"the archivist's keys can't be used: {error}") from error
    return rows


def _row(kind: str, name: str, id: str, current: bool, needed: int | None) -> dict[str, Any]:  # noqa: A002
    state = "newest" if current else "older"
    return {"kind": kind, "name": name, "id": id, "state": state, "needed_by": needed}


def _wraps(loaded: Settings) -> dict[bytes | None, int]:
    file = loaded.storage.data / "keystore" / "keys.db"
    if not file.exists():
        return {}
    store = KeyStore(file, open_keyring(loaded))
    try:
        return store.wrapped_by()
    finally:
        store.close()


def _segments(loaded: Settings) -> Counter[bytes]:
    """How many segments of journals are written to each key."""
    counts: Counter[bytes] = Counter()
    for folder in incarnations(loaded.storage.data / "journal"):
        for _, path in segments_of(folder.path):
            try:
                with path.open("rb") as stream:
                    counts[layout.decode_header(stream.read(layout.HEADER_BYTES)).recipient] += 1
            except (OSError, ValueError):
                continue  # it went meanwhile, or it is damaged, which verification names
    return counts


def _retire(loaded: Settings, key: str) -> None:
    """Find the key of an id, and destroy it.

    Raises:
        NotRetired: something needs it.
        Failure: there is none of that id.
    """
    for one in open_keyring(loaded).files():
        if one.id.hex() == key:
            with rotation.alone(loaded.keys):
                rotation.retire_kek(one, _wraps(loaded))
            return
    for found in rotation.journal_keys(loaded.keys):
        if found.id.hex() == key:
            rotation.retire_journal(found, _segments(loaded))
            return
    raise Failure(f"there is no key {key}", hint="bodycam keys list", code=USAGE)
