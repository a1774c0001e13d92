"""Names of hosts as people write them, brought into one form, and the patterns that select them.

There is one form for each host, so that no other spelling of a name or an address goes round a pattern.
"""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

DEFAULT_PORTS: Final = (80, 443)
"""The ports of a pattern that names none."""
PLAIN_PORT: Final = 80
"""The port at which a host of a pattern is met without TLS."""

MOST_CHARACTERS: Final = 253
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
_PORT = re.compile(r"[0-9]{1,5}", re.ASCII)


class BadHost(ValueError):
    """A text that names no host in a form that is taken; says why, and never repeats it."""


def host_name(text: str) -> str:
    """A host in its one form: lower case, no dot at its end, an address as `ipaddress` writes it.

    An IPv6 address is without brackets here. International names must come as A-labels (RFC 5891). What ends
    in a number is an address (https://url.spec.whatwg.org/#ends-in-a-number-checker), which takes four
    decimal numbers: octal, hexadecimal and shortened spellings are refused.

    Raises:
        BadHost: it is none.
    """
    if ":" in text:
        return _ipv6(text)
    if not text.isascii():
        raise BadHost("a host name has to be in ASCII; international names begin with xn--")
    name = text.lower().removesuffix(".")
    if not name or len(name) > MOST_CHARACTERS:
        raise BadHost("a host name has from 1 to 253 characters")
    labels = name.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        try:
            return str(ipaddress.IPv4Address(name))
        except ValueError:
            raise BadHost("an IPv4 address is written as four decimal numbers, such as 192.0.2.1") from None
    if not all(_LABEL.fullmatch(label) for label in labels):
        raise BadHost("a host name has letters, digits, '-' and '_' between its dots, at most 63 each")
    return name


def host_port(text: str) -> tuple[str, int]:
    """The host, in its one form, and the port of `host:port`; IPv6 addresses stand in brackets.

    Raises:
        BadHost: it is none.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not _PORT.fullmatch(port) or not 0 < int(port) < 65536:
        raise BadHost("a host is followed by a colon and a port from 1 to 65535")
    if host.startswith("["):
        if not host.endswith("]"):
            raise BadHost("an IPv6 address stands in brackets")
        return _ipv6(host[1:-1]), int(port)
    if ":" in host:
        raise BadHost("an IPv6 address stands in brackets")
    return host_name(host), int(port)


def together(host: str, port: int) -> str:
    """`host:port` as people write it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _ipv6(text: str) -> str:
    if "%" in text:
        raise BadHost("an address with a zone is good on one machine only")
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        raise BadHost("an IPv6 address is written as RFC 4291 has it") from None
    # the same place by another spelling, to which the patterns of IPv4 have to apply
    return str(address.ipv4_mapped or address)


@dataclass(frozen=True, slots=True)
class HostPattern:
    """Which hosts a target stands for: one, all below a domain, or all, at one port or the usual ones.

    `name` is the host; "" with `below` is all hosts. `port` is 0 for `DEFAULT_PORTS`.
    """

    name: str
    below: bool
    port: int = 0

    @property
    def rank(self) -> tuple[bool, int, bool]:
        """The greater, the narrower: of the patterns that match, the one with the greatest counts."""
        return not self.below, len(self.name), bool(self.port)

    @property
    def everything(self) -> bool:
        """Whether it matches all hosts."""
        return self.below and not self.name

    def matches(self, host: str, port: int) -> bool:
        """Whether it stands for a host, which is in its one form."""
        if port != self.port if self.port else port not in DEFAULT_PORTS:
            return False
        if not self.below:
            return host == self.name
        return not self.name or (host.endswith(f".{self.name}") and not is_address(host))

    def __str__(self) -> str:
        name = ("*." if self.name else "*") + self.name if self.below else self.name
        if not self.port:
            return f"[{name}]" if ":" in name else name
        return together(name, self.port)


def is_address(host: str) -> bool:
    """Whether a host in its one form is an IP address."""
    return ":" in host or host.rpartition(".")[2].isdecimal()


def host_pattern(text: str) -> HostPattern:
    """The pattern of `text`: `*`, `*.example.com`, `example.com`, `192.0.2.1`, `[::1]`, or one with `:port`.

    Raises:
        BadHost: it is none.
    """
    name, port = text, 0
    if not text.endswith("]") and ":" in text:
        name, _, number = text.rpartition(":")
        if not _PORT.fullmatch(number) or not 0 < int(number) < 65536:
            raise BadHost("a port is a number from 1 to 65535")
        port = int(number)
    if name == "*":
        return HostPattern("", True, port)
    if name.startswith("*."):
        domain = host_name(name[2:])
        if is_address(domain):
            raise BadHost("there is nothing below an IP address")
        return HostPattern(domain, True, port)
    if name.startswith("[") and name.endswith("]"):
        return HostPattern(_ipv6(name[1:-1]), False, port)
    if ":" in name:
        raise BadHost("an IPv6 address stands in brackets")
    return HostPattern(host_name(name), False, port)
