"""Good settings load whole; wrong ones name file, line, key and what was expected, and give nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bodycam.config import (
    Settings,
    SettingsError,
    changes_needing_restart,
    from_snapshot,
    load,
    parse,
    policy_version,
    snapshot,
    starter,
    until_restart,
)
from bodycam.config.types import HostPort
from bodycam.registry import WANTS

TARGET = "targets: {a: {protocol: postgres, address: 'db:5432', user: app%s}}"


def read(text: str, folder: str = "/srv/bodycam") -> Settings:
    return parse(
        text,
        file="bodycam.yaml",
        folder=Path(folder),
        protocols=WANTS,
        checks=(check_detectors,),
    )


def check_detectors(settings: Settings) -> Iterator[tuple[tuple[str | int, ...], str]]:
    for number, entry in enumerate(settings.masking):
        for place, name in enumerate(entry.detect):
            near = {"secrts": "secrets", "pii.crad": "pii.card"}.get(name)
            if near:
                yield (
                    ("masking", number, "detect", place),
                    f"there is no detector of this name; did you mean {near}?",
                )


def problems(text: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        read(text)
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("workers: many", "1: workers: expected a whole number"),
        ("\n\nworkers: 0", "3: workers: expected at least 1"),
        ("- a", "1: expected a map of settings at the top of the file"),
        ("workers: 1\nworkers: 2", "2: workers: this key stands here twice; the first is in line 1"),
        ("listen: {control: '127.0.0.1'}",
         "1: listen.control: expected host:port, such as 127.0.0.1:5432, db.internal:5432 or [::1]:5432"),
        ("listen: {mysql: '127.0.0.1:1'}",
         "1: listen.mysql: expected control or a protocol of this version: http, postgres, ssh"),
        ("listen: {postgres: '127.0.0.1:7888'}",
         "1: listen.postgres: expected an address of its own; listen.control has this one"),
        ("listen: {postgres: '0.0.0.0:1'}",
         "1: listen.postgres: expected a loopback address, or the names by which clients reach this "
         "machine in tls.names, or tls.certificate and tls.key"),
        ("listen: {postgres: '0.0.0.0:1'}\ntls: {enabled: false}",
         "1: listen.postgres: expected a loopback address: a listener that other machines reach does "
         "not start while tls.enabled is false"),
        ("limits: {login_timeout: 10}",
         "1: limits.login_timeout: expected a duration with its unit: 500ms, 30s, 5m, 12h or 90d"),
        ("limits: {message_size: 64MB}",
         "1: limits.message_size: expected a size with its unit: 4096B, 64KiB, 64MiB or 2GiB"),
        ("approvals: {webhooks: [{name: a, url: 'https://h/x'}]}",
         "1: approvals.webhooks[0]: expected a secret, which generic webhooks are signed with"),
        ("approvals: {webhooks: [{name: a, format: slack}]}",
         "1: approvals.webhooks[0]: expected either url or url_from"),
        ("approvals: {webhooks: [{name: a, format: slack, url: 'https://h/x', url_from: {env: A}}]}",
         "1: approvals.webhooks[0]: expected either url or url_from"),
        ("approvals: {webhooks: [{name: a, format: slack, url: 'http://chat.internal/x'}]}",
         "1: approvals.webhooks[0].url: expected https://host/path, or http:// to this machine, without a "
         "user in it"),
        ("approvals: {webhooks: [{name: a, format: slack, url: 'https://me:pass@h/x'}]}",
         "1: approvals.webhooks[0].url: expected https://host/path, or http:// to this machine, without a "
         "user in it"),
        ("approvals: {webhooks: [{name: a, format: slack, url: 'https://h:port/x'}]}",
         "1: approvals.webhooks[0].url: expected https://host/path, or http:// to this machine, without a "
         "user in it"),
        ("approvals: {webhooks: [{name: a, format: teams, url: 'https://h/x'}]}",
         "1: approvals.webhooks[0].format: expected 'generic' or 'slack'"),
        ("approvals: {webhooks: [{name: a, url: 'https://h', secret: abc}]}",
         "1: approvals.webhooks[0].secret: a literal password is refused; expected {env: NAME}, "
         "{file: PATH} or {command: [PROGRAM, ...]}"),
        ("approvals: {webhooks: [{name: a, format: slack, url: 'https://h'}, "
         "{name: a, format: slack, url: 'https://i'}]}",
         "1: approvals: expected another name for each of the webhooks"),
        ("approvals: {url: 'ftp://console'}", "1: approvals.url: expected https://host/path, or nothing"),
        ("approvals: {url: 'https://me@console'}", "1: approvals.url: expected https://host/path, or nothing"),
        ("limit: {}",
         "1: limit: no such setting (did you mean limits?); expected one of listen, tls, "
         "workers, keys, storage, journal, archive, ledger, limits, identity, roles, targets, agents, access, viewing, "
          "rules, judging, approvals, audit, telemetry, detectors, masking, retention, logging"),
        ("storage: {recordings: 's3://b/p'}",
         "1: storage.recordings: an S3 store is not in this version; expected file"),
        ("storage: {catalog: 'postgresql://u:hunter2@h/d'}",
         "1: storage.catalog.url: a literal password is refused; expected {url: "
         "postgresql://user@host/database, password: {env: NAME}}"),
        ("identity: {providers: [{name: bodycam, type: oidc, issuer: 'https://i', client_id: c}]}",
         "1: identity.providers[0]: expected another name than bodycam, which the gateway's own accounts have"),
        ("identity: {providers: [{name: i, type: ldap, issuer: 'https://i', client_id: c}]}",
         "1: identity.providers[0].type: expected 'oidc' or 'saml'"),
        ("identity: {providers: [{name: i, type: saml, issuer: 'https://i', client_id: c}]}",
         "1: identity.providers[0]: expected no issuer: a provider of type saml has none"),
        ("identity: {providers: [{name: i, type: oidc, issuer: 'https://i', client_id: c, key: k}]}",
         "1: identity.providers[0]: expected no key: a provider of type oidc has none"),
        ("identity: {providers: [{name: i, type: oidc, client_id: c}]}",
         "1: identity.providers[0]: expected issuer, by which its tokens are known"),
        ("identity: {providers: [{name: i, type: saml}]}",
         "1: identity.providers[0]: expected either metadata_file or metadata_url"),
        ("identity: {providers: [{name: i, type: saml, metadata_file: f, metadata_url: 'https://i'}]}",
         "1: identity.providers[0]: expected either metadata_file or metadata_url"),
        ("identity: {providers: [{name: i, type: saml, metadata_url: 'http://i'}]}",
         "1: identity.providers[0].metadata_url: expected https://host/path, or http:// to this machine"),
        ("identity: {providers: [{name: i, type: saml, kind: workloads, metadata_file: f}]}",
         "1: identity.providers[0]: expected kind: people; workloads don't sign in by SAML"),
        ("identity: {providers: [{name: i, type: saml, metadata_file: f, key: k}]}",
         "1: identity.providers[0]: expected both certificate and key, or neither"),
        ("identity: {providers: [{name: i, type: saml, metadata_file: f}]}",
         "1: identity: expected sign_ins.url, to which a provider of type saml sends browsers back"),
        ("identity: {sign_ins: {url: 'http://gateway'}}",
         "1: identity.sign_ins.url: expected https://host:port, or http:// to this machine, without a path"),
        ("identity: {sign_ins: {url: 'https://gateway/path'}}",
         "1: identity.sign_ins.url: expected https://host:port, or http:// to this machine, without a path"),
        ("identity: {sign_ins: {lasts: 10m, idle: 20m}}",
         "1: identity.sign_ins: expected an idle time from 1m to the time that a sign-in lasts"),
        ("identity: {providers: [{name: i, type: oidc, issuer: 'http://i', client_id: c}]}",
         "1: identity.providers[0].issuer: expected https://host/path, or http:// to this machine"),
        ("identity: {providers: [{name: i, type: oidc, issuer: 'spiffe://Corp/x', client_id: c}]}",
         "1: identity.providers[0].issuer: expected https://host/path, or http:// to this machine"),
        ("identity: {providers: [{name: i, type: oidc, issuer: 'spiffe://corp', client_id: c}]}",
         "1: identity.providers[0]: expected kind: workloads and jwks_uri, of a trust domain of SPIFFE"),
        ("identity: {providers: [{name: i, type: oidc, kind: workloads, issuer: 'spiffe://corp', audience: [a], "
         "workloads: [{when: {sub: x}, agent: y}]}]}",
         "1: identity.providers[0]: expected kind: workloads and jwks_uri, of a trust domain of SPIFFE"),
        ("identity: {providers: [{name: i, type: oidc, issuer: 'https://i'}]}",
         "1: identity.providers[0]: expected client_id or audience: whom the tokens must be meant for"),
        ("identity: {providers: [{name: i, type: oidc, issuer: 'https://i', audience: [a]}]}",
         "1: identity.providers[0]: expected client_id, by which people sign in"),
        ("identity: {providers: [{name: i, type: oidc, kind: workloads, issuer: 'https://i', audience: [a]}]}",
         "1: identity.providers[0]: expected workloads: which of its tokens are taken, and for which agent"),
        ("identity: {providers: [{name: i, type: oidc, kind: workloads, issuer: 'https://i', audience: [a], "
         "workloads: [{when: {sub: x}, agent: nobody}]}]}",
         "1: identity.providers[0].workloads[0].agent: expected a declared agent: none is declared"),
        ("identity: {providers: [{name: i, type: oidc, kind: workloads, issuer: 'https://i', audience: [a], "
         "workloads: [{when: {sub: []}, agent: nobody}]}]}",
         "1: identity.providers[0].workloads[0].when: expected at least one value for each claim"),
        ("identity: {providers: [{name: i, type: oidc, issuer: 'https://i', client_id: c}, "
         "{name: i, type: oidc, issuer: 'https://j', client_id: c}]}",
         "1: identity: expected another name for each of the providers"),
        ("identity: {api_keys: {instead_of_sign_in: false}}",
         "1: identity: expected a provider of people, where api_keys.instead_of_sign_in is false"),
        ("identity: {fresh_sign_in: 1s}", "1: identity: expected a fresh_sign_in of at least 30s"),
        ("rules: [{name: r, then: deny}]",
         "1: rules[0]: expected either when, a condition in CEL, or preset"),
        ("rules: [{when: 'true', then: deny}]", "1: rules[0]: expected a name: it is what clients are told"),
        ("rules: [{name: r, when: 'true'}]", "1: rules[0]: expected then: deny, require_approval or alert"),
        ("rules: [{name: r, when: 'true', then: deny, by: [dba]}]",
         "1: rules[0]: expected then: require_approval, where by is set"),
        ("rules: [{name: r, when: 'true', then: alert}, {name: r, when: 'true', then: alert}]",
         "1: rules[1].name: expected a name that no other rule has"),
        ("rules: [{name: r, when: 'true', then: alert, agents: [x]}]",
         "1: rules[0].agents[0]: expected a declared agent: none is declared"),
        ("rules: [{name: r, when: 'true', then: alert, targets: {names: [x]}}]",
         "1: rules[0].targets.names[0]: expected a declared target: none is declared"),
        ("retention: [{agents: [x]}]", "1: retention[0]: expected keep, at_least or both"),
        ("archive: {retention_interval: 2d}", "1: archive: expected a retention_interval from 1s to 1d"),
        ("masking: [{then: redact}]", "1: masking[0]: expected detect, columns, json or several of them"),
        ("masking:\n  - {detect: [secrets], then: remove}",
         "2: masking[0].then: expected 'redact', 'partial' or 'null'"),
        ("masking:\n  - {detect: [secrets]}\n  - {detect: [secrts]}",
         "3: masking[1].detect[0]: there is no detector of this name; did you mean secrets?"),
        ("masking: [{detect: [pii.crad]}]",
         "1: masking[0].detect[0]: there is no detector of this name; did you mean pii.card?"),
        ("masking: [{columns: [ssn]}]",
         "1: masking[0].columns[0]: expected table.column or schema.table.column, where * stands for any "
         "letters"),
        ("masking: [{json: ['a.b']}]",
         "1: masking[0].json[0]: expected a path from the root, such as $.customer.cards[*].number"),
        ("masking: [{json: ['$.a[?@.b]']}]",
         "1: masking[0].json[0]: expected a path of .name, ['name'], [0], [*] and .. alone, of at most 32 "
         "steps; conditions and slices are not in this version"),
        ("masking: [{detect: [pii], targets: {names: [b]}}]",
         "1: masking[0].targets.names[0]: expected a declared target: none is declared"),
        ("detectors: {pii.mine: {pattern: a}}",
         "1: detectors.pii.mine: expected a name that doesn't begin with secrets, pii, column, json, unread"),
        ("detectors:\n  mine:\n    pattern: 'E[0-9'",
         "3: detectors.mine.pattern: expected a regular expression of RE2 of moderate size (missing ])"),
        ("detectors: {mine: {pattern: '(?=a)b'}}",
         "1: detectors.mine.pattern: expected a regular expression of RE2 of moderate size "
         "(invalid perl operator)"),
        ("detectors: {mine: {pattern: '((a{100}){100}){100}'}}",
         "1: detectors.mine.pattern: expected a regular expression of RE2 of moderate size "
         "(invalid repetition size)"),
        ("detectors: {mine: {pattern: 'a*'}}",
         "1: detectors.mine.pattern: expected a regular expression that doesn't match an empty text"),
        (TARGET % ", capture: {rows: some}",
         "1: targets.a.capture.rows: expected 'full' or 'none'"),
        ("tls: {key: k.pem}", "1: tls: expected both certificate and key, or neither"),
        ("journal: {max_size: 16MiB}",
         "1: journal: expected a max_size of at least four times segment_size"),
        (TARGET % ", password: hunter2",
         "1: targets.a.password: a literal password is refused; expected {env: NAME}, {file: PATH} or "
         "{command: [PROGRAM, ...]}"),
        (TARGET % ", password: {env: A, file: b}",
         "1: targets.a.password: expected exactly one of env, file and command"),
        (TARGET % ", labels: {env: 1}",
         "1: targets.a.labels.env: expected text; numbers, yes, no, on and off need quotes"),
        (TARGET % ", tls: {sslmode: maybe}",
         "1: targets.a.tls.sslmode: expected 'disable', 'allow', 'prefer', 'require', 'verify-ca' or "
         "'verify-full'"),
        (TARGET % ", tls: {client_cert: c.pem}",
         "1: targets.a.tls: expected both client_cert and client_key, or neither"),
        (TARGET % ", tls: {client_key: k.pem}",
         "1: targets.a.tls: expected both client_cert and client_key, or neither"),
        (TARGET % ", tls: {sslmode: disable, client_cert: c.pem, client_key: k.pem}",
         "1: targets.a.tls: expected no client_cert where sslmode is disable"),
        (TARGET % ", tls: {sslmode: disable, channel_binding: require}",
         "1: targets.a.tls: expected an sslmode with TLS where channel_binding is require"),
        (TARGET % ", tls: {channel_binding: always}",
         "1: targets.a.tls.channel_binding: expected 'disable', 'prefer' or 'require'"),
        ("targets: {a: {protocol: mysql, address: 'db:1', user: u}}",
         "1: targets.a.protocol: expected a protocol of this version: http, postgres, ssh"),
        ("targets: {a: {protocol: postgres, address: 'db:1'}}",
         "1: targets.a.user: this key is missing and has no default"),
        ("targets: {a/b: {protocol: postgres, address: 'db:1', user: u}}",
         "1: targets.a/b: expected a name of letters, digits, '.', '_' and '-', at most 63 characters"),
        ("access: [{agents: [x], targets: {names: ['*']}}]",
         "1: access[0].agents[0]: expected a declared agent: none is declared"),
        ("agents: {x: {}}\naccess:\n  - agents: [x]\n    targets: {names: [db]}",
         "4: access[0].targets.names[0]: expected a declared target: none is declared"),
        ("access: [{agents: [], targets: {}}]",
         '1: access[0].targets: expected names or labels; names: ["*"] is every target'),
        ("access: [{targets: {names: ['*']}}]", "1: access[0]: expected agents, groups or both"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_named_by_line_and_key(text: str, message: str) -> None:
    assert problems(text) == [f"bodycam.yaml:{message}"]
    assert "hunter2" not in message


@pytest.mark.parametrize(
    "text", ["a: [", "a: b: c", "\t- x", "a: !!python/object:os.system {}", "&a [*a]", "? {a: b}\n: c"]
)
def test_what_is_no_plain_yaml_is_refused(text: str) -> None:
    assert all(line.startswith("") for line in problems(text))


def test_all_problems_are_told_at_once_in_the_order_of_their_lines() -> None:
    text = "workers: 0\nlogging: {level: loud}\nlisten: {postgres: '0.0.0.0:1'}\nruled: []\n"
    assert [line.split(":")[1] for line in problems(text)] == ["1", "2", "3", "4"]


def test_a_socket_folder_too_long_for_a_unix_socket_is_named() -> None:
    with pytest.raises(
        SettingsError, match=r"storage\.sockets: expected a shorter folder: archivist\.sock"
    ) as caught:
        read("workers: 1", "/" + "x" * 100)
    assert len(caught.value.problems) == 1


def test_paths_start_at_the_files_folder_and_an_empty_section_is_absent() -> None:
    settings = read("storage: {data: d}\nkeys: /k\ntargets:\n")
    assert (settings.storage.data, settings.storage.sockets) == (
        Path("/srv/bodycam/d"),
        Path("/srv/bodycam/d/run"),
    )
    assert settings.keys == Path("/k")
    assert settings.storage.catalog_url == "sqlite:////srv/bodycam/d/catalog.db"
    assert settings.listen.control == HostPort("127.0.0.1", 7888)


def test_a_snapshot_comes_back_the_same_and_holds_references_only() -> None:
    settings = read(
        "listen: {postgres: '[::1]:7432'}\nlimits: {login_timeout: 1500ms, drain_timeout: 90m}\n"
        + TARGET % ", password: {file: pw}, labels: {env: prod}"
    )
    assert from_snapshot(snapshot(settings)) == settings
    assert settings.limits.login_timeout == 1.5


def test_the_policy_version_follows_what_grants_and_nothing_else() -> None:
    one = read(TARGET % ", labels: {env: prod}")
    assert policy_version(one) == policy_version(read("workers: 3\n" + TARGET % ", labels: {env: prod}"))
    assert policy_version(one) == policy_version(read(TARGET % ", labels: {env: prod}, password: {env: X}"))
    assert policy_version(one) != policy_version(read(TARGET % ", labels: {env: dev}"))


def test_a_reload_says_what_it_cannot_take_over() -> None:
    old, new = read("workers: 1"), read("workers: 2\nstorage: {data: x}\nlimits: {pending_logins: 3}")
    assert changes_needing_restart(old, new) == ["workers", "storage", "limits"]


def test_a_reload_takes_the_quota_of_a_storage_that_waits_for_a_restart() -> None:
    old, quota = read("storage: {quota: 1GiB}"), read("storage: {quota: 2GiB}")
    assert changes_needing_restart(old, quota) == []
    assert until_restart(old, quota).storage.quota == 2 << 30
    both = until_restart(old, read("storage: {data: x, quota: 3GiB}"))
    assert (both.storage.data, both.storage.quota) == (old.storage.data, 3 << 30)
    with pytest.raises(SettingsError, match="more than 0B"):
        read("storage: {quota: 0B}")


def test_the_starter_file_loads(tmp_path: Path) -> None:
    path = tmp_path / "bodycam.yaml"
    path.write_text(starter({"postgres": "127.0.0.1:7432"}, keys='odd "keys"'))
    settings = load(path, protocols=WANTS)
    assert settings.keys == tmp_path / 'odd "keys"'
    assert settings.listen.protocols == {"postgres": HostPort("127.0.0.1", 7432)}


def test_a_file_that_is_not_there_or_not_text_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="expected a settings file: No such file or directory"):
        load(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_bytes(b"a: 1\nb: \xff")
    with pytest.raises(SettingsError, match=r"bad\.yaml:2: expected UTF-8 text"):
        load(tmp_path / "bad.yaml")


def test_where_people_find_an_approval() -> None:
    assert read("").approvals.link("apr_1") == ""
    text = "approvals: {url: 'https://console.internal/bodycam/'}"
    assert read(text).approvals.link("apr_1") == "https://console.internal/bodycam/approvals/apr_1"


@pytest.mark.parametrize("url", ["http://127.0.0.1:9000/x", "http://[::1]/x", "https://10.1.2.3/x?key=1"])
def test_a_webhook_may_be_on_this_machine_or_at_a_private_address(url: str) -> None:
    settings = read(f"approvals: {{webhooks: [{{name: a, url: '{url}', secret: {{env: A}}}}]}}")
    assert settings.approvals.webhooks[0].url == url
    assert from_snapshot(snapshot(settings)) == settings
