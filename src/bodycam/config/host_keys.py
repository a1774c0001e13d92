"""How a target proves itself by a host key, and how the gateway does to it: the settings of SSH's kind."""

import base64
import binascii
from typing import Annotated

from pydantic import AfterValidator, Field

from bodycam.config.secret import SecretSource
from bodycam.config.types import FilePath, Text

MOST_KEYS = 32
MOST_ACCOUNTS = 256
_KINDS = frozenset(
    {"ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa"}
)


def _public_key(line: str) -> str:
    """A public key's line without its comment."""
    kind, _, rest = line.strip().partition(" ")
    text = rest.strip().partition(" ")[0]
    if kind not in _KINDS:
        raise ValueError(
            f"expected a public key's line, TYPE BASE64, of a type among {', '.join(sorted(_KINDS))}"
        )
    try:
        blob = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        blob = b""
    # RFC 4253, section 6.6: the type stands at the beginning of the key too
    if not blob.startswith(len(kind).to_bytes(4, "big") + kind.encode()):
        raise ValueError(f"expected the whole of the key's base64 after {kind}")
    return f"{kind} {text}"


def _account(value: str) -> str:
    if "@" in value or "/" in value or not value.isprintable() or value != value.strip():
        raise ValueError("expected the name of an account, without @, / and blanks round it")
    return value


HostKeyLine = Annotated[str, Field(min_length=1, max_length=4096), AfterValidator(_public_key)]
"""A public key as `ssh-keyscan` prints it behind the host, and as `/etc/ssh/*.pub` has it."""

Account = Annotated[Text, AfterValidator(_account)]
"""An account that a client can name in front of a target, as `account@target`."""


class PrivateKeySource(SecretSource):
    """A reference to a private key, in OpenSSH's format or PEM: all that is there, not the first line."""

    file: FilePath | None = Field(
        default=None, description="A file whose whole text it is, readable by its owner only."
    )
    command: tuple[Text, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=64,
        description="A program and its arguments (no shell), whose whole output it is.",
    )
