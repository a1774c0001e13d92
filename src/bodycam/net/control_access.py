"""Where the control API is and what opens it: a key of the environment, a sign-in, or settings at hand."""

import stat
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from bodycam.config import Settings, SettingsError, load
from bodycam.config.types import HostPort
from bodycam.net.sign_in.kept import sign_in_file
from bodycam.net.sign_in.signed_in import SignedIn

URL = "BODYCAM_URL"
API_KEY = "BODYCAM_API_KEY"
KEY_FILE = "BODYCAM_KEY_FILE"
CA_FILE = "BODYCAM_CA_FILE"
SETTINGS = "BODYCAM_SETTINGS"
REASON = "BODYCAM_REASON"
DEFAULT_SETTINGS = Path("bodycam.yaml")

_EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - dialled, not bound


class NoAccess(Exception):
    """It is not known where the gateway is or which key to use; `hint` says what to set."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


class InClear(NoAccess):
    """The URL would send the API key over a network without encryption."""

    def __init__(self, url: str) -> None:
        super().__init__(
            f"{url} is plain http to another machine, and the API key would go there in clear",
            f"set {URL}, or --url, to the control API's https:// address; plain http is for loopback only",
        )


@dataclass(frozen=True, slots=True)
class ControlAccess:
    """The control API's base URL, the caller's API key ("" for none), the CA that vouches for it, and the
    caller's sign-in, which takes the key's place; `reason` is why a break-glass account is used."""

    url: str
    key: str = field(default="", repr=False)
    ca_file: Path | None = None
    sign_in: SignedIn | None = field(default=None, repr=False)
    reason: str = ""


def find_access(
    environ: Mapping[str, str], *, url: str | None = None, folder: Path | None = None
) -> ControlAccess:
    """Where and as whom to call.

    The URL is `url`, else BODYCAM_URL, else `listen.control` of the settings; the key is BODYCAM_API_KEY,
    else the content of BODYCAM_KEY_FILE; else the sign-in that `bodycam login` kept for that URL counts, else
    `admin.key` in the settings' keys folder. The settings are BODYCAM_SETTINGS, else bodycam.yaml in `folder`
    (the working directory).

    Raises:
        InClear: the URL is plain http to anything but loopback; no key was read.
        NoAccess: neither says where the gateway is or which key to use, one of them is no URL or no key, or a
            named file can't be used.
    """
    bare, settings = _gateway(environ, url, folder)
    if not (environ.get(API_KEY) or environ.get(KEY_FILE)):
        file = sign_in_file(environ, bare.url)
        if (kept := file.read()) is not None:
            return replace(bare, sign_in=SignedIn(file, kept))
    key_file = settings.keys / "admin.key" if settings else None
    return replace(bare, key=_sendable(_key(environ, key_file)))


def find_gateway(
    environ: Mapping[str, str], *, url: str | None = None, folder: Path | None = None
) -> ControlAccess:
    """Where to call as nobody yet, found as `find_access` does. Raises as that."""
    return _gateway(environ, url, folder)[0]


def _gateway(
    environ: Mapping[str, str], url: str | None, folder: Path | None
) -> tuple[ControlAccess, Settings | None]:
    wanted = url or environ.get(URL)
    settings = _settings(environ, folder or Path(), required=not wanted)
    address = wanted or (control_url(settings) if settings else "")
    if not _is_url(address):
        raise NoAccess(f"{address!r} is not a URL of a control API", f"set {URL} to http(s)://HOST:PORT")
    parts = urlsplit(address)
    if not kept_private(parts.scheme, parts.hostname or ""):
        raise InClear(f"http://{parts.hostname}")
    access = ControlAccess(address.rstrip("/"), "", _ca(environ, settings), reason=environ.get(REASON, ""))
    return access, settings


def control_url(settings: Settings) -> str:
    """The URL at which a client on this machine reaches the control API of these settings."""
    address = settings.listen.control
    host = _EVERY_ADDRESS.get(address.host, address.host)
    shown = f"[{host}]" if ":" in host else host
    return f"{'https' if settings.tls.enabled else 'http'}://{shown}:{address.port}"


def kept_private(scheme: str, host: str) -> bool:
    """Whether nobody on a network can read what is sent there: it is encrypted, or stays on this machine.

    A name counts as loopback only if it is `localhost`: what another one means is for a resolver to say.
    """
    return scheme == "https" or HostPort(host, 0).loopback


def _is_url(address: str) -> bool:
    try:
        parts = urlsplit(address)
        # an empty port is no port, and one beyond 65535 raises
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _sendable(key: str) -> str:
    # a header takes nothing else, and what would complain about it later would show the key
    if key.isascii() and key.isprintable() and " " not in key:
        return key
    raise NoAccess(
        "the API key has characters that no API key has: a line break, a space, or a letter beyond ASCII",
        f"set {API_KEY}, or the file that {KEY_FILE} names, to the key alone, on one line",
    )


def _settings(environ: Mapping[str, str], folder: Path, *, required: bool) -> Settings | None:
    named = environ.get(SETTINGS)
    path = Path(named) if named else folder / DEFAULT_SETTINGS
    if not named and not path.exists():
        if required:
            raise NoAccess(
                f"it is not known where the gateway is: {URL} is not set, and there is no {path} here",
                f"set {URL} and {API_KEY} (or {KEY_FILE}), or go to the folder of bodycam.yaml",
            )
        return None
    try:
        return load(path)
    except SettingsError as error:
        if not required:
            return None
        raise NoAccess(
            f"the settings can't be used:\n{error}", f"`bodycam config check` says more; or set {URL}"
        ) from error


def _key(environ: Mapping[str, str], fallback: Path | None) -> str:
    given = environ.get(API_KEY, "").strip()
    if given:
        return given
    named = environ.get(KEY_FILE)
    path = Path(named) if named else fallback
    if path is None:
        raise NoAccess(
            "there is no API key and no sign-in to call the gateway with",
            f"sign in with `bodycam login`, or set {API_KEY} or {KEY_FILE}",
        )
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise NoAccess(f"the API key in {path} can be read by others", f"run: chmod 600 {path}")
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise NoAccess(
            f"the API key in {path} can't be read: {reason}", f"set {API_KEY}, or {KEY_FILE} to its file"
        ) from error
    if not text:
        raise NoAccess(f"the API key in {path} is empty", f"set {API_KEY}, or {KEY_FILE} to its file")
    return text


def _ca(environ: Mapping[str, str], settings: Settings | None) -> Path | None:
    named = environ.get(CA_FILE)
    if named:
        return Path(named)
    ours = settings.keys / "public" / "listener-ca.pem" if settings else None
    return ours if ours is not None and ours.exists() else None
