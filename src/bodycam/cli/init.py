"""`bodycam init`: keys, a first settings file, the catalog, and an admin with an API key.

Whatever is there already stays as it is, so that it may be run again.
"""

import secrets
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from sqlalchemy import Engine

from bodycam import config
from bodycam.app.key_files import TARGET_SSH_AUTHORITY_PUBLIC
from bodycam.app.keyrings import commands, kek_names
from bodycam.app.keys_there import vouches_at_targets
from bodycam.archive import keys
from bodycam.archive.kek import KeyAway
from bodycam.archive.rotation import make_missing
from bodycam.catalog import accounts
from bodycam.catalog.engine import writing
from bodycam.catalog.schema import migrate
from bodycam.cli.catalog_door import catalog_of
from bodycam.cli.failure import Failure
from bodycam.cli.options import Json
from bodycam.cli.options import Settings as SettingsFile
from bodycam.cli.printing import print_json, tell
from bodycam.config import Settings
from bodycam.identity import api_keys
from bodycam.model.ids import SERVICE_ACCOUNT, new_id
from bodycam.net.authority import Authority
from bodycam.net.ssh_key import SshKey

ADMIN = "admin"
LISTEN = {"postgres": "127.0.0.1:7432", "http": "127.0.0.1:7080"}
EXAMPLES = """\
#  packages:                # hosts of the Internet, for the clients of a proxy
#    protocol: http
#    hosts: [packages.example.com, "*.files.example.com"]
#  model:                   # one API; its key is added here, and no run gets to see it
#    protocol: http
#    address: api.openai.com:443
#    headers: {Authorization: {prefix: "Bearer ", env: OPENAI_API_KEY}}
#  web1:                    # a machine by SSH; `listen` needs `ssh: 127.0.0.1:7022` for it
#    protocol: ssh
#    address: web1.internal:22
#    user: deploy
#    private_key: {file: web1.key}
#    known_hosts: known_hosts # the file that ssh-keyscan makes, once you have compared the keys
"""
# file, name, and what it means to make that one anew
AUTHORITIES = (
    ("listener-ca.pem", "Bodycam listeners", "make clients trust a new CA"),
    ("run-client-ca.pem", "Bodycam runs", "let runs that go on get new certificates"),
    ("interception-ca.pem", "Bodycam interception", "let the programs of runs trust a new CA"),
)
# name of both files, the public line's comment, and what it means to make that one anew
SSH_KEYS = (
    ("ssh-host", "bodycam-gateway", "let clients know the gateway by a new key"),
    ("run-ssh-ca", "bodycam-runs", "let runs that go on get new certificates"),
    ("target-ssh-ca", "bodycam-targets", "let targets trust a new key"),
)
_LOGIN_KEY_BYTES = 32


def command(settings: SettingsFile = "bodycam.yaml", as_json: Json = False) -> None:
    """Make what a gateway needs before its first start; what is there already is kept."""
    path = Path(settings)
    try:
        made = _settings_file(path)
        loaded = config.load(path)
        made += _keys(loaded)
        made += _catalog(loaded)
    except keys.KeysUnusable as error:
        raise Failure(f"the keys can't be used: {error}") from error
    except KeyAway as error:
        raise Failure(str(error), hint="the command is in storage.key_encryption of the settings") from error
    if as_json:
        print_json({"settings": str(path), "keys": str(loaded.keys), "made": made})
        return
    for one in made:
        tell(f"made {one}")
    if not made:
        tell("everything is there already; nothing was changed")
    if vouches_at_targets(loaded):
        public = loaded.keys / TARGET_SSH_AUTHORITY_PUBLIC
        tell(f"targets with issued_certificate have to trust {public} (TrustedUserCAKeys in sshd_config)")
    tell(f"next: describe targets and agents in {path}, then start the gateway: bodycam serve")


def _settings_file(path: Path) -> list[str]:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(config.starter(LISTEN, examples=EXAMPLES))
    except FileExistsError:
        return []
    return [str(path)]


def _keys(settings: Settings) -> list[str]:
    folder = settings.keys
    made = [str(folder / name) for name in make_missing(folder, kek_names(settings), commands(settings))]
    made += [str(folder / name) for name in keys.generate(folder)]
    control, public = folder / "control", folder / "public"
    control.mkdir(mode=0o700, exist_ok=True)
    for file, name, anew in AUTHORITIES:
        made += _pair(control / file, public / file, anew, partial(_authority, name))
    for name, comment, anew in SSH_KEYS:
        made += _pair(control / f"{name}.key", public / f"{name}.pub", anew, partial(_ssh_key, comment))
    login = control / "login.key"
    if not login.exists():
        keys.write_secret(login, secrets.token_bytes(_LOGIN_KEY_BYTES))
        made.append(str(login))
    return made


def _authority(name: str, key_file: Path, certificate_file: Path) -> None:
    Authority.create(name).save(key_file, certificate_file)


def _ssh_key(comment: str, key_file: Path, public_file: Path) -> None:
    SshKey.create().save(key_file, public_file, comment)


def _pair(key_file: Path, public_file: Path, anew: str, make: Callable[[Path, Path], None]) -> list[str]:
    if not key_file.exists() and not public_file.exists():
        make(key_file, public_file)
        return [str(key_file), str(public_file)]
    if key_file.exists() and public_file.exists():
        return []
    missing = public_file if key_file.exists() else key_file
    raise Failure(
        f"{missing} is missing beside its other half",
        hint=f"put it back from the backup; or remove the other half, and {anew}",
    )


def _catalog(settings: Settings) -> list[str]:
    settings.storage.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = catalog_of(settings)
    try:
        migrate(engine)
        return _admin(engine, settings)
    finally:
        engine.dispose()


def _admin(engine: Engine, settings: Settings) -> list[str]:
    """The admin's account, and a key where its file is missing; an older key stays good."""
    key_file, made = settings.keys / "admin.key", []
    now = time.time_ns() // 1000
    with writing(engine) as connection:
        account = accounts.account_by_name(connection, ADMIN)
        if account is None:
            groups = settings.roles.admin.groups[:1] or ("admins",)
            account = accounts.add_account(
                connection, id=new_id(SERVICE_ACCOUNT), name=ADMIN, groups=groups, now=now
            )
            made.append(f"the service account {ADMIN} in the group {groups[0]}")
        if not key_file.exists():
            issued = api_keys.issue(time.time(), None)
            accounts.add_key(connection, id=issued.id, account=account.id, hash=issued.digest, now=now)
            # inside the transaction: a key that could not be kept is not enrolled either
            keys.write_secret(key_file, f"{issued.text}\n".encode())
            made.append(str(key_file))
    return made
