"""A sign-in as it is kept on this machine: one file a gateway, readable by its owner only."""

import contextlib
import fcntl
import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from bodycam.net.sign_in.provider import Provider

_MAX_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Kept:
    """A sign-in at a provider for one gateway; `since` and `expires` are of the token, in Unix seconds.

    `id_token` is what is sent: an ID token, or the token of a sign-in that the gateway itself keeps, which
    has no issuer and nothing that renews it.
    """

    gateway: str
    provider: str
    issuer: str
    client_id: str
    ca_pem: str | None
    token_endpoint: str
    revocation_endpoint: str | None
    subject: str
    since: float
    expires: float
    id_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    end_session_endpoint: str | None = None

    @property
    def by_gateway(self) -> bool:
        """Whether the gateway itself keeps the sign-in."""
        return not self.issuer

    def at(self) -> Provider:
        """The provider that it is of."""
        return Provider(self.provider, self.issuer, self.client_id, ca_pem=self.ca_pem)


class SignInFile:
    """Where the sign-in for one gateway is kept."""

    def __init__(self, folder: Path, gateway: str) -> None:
        self._folder, self.gateway = folder, _same(gateway)
        name = hashlib.sha256(self.gateway.encode()).hexdigest()[:32]
        self._path, self._lock = folder / f"{name}.json", folder / f"{name}.lock"

    def read(self) -> Kept | None:
        """What is kept; None if nothing is, or nothing that can be used or that others could have read."""
        try:
            with self._path.open("rb") as file:
                found = os.fstat(file.fileno())
                if stat.S_IMODE(found.st_mode) & 0o077 or found.st_uid != os.geteuid():
                    return None
                kept = Kept(**json.loads(file.read(_MAX_BYTES)))
        except (OSError, ValueError, TypeError):
            return None
        return kept if kept.gateway == self.gateway else None

    def write(self, kept: Kept) -> None:
        """Keep this instead of what is kept, whole or not at all.

        Raises:
            OSError: it can't be written.
        """
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, name = tempfile.mkstemp(dir=self._folder, prefix=".sign-in-")  # mode 0600
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(asdict(kept), file)
            Path(name).replace(self._path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def forget(self) -> bool:
        """Keep nothing any more; False if nothing was kept."""
        try:
            self._path.unlink()
        except FileNotFoundError:
            return False
        return True

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Alone among the commands of this machine: a refresh token is good once.

        Raises:
            OSError: the lock can't be had.
        """
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def sign_in_file(environ: Mapping[str, str], gateway: str) -> SignInFile:
    """The file for a gateway's URL in $XDG_STATE_HOME/bodycam/sign-ins."""
    state = environ.get("XDG_STATE_HOME", "")
    home = Path(environ.get("HOME") or "~").expanduser()
    base = Path(state) if state.startswith("/") else home / ".local/state"
    return SignInFile(base / "bodycam" / "sign-ins", gateway)


def _same(url: str) -> str:
    parts = urlsplit(url.strip().rstrip("/"))
    return f"{parts.scheme.lower()}://{parts.netloc.lower()}{parts.path}"
