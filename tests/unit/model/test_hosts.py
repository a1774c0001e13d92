"""Hosts in their one form, whatever is tried to write them otherwise, and which patterns they match."""

import pytest

from bodycam.model.hosts import BadHost, host_pattern, host_port, together


@pytest.mark.parametrize(
    ("written", "host", "port"),
    [
        ("example.com:443", "example.com", 443),
        ("EXAMPLE.Com:443", "example.com", 443),
        ("example.com.:443", "example.com", 443),
        ("xn--bcher-kva.example:80", "xn--bcher-kva.example", 80),
        ("XN--BCHER-KVA.example:80", "xn--bcher-kva.example", 80),
        ("my_bucket.example.com:443", "my_bucket.example.com", 443),
        ("localhost:0080", "localhost", 80),
        ("192.0.2.1:80", "192.0.2.1", 80),
        ("192.0.2.1.:80", "192.0.2.1", 80),
        ("[::1]:80", "::1", 80),
        ("[2001:DB8:0:0::1]:80", "2001:db8::1", 80),
        ("[::ffff:10.0.0.1]:80", "10.0.0.1", 80),
        ("[::FFFF:a9fe:a9fe]:80", "169.254.169.254", 80),
        ("a" * 63 + ".example:65535", "a" * 63 + ".example", 65535),
    ],
)
def test_a_host_has_one_form(written: str, host: str, port: int) -> None:
    assert host_port(written) == (host, port)
    assert host_port(together(host, port)) == (host, port)


@pytest.mark.parametrize(
    "written",
    [
        "", ":80", "example.com", "example.com:", "example.com:0", "example.com:65536", "example.com:80a",
        "example.com:-1", "example.com:+80", "example.com: 80", "example.com:８０", "example.com:080000",
        "example..com:80", ".example.com:80", "example.com..:80", ".:80", "-a.example:80", "a-.example:80",
        "exa mple.com:80", "example.com\0.evil:80", "example.com\n:80", "example.com/:80", "a@b:80", "a%2eb:80",
        "example.com#:80", "ex\\ample:80", "bücher.example:80", "ex\u0430mple.com:80", "example。com:80", "①.example:80",
        "a" * 64 + ".example:80", "a." * 127 + "example:80", "*.example.com:80", "*:80",
        # other spellings of 127.0.0.1 that some resolvers take
        "127.1:80", "2130706433:80", "0x7f000001:80", "0x7f.1:80", "0X7F.0.0.1:80", "0177.0.0.1:80", "017700000001:80",
        "127.0.0.01:80", "127.0.0.1.1:80", "127.0.0.256:80", "0x:80", "a.0x7f:80", "example.1:80", "1.2.3:80",
        "::1:80", "[::1:80", "::1]:80", "[]:80", "[127.0.0.1]:80", "[fe80::1%eth0]:80", "[fe80::1%25eth0]:80",
        "[::1].:80", "[[::1]]:80", "[::1]", "[:::1]:80", "[::1]:80:80", "fe80::1:80",
    ],
)  # fmt: skip
def test_no_other_spelling_is_taken(written: str) -> None:
    with pytest.raises(BadHost) as refused:
        host_port(written)
    assert not written or written not in str(refused.value)


@pytest.mark.parametrize(
    ("pattern", "matches", "others"),
    [
        ("example.com", ["example.com:80", "example.com:443", "Example.COM.:443"],
         ["example.com:8080", "www.example.com:443", "example.com.evil:443", "notexample.com:443"]),
        ("EXAMPLE.com.", ["example.com:443"], []),
        ("example.com:8443", ["example.com:8443"], ["example.com:443", "example.com:80"]),
        ("*.example.com", ["a.example.com:443", "a.b.example.com:80"],
         ["example.com:443", "aexample.com:443", "a.example.com:22", "a.example.com.evil:443"]),
        ("*.example.com:8080", ["a.example.com:8080"], ["a.example.com:80", "example.com:8080"]),
        ("*", ["a:80", "example.com:443", "[::1]:443", "10.0.0.1:80"], ["example.com:25"]),
        ("*:25", ["example.com:25"], ["example.com:80"]),
        ("192.0.2.1", ["192.0.2.1:80", "[::ffff:192.0.2.1]:80"], ["192.0.2.2:80"]),
        ("[2001:db8::1]", ["[2001:0db8::1]:443"], ["[2001:db8::2]:443"]),
        ("[2001:db8::1]:8080", ["[2001:db8::1]:8080"], ["[2001:db8::1]:80"]),
    ],
)  # fmt: skip
def test_what_a_pattern_stands_for(pattern: str, matches: list[str], others: list[str]) -> None:
    made = host_pattern(pattern)
    assert [host for host in matches + others if made.matches(*host_port(host))] == matches
    assert host_pattern(str(made)) == made


@pytest.mark.parametrize(
    "pattern",
    ["", "**", "*.*", "*a.example", "a.*.example", "*.", "*.192.0.2.1", "*.1", "a:0", "a:99999", "*:", "::1", "[::1",
     "[::1%1]", "0x7f.1", "http://a", "a/b", "a b", "bücher.example", "*.[::1]"],
)  # fmt: skip
def test_what_is_no_pattern(pattern: str) -> None:
    with pytest.raises(BadHost):
        host_pattern(pattern)


def test_the_narrowest_has_the_highest_rank() -> None:
    narrow_first = [
        "a.b.example:443",
        "a.b.example",
        "*.b.example:443",
        "*.b.example",
        "*.example",
        "*:443",
        "*",
    ]
    assert sorted(narrow_first, key=lambda text: host_pattern(text).rank, reverse=True) == narrow_first
