"""Which addresses hosts may be at: everything that is anybody's own is refused, in whatever coat it comes."""

import pytest

from bodycam.model.target import Reach
from bodycam.net.egress import Place, place, reachable

PUBLIC = [
    "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0",
    "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.167.255.255", "192.169.0.0",
    "198.17.255.255", "198.20.0.0", "223.255.255.255", "168.63.129.15", "2606:4700::1111", "2a00:1450::1", "2003::1",
    "2001:4860:4860::8888", "2400:cb00::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8",
]  # fmt: skip

PRIVATE = [
    "10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.0", "192.168.255.255", "100.64.0.0",
    "100.127.255.255", "fc00::1", "fd00::1", "fdff:ffff::1", "::ffff:10.0.0.1", "::ffff:c0a8:1", "64:ff9b::10.0.0.1",
]  # fmt: skip

SPECIAL = [
    # this machine, this network
    "0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.255.255", "::", "::1", "::ffff:127.0.0.1", "::ffff:0.0.0.0",
    # link-local, with and without a zone
    "169.254.0.1", "169.254.255.255", "fe80::1", "fe80::1%eth0", "fe80::1%2", "febf::1", "2606:4700::1111%1",
    # metadata
    "169.254.169.254", "169.254.170.2", "fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "192.0.0.192", "168.63.129.16",
    "fd00:ec2::23", "fd00:c1::a9fe:a9fe", "fd00:42::42",
    "::ffff:169.254.169.254", "::ffff:a9fe:a9fe", "64:ff9b::169.254.169.254", "64:ff9b::a83f:8110", "::ffff:100.100.100.200",
    # an IPv4 address in a coat that is refused whatever is within
    "::10.0.0.1", "::8.8.8.8", "::169.254.169.254", "64:ff9b:1::10.0.0.1", "64:ff9b:1::8.8.8.8", "64:ff9b:1:abcd::1",
    "2002:0a00:0001::1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "2002:808:808::1", "::ffff:0:10.0.0.1", "::ffff:0:8.8.8.8",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001::f5ff:fffe", "2001:0:808:808::5601:5601",
    # reserved, for documentation, for benchmarks, multicast, broadcast
    "192.0.0.1", "192.0.0.8", "192.0.0.170", "192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1", "198.19.255.255",
    "192.88.99.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "2001:db8::1", "3fff::1", "3fff:fff::1",
    "2001:2::1", "2001:10::1", "2001:20::1", "100::1", "5f00::1", "4000::1", "fec0::1", "ff02::1", "ff0e::1",
    # no address at all
    "", "localhost", "1.2.3", "0x7f.0.0.1", "127.1", "010.0.0.1", "8.8.8.8 ", "[::1]", "/run/socket", "8.8.8.8%1",
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "address"),
    [(kind, one) for kind, all_of in zip(Place, (PUBLIC, PRIVATE, SPECIAL), strict=True) for one in all_of],
)
def test_what_kind_of_place_an_address_is(kind: Place, address: str) -> None:
    assert place(address) is kind
    assert [reach for reach in Reach if reachable(address, reach)] == {
        Place.PUBLIC: [Reach.ANY, Reach.PRIVATE, Reach.PUBLIC],
        Place.PRIVATE: [Reach.ANY, Reach.PRIVATE],
        Place.SPECIAL: [Reach.ANY],
    }[kind]
