"""Names and addresses of hosts, as they may stand in a certificate (RFC 1035, RFC 1123, RFC 5280)."""

import ipaddress
import re
from typing import Final

MOST: Final = 253
"""Characters of a name at most, without the root's dot (RFC 1035, section 2.3.4)."""

# an underscore is no letter of a host's name in the RFCs, and real hosts have it
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)


class BadHost(ValueError):
    """It is neither a host's name nor an address; the text says why."""


def checked(host: str) -> str:
    """`host` in its one form: a name in small letters without a dot at its end, an address as it is written.

    Raises:
        BadHost: it is neither; wildcards are none, and a name in other letters than ASCII is to come in its
            own form (`xn--`, RFC 5891).
    """
    if not host or len(host) > MOST + 1:
        raise BadHost(f"a host's name has 1 to {MOST} characters, and this one has {len(host)}")
    try:
        return _address(host)
    except ValueError:
        pass
    name = host.lower().removesuffix(".")
    labels = name.split(".")
    if len(name) > MOST or not host.isascii() or not all(map(_LABEL.fullmatch, labels)):
        raise BadHost(f"{host!r} is neither a host's name nor an address")
    if labels[-1].isdigit():
        # some programs take it for an address and some do not
        raise BadHost(f"{host!r} looks like an address and is none")
    return name


def is_address(host: str) -> bool:
    """Whether it is an IP address."""
    try:
        _address(host)
    except ValueError:
        return False
    return True


def _address(host: str) -> str:
    if "%" in host:
        raise ValueError("a zone means something on one machine only")
    return str(ipaddress.ip_address(host))
