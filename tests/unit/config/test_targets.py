"""Targets of a protocol whose targets can be sets of hosts: what fits together, and what is named as wrong."""

from pathlib import Path

import pytest

from bodycam.config import Settings, SettingsError, from_snapshot, parse, policy_version, snapshot
from bodycam.model.target import TlsMode
from tests.made_up import WITH_WEB


def read(target: str, more: str = "") -> Settings:
    text = f"targets:\n  a: {{{target}}}\n{more}"
    return parse(text, file="f", folder=Path("/srv"), protocols=WITH_WEB)


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("protocol: web", "2: targets.a: expected exactly one of address and hosts"),
        ("protocol: web, hosts: [a.b], address: 'a.b:1'", "2: targets.a: expected exactly one of address and hosts"),
        ("protocol: web, hosts: []", "2: targets.a.hosts: expected at least 1 in the list"),
        ("protocol: web, hosts: [ok.b, '*x.b']",
         "2: targets.a.hosts[1]: expected a host, *.domain or *, or one with :port; a host name has letters, "
         "digits, '-' and '_' between its dots, at most 63 each"),
        ("protocol: web, hosts: [7]",
         "2: targets.a.hosts[0]: expected a host, *.domain or *, or one with :port; a host name has from 1 to 253 "
         "characters"),
        ("protocol: web, address: 'a:1', private: true",
         "2: targets.a: expected private with hosts only: an address is trusted wherever it is"),
        ("protocol: web, address: 'a:1', database: x",
         "2: targets.a.database: a target of protocol web has no use for this key"),
        ("protocol: web, address: 'a:1', tls: {sslmode: prefer}",
         "2: targets.a.tls.sslmode: expected one of disable, require, verify-ca, verify-full for protocol web"),
        ("protocol: postgres, address: 'a:1'", "2: targets.a.user: this key is missing and has no default"),
        ("protocol: postgres, address: 'a:1', user: null", "2: targets.a.user: this key is missing and has no default"),
        ("protocol: postgres, user: x, hosts: [a.b]",
         "2: targets.a.address: this key is missing and has no default\n"
         "2: targets.a.hosts: a target of protocol postgres has no use for this key"),
        ("protocol: postgres, address: 'a:1', user: x, headers: {X-A: {env: A}}",
         "2: targets.a.headers: a target of protocol postgres has no use for this key"),
        ("protocol: web, address: 'a:1', headers: {X-A: secret}",
         "2: targets.a.headers.X-A: a literal password is refused; expected {env: NAME}, {file: PATH} or "
         "{command: [PROGRAM, ...]}"),
        ("protocol: web, address: 'a:1', headers: {X-A: {prefix: 'Bearer '}}",
         "2: targets.a.headers.X-A: expected exactly one of env, file and command"),
        ("protocol: web, address: 'a:1', headers: {X-A: {env: A, prefix: \"a\\r\\nb\"}}",
         "2: targets.a.headers.X-A.prefix: expected printable ASCII characters"),
        ("protocol: web, address: 'a:1', headers: {'X A': {env: A}}",
         "2: targets.a.headers: expected the name of a header, at most 64 characters"),
        ("protocol: web, address: 'a:1', headers: {Host: {env: A}}",
         "2: targets.a.headers: expected a header that doesn't say where messages begin, end or go"),
        ("protocol: web, address: 'a:1', headers: {X-A: {env: A}, x-a: {env: B}}",
         "2: targets.a.headers: expected each header once, whatever its capitals"),
        ("protocol: web, address: 'a:1', password: {env: A}, headers: {authorization: {env: A}}",
         "2: targets.a: expected only one of password, oauth and headers.Authorization"),
        ("protocol: web, address: 'a:1', intercept: false, allow: [{methods: [GET]}]",
         "2: targets.a: expected no allow, headers, query, oauth or password where intercept is false: what is not "
         "read can't be judged or added to"),
        ("protocol: web, address: 'a:1', oauth: {token_url: 'http://idp/t', client_id: a, client_secret: {env: A}}",
         "2: targets.a.oauth.token_url: expected https://host/path, or http:// to this machine"),
        ("protocol: web, address: 'a:1', allow: [{methods: [get]}]",
         "2: targets.a.allow[0].methods: expected methods in capitals, such as GET"),
        ("protocol: web, address: 'a:1', allow: [{paths: [/ok, /a/../b]}]",
         "2: targets.a.allow[0].paths: expected a path in normal form that begins with '/': no '//', '.', '..', ';' "
         "or needless escape"),
        ("protocol: web, address: 'a:1', allow: []", "2: targets.a.allow: expected at least 1 in the list"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_by_line_and_key(target: str, problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(target)
    assert str(caught.value).replace("f:", "") == problem


def test_no_two_targets_of_a_protocol_have_the_same_host() -> None:
    with pytest.raises(
        SettingsError, match=r"f:3: targets\.b\.hosts\[1\]: expected hosts that targets\.a doesn't have"
    ):
        read("protocol: web, hosts: ['*.x.y', X.y:1]", "  b: {protocol: web, hosts: [x.y, 'x.y.:1']}\n")


def test_a_protocol_has_its_own_sslmode() -> None:
    settings = read(
        "protocol: web, hosts: ['*.X.y', 'Z:8080']",
        "  b: {protocol: postgres, address: 'a:1', user: x}\n  c: {protocol: web, address: 'a:1', tls: {sslmode: disable}}\n",
    )
    modes = {name: target.tls.sslmode for name, target in settings.targets.items()}
    assert modes == {"a": TlsMode.VERIFY_FULL, "b": TlsMode.PREFER, "c": TlsMode.DISABLE}
    assert [str(host) for host in settings.targets["a"].hosts or ()] == ["*.x.y", "z:8080"]
    assert from_snapshot(snapshot(settings)) == settings


def test_what_may_be_asked_is_policy_and_where_secrets_are_is_not() -> None:
    def version(more: str) -> str:
        return policy_version(read(f"protocol: web, hosts: [x.y]{more}"))

    plain = version("")
    assert version(", headers: {X-A: {file: k}}") == plain
    assert len({plain, version(", allow: [{methods: [GET]}]"), version(", private: true")}) == 3
