"""Settings of targets that prove themselves by host keys: what fits together, and what is named as wrong."""

from pathlib import Path

import pytest

from bodycam import registry
from bodycam.config import Settings, SettingsError, from_snapshot, parse, policy_version, snapshot
from bodycam.model.target import TlsMode
from bodycam.net.ssh_key import SshKey
from tests.made_up import WITH_SHELL

# fixed: it is in the names of tests, which are the same in every process
ED = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
KEYED = f"host_keys: ['{ED}']"


def read(target: str) -> Settings:
    text = f"targets:\n  a: {{protocol: shell, address: 'a.b:2222', user: x, {target}}}\n"
    return parse(text, file="f", folder=Path("/srv"), protocols=WITH_SHELL)


def test_a_target_has_accounts_and_no_tls() -> None:
    target = read(f"host_keys: ['{ED}  root@box and more'], known_hosts: known, users: [root, x]").targets[
        "a"
    ]

    assert target.host_keys == (ED,)
    assert target.known_hosts == Path("/srv/known")
    assert target.accounts == ("x", "root")
    assert target.default_database == "x"
    assert target.tls.sslmode is TlsMode.DISABLE


def test_where_none_are_named_the_own_account_is_the_only_one() -> None:
    whole = read(KEYED)
    assert whole.targets["a"].accounts == ("x",)
    assert from_snapshot(snapshot(whole)).targets["a"].accounts == ("x",)
    text = "targets: {a: {protocol: postgres, address: 'a.b:1', user: x}}\n"
    assert parse(text, file="f", folder=Path("/srv"), protocols=WITH_SHELL).targets["a"].accounts is None


def test_how_the_gateway_proves_itself_is_no_matter_of_policy_and_whose_account_it_may_be_is() -> None:
    plain = policy_version(read(KEYED))
    for same in (
        f"{KEYED}, private_key: {{env: A}}",
        f"{KEYED}, issued_certificate: true",
        f"{KEYED}, known_hosts: known",
        f"host_keys: ['{SshKey.create().public_line}']",
    ):
        assert policy_version(read(same)) == plain
    assert policy_version(read(f"{KEYED}, users: [root]")) != plain


TYPES = "ecdsa-sha2-nistp256, ecdsa-sha2-nistp384, ecdsa-sha2-nistp521, ssh-ed25519, ssh-rsa"


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("labels: {}",
         "2: targets.a: expected host_keys or known_hosts, by which the gateway knows the target from others: "
         "`ssh-keyscan -p 2222 a.b` shows its keys; compare them with /etc/ssh/*.pub on the target itself"),
        ("host_keys: []", "2: targets.a.host_keys: expected at least 1 in the list"),
        (f"host_keys: ['box {ED}']",
         f"2: targets.a.host_keys[0]: expected a public key's line, TYPE BASE64, of a type among {TYPES}"),
        (f"host_keys: ['{ED}', 'ssh-dss AAAA']",
         f"2: targets.a.host_keys[1]: expected a public key's line, TYPE BASE64, of a type among {TYPES}"),
        ("host_keys: ['ssh-ed25519']",
         "2: targets.a.host_keys[0]: expected the whole of the key's base64 after ssh-ed25519"),
        ("host_keys: ['ssh-ed25519 ?']",
         "2: targets.a.host_keys[0]: expected the whole of the key's base64 after ssh-ed25519"),
        (f"host_keys: ['ssh-rsa {ED.split()[1]}']",
         "2: targets.a.host_keys[0]: expected the whole of the key's base64 after ssh-rsa"),
        (f"{KEYED}, password: {{env: A}}, private_key: {{env: B}}",
         "2: targets.a: expected only one of password, private_key and issued_certificate"),
        (f"{KEYED}, password: {{env: A}}, issued_certificate: true",
         "2: targets.a: expected only one of password, private_key and issued_certificate"),
        (f"{KEYED}, private_key: secret",
         "2: targets.a.private_key: a literal password is refused; expected {env: NAME}, {file: PATH} or "
         "{command: [PROGRAM, ...]}"),
        (f"{KEYED}, users: [root@box]",
         "2: targets.a.users[0]: expected the name of an account, without @, / and blanks round it"),
        (f"{KEYED}, users: [a/b]",
         "2: targets.a.users[0]: expected the name of an account, without @, / and blanks round it"),
        (f"{KEYED}, tls: {{sslmode: require}}",
         "2: targets.a.tls.sslmode: expected one of disable for protocol shell"),
        (f"{KEYED}, database: x", "2: targets.a.database: a target of protocol shell has no use for this key"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_by_line_and_key(target: str, problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(target)
    assert str(caught.value).replace("f:", "") == problem


@pytest.mark.parametrize(
    "key", ["users: [a]", "private_key: {env: A}", "issued_certificate: true", "known_hosts: k", KEYED]
)
def test_other_protocols_have_no_use_for_these(key: str) -> None:
    text = f"targets: {{a: {{protocol: postgres, address: 'a.b:1', user: x, {key}}}}}\n"
    with pytest.raises(SettingsError, match="a target of protocol postgres has no use for this key"):
        parse(text, file="f", folder=Path("/srv"), protocols=WITH_SHELL)


def test_a_name_that_clients_use_for_something_else_is_refused() -> None:
    protocols = {"ssh": registry.WANTS["ssh"]}
    text = (
        "targets:\n"
        f"  jump: {{protocol: ssh, address: 'a.b:22', user: x, {KEYED}}}\n"
        f"  a: {{protocol: ssh, address: 'a.b:22', user: bodycam, {KEYED}}}\n"
        f"  b: {{protocol: ssh, address: 'a.b:22', user: jump, users: [root, bodycam], {KEYED}}}\n"
    )
    with pytest.raises(SettingsError) as refused:
        parse(text, file="f", folder=Path("/srv"), protocols=protocols)

    said = [str(one) for one in refused.value.problems]
    means = "means something else to clients of protocol ssh"
    assert said == [
        f"f:2: targets.jump: the name jump {means}: call the target otherwise",
        f"f:3: targets.a.user: the account bodycam {means}: give the gateway another one there",
        f"f:4: targets.b.users[1]: the account bodycam {means}: give the gateway another one there",
    ]
