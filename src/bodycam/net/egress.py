"""Which IP addresses everybody may reach, which are of private networks, and which are nobody's business.

What counts is where a packet ends: an IPv4 address within an IPv6 address is judged as itself where the
standard says that it is one, and what is only a way to hide it is refused. The tables are IANA's registries
of special-purpose addresses, and the clouds' addresses of instance metadata.

https://www.iana.org/assignments/iana-ipv4-special-registry
https://www.iana.org/assignments/iana-ipv6-special-registry
"""

import ipaddress
from enum import Enum
from typing import Final

from bodycam.model.target import Reach

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Place(Enum):
    """What kind of place an address is."""

    PUBLIC = "of the Internet"
    PRIVATE = "of a private network"
    SPECIAL = "of this machine, of its link, of a cloud's metadata or reserved"


def _networks(*texts: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


METADATA: Final = frozenset(
    ipaddress.ip_address(text)
    for text in (
        "169.254.169.254",  # most clouds
        "169.254.170.2",  # ECS tasks
        "fd00:ec2::254",  # EC2
        "fd00:ec2::23",  # EKS, credentials of pods; over IPv4 it is link-local
        "fd20:ce::254",  # Google Cloud
        "100.100.100.200",  # Alibaba Cloud
        "192.0.0.192",  # Oracle Cloud
        "fd00:c1::a9fe:a9fe",  # Oracle Cloud
        "fd00:42::42",  # Scaleway
        "168.63.129.16",  # Azure: a public address by its number, answered by the host beneath
    )
)

_PRIVATE: Final = _networks(
    "10.0.0.0/8",  # RFC 1918
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",  # RFC 6598, behind a carrier's address translation
    "fc00::/7",  # RFC 4193
)

_SPECIAL: Final = _networks(
    "0.0.0.0/8",  # RFC 1122: Linux takes 0.0.0.0 for this machine
    "127.0.0.0/8",
    "169.254.0.0/16",  # RFC 3927, link-local
    "192.0.0.0/24",  # RFC 6890
    "192.0.2.0/24",  # RFC 5737, for documentation, as are the next two
    "198.51.100.0/24",
    "203.0.113.0/24",
    "192.88.99.0/24",  # RFC 7526, relays of 6to4, which are no more
    "198.18.0.0/15",  # RFC 2544, benchmarks
    "224.0.0.0/4",  # multicast
    "240.0.0.0/4",  # RFC 1112, and the broadcast
    "2001::/23",  # RFC 2928: Teredo, ORCHID and other protocols' own
    "2001:db8::/32",  # RFC 3849
    "2002::/16",  # RFC 3056, 6to4: has an IPv4 address within, and whoever relays it decides
    "3fff::/20",  # RFC 9637
)

_UNICAST: Final = ipaddress.IPv6Network("2000::/3")  # RFC 4291: what is given out of IPv6 at all
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052; not its local cousin 64:ff9b:1::/48


def place(text: str) -> Place:
    """What kind of place the IP address `text` is; what is no address, or has a zone, is special.

    `text` is as a resolver gives it.
    """
    try:
        return _place(ipaddress.ip_address(text))
    except ValueError:
        return Place.SPECIAL


def reachable(text: str, reach: Reach) -> bool:
    """Whether the IP address `text` is among those that `reach` lets be connected to."""
    match reach:
        case Reach.ANY:
            return True
        case Reach.PRIVATE:
            return place(text) is not Place.SPECIAL
        case Reach.PUBLIC:
            return place(text) is Place.PUBLIC


def _place(address: Address) -> Place:
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return Place.SPECIAL
        within = address.ipv4_mapped
        if within is None and address in _NAT64:
            within = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        if within is not None:
            return _place(within)
    if address in METADATA or _in(address, _SPECIAL):
        return Place.SPECIAL
    if _in(address, _PRIVATE):
        return Place.PRIVATE
    if isinstance(address, ipaddress.IPv6Address) and address not in _UNICAST:
        # among them ::, ::1, ::a.b.c.d, fe80::/10, fec0::/10, ff00::/8, 64:ff9b:1::/48 and 5f00::/16
        return Place.SPECIAL
    return Place.PUBLIC if address.is_global and not address.is_multicast else Place.SPECIAL


def _in(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address.version == network.version and address in network for network in networks)
