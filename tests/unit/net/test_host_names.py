"""What may stand in a certificate: names of hosts and addresses, each in one form, and nothing else."""

import pytest

from bodycam.net.host_names import BadHost, checked, is_address


@pytest.mark.parametrize(
    ("host", "form"),
    [
        ("api.example", "api.example"),
        ("API.Example.", "api.example"),
        ("localhost", "localhost"),
        ("under_score.example", "under_score.example"),
        ("_service.example", "_service.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("3com.com", "3com.com"),
        ("a" * 63 + ".example", "a" * 63 + ".example"),
        (".".join(["a" * 49] * 5) + ".com", ".".join(["a" * 49] * 5) + ".com"),
        ("10.0.0.1", "10.0.0.1"),
        ("2001:DB8:0::1", "2001:db8::1"),
    ],
)
def test_a_host_has_one_form(host: str, form: str) -> None:
    assert checked(host) == form
    assert checked(form) == form


@pytest.mark.parametrize(
    "host",
    [
        "",
        ".",
        "..",
        ".example",
        "a..example",
        "*.example",
        "*",
        "a/b",
        "a b",
        "a\n.example",
        "a.example\n",
        "a\0.example",
        "a:443",
        "[::1]",
        "user@a.example",
        "-a.example",
        "a-.example",
        "b\u00fccher.example",
        "a.\u212aelvin",
        "a" * 64 + ".example",
        ".".join(["a" * 50] * 5) + ".com",
        "1.2.3",
        "256.1.1.1",
        "010.0.0.1",
        "a.1",
        "fe80::1%eth0",
        "a" * 100_000,
    ],
)
def test_what_is_no_host_is_refused(host: str) -> None:
    with pytest.raises(BadHost) as caught:
        checked(host)
    assert len(str(caught.value)) < 400


def test_an_address_is_told_from_a_name() -> None:
    assert [is_address(one) for one in ("10.0.0.1", "::1", "a.example", "1.2.3")] == [
        True,
        True,
        False,
        False,
    ]
