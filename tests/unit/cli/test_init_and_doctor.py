import json
import re
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509

from bodycam import config
from bodycam.app import keys_there
from bodycam.app.keys_there import require_keys
from bodycam.archive.keys import KeysUnusable
from bodycam.catalog import accounts
from bodycam.catalog.engine import make_engine, reading
from bodycam.cli.main import build, invoke
from bodycam.config import parse
from bodycam.identity import secret_text
from bodycam.identity.api_keys import PREFIX
from bodycam.model.ids import API_KEY
from bodycam.net.ssh_key import SshKey
from bodycam.registry import PROTOCOLS
from tests.made_up import WITH_SHELL


def bodycam(*arguments: str) -> int:
    return invoke(build(only=arguments[0]), list(arguments))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BODYCAM_SETTINGS", raising=False)
    return tmp_path


def test_init_makes_all_and_then_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bodycam("init", "--json") == 0
    assert "bodycam.yaml" in json.loads(capsys.readouterr().out)["made"]
    before = {path: path.read_bytes() for path in (folder / "keys").rglob("*") if path.is_file()}
    assert bodycam("init", "--json") == 0
    assert json.loads(capsys.readouterr().out)["made"] == []
    assert {path: path.read_bytes() for path in before} == before
    private = [path for path in before if "public" not in path.parts]
    assert {stat.S_IMODE(path.stat().st_mode) for path in private} == {0o600}
    assert stat.S_IMODE((folder / "keys" / "archivist").stat().st_mode) == 0o700


def test_the_examples_of_the_first_settings_file_are_right(folder: Path) -> None:
    assert bodycam("init") == 0
    file = folder / "bodycam.yaml"
    # as somebody takes away the marks, and the empty values before them
    text = re.sub(r"^#(?=  )", "", file.read_text(), flags=re.MULTILINE)
    file.write_text(re.sub(r"^(targets|agents): \{\}$|^(access): \[\]$", r"\1\2:", text, flags=re.MULTILINE))
    settings = config.load(file)
    assert set(settings.targets) == {"orders", "packages", "model", "web1"}
    assert set(settings.listen.protocols) == {"postgres", "http"}
    assert settings.access[0].agents == ("billing-bot",)


def test_the_admins_key_is_enrolled(folder: Path) -> None:
    assert bodycam("init") == 0
    text = (folder / "keys" / "admin.key").read_text().strip()
    engine = make_engine(f"sqlite:///{folder / 'data' / 'catalog.db'}")
    with reading(engine) as connection:
        found = accounts.key_with_account(connection, secret_text.name_in(text, PREFIX, API_KEY) or "")
    engine.dispose()
    assert found is not None
    key, account = found
    assert (account.name, account.groups) == ("admin", frozenset({"admins"}))
    assert key.hash == secret_text.digest_of(text)


def test_a_lost_key_file_gets_a_new_key(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bodycam("init") == 0
    (folder / "keys" / "admin.key").unlink()
    capsys.readouterr()
    assert bodycam("init", "--json") == 0
    assert json.loads(capsys.readouterr().out)["made"] == [str(folder / "keys" / "admin.key")]


def test_half_a_ca_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bodycam("init") == 0
    (folder / "keys" / "control" / "listener-ca.pem").unlink()
    assert bodycam("init") == 1
    assert "control/listener-ca.pem is missing" in capsys.readouterr().err


@pytest.mark.parametrize("half", ["control", "public"])
def test_half_a_ca_of_the_runs_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], half: str
) -> None:
    assert bodycam("init") == 0
    (folder / "keys" / half / "run-client-ca.pem").unlink()
    assert bodycam("init") == 1
    assert f"{half}/run-client-ca.pem is missing" in capsys.readouterr().err


def test_keys_that_a_gateway_of_an_earlier_version_lacks_are_added_and_nothing_else(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bodycam("init") == 0
    added = [folder / "keys" / half / "run-client-ca.pem" for half in ("control", "public")]
    for file in added:
        file.unlink()
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    capsys.readouterr()

    # a process of its own: a gateway sets up the log of the whole process
    serve = [sys.executable, "-m", "bodycam", "serve", "--settings", "bodycam.yaml"]
    done = subprocess.run(serve, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "run-client-ca.pem is not there" in done.stderr
    assert "bodycam init --settings bodycam.yaml" in done.stderr
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before

    assert bodycam("init", "--json") == 0
    assert json.loads(capsys.readouterr().out)["made"] == [str(file) for file in added]
    assert {path: path.read_bytes() for path in before if path.suffix == ".pem"} == {
        path: content for path, content in before.items() if path.suffix == ".pem"
    }
    assert stat.S_IMODE(added[0].stat().st_mode) == 0o600


def test_the_three_authorities_are_apart(folder: Path) -> None:
    assert bodycam("init") == 0
    authorities = {
        name: x509.load_pem_x509_certificate((folder / "keys" / "public" / f"{name}-ca.pem").read_bytes())
        for name in ("listener", "run-client", "interception")
    }
    assert len({one.public_key().public_numbers() for one in authorities.values()}) == 3
    assert {name: one.subject.rfc4514_string() for name, one in authorities.items()} == {
        "listener": "CN=Bodycam listeners",
        "run-client": "CN=Bodycam runs",
        "interception": "CN=Bodycam interception",
    }
    for one in authorities.values():
        assert one.issuer == one.subject
    assert stat.S_IMODE((folder / "keys" / "control" / "interception-ca.pem").stat().st_mode) == 0o600


@pytest.mark.parametrize("half", ["control", "public"])
def test_the_interception_authority_is_needed_where_a_protocol_intercepts(
    folder: Path, monkeypatch: pytest.MonkeyPatch, half: str
) -> None:
    assert bodycam("init") == 0
    file = folder / "keys" / half / "interception-ca.pem"
    file.unlink()
    settings = config.load(folder / "bodycam.yaml")
    changed = {name: replace(one, intercepts=False) for name, one in PROTOCOLS.items()}
    monkeypatch.setattr(keys_there, "PROTOCOLS", changed)
    require_keys(settings, Path("bodycam.yaml"))

    changed = {name: replace(one, intercepts=True) for name, one in PROTOCOLS.items()}
    monkeypatch.setattr(keys_there, "PROTOCOLS", changed)
    with pytest.raises(KeysUnusable, match=r"interception-ca\.pem is not there; `bodycam init --settings"):
        require_keys(settings, Path("bodycam.yaml"))


SSH_KEYS = ("ssh-host", "run-ssh-ca", "target-ssh-ca")


def test_the_keys_of_ssh_are_made_apart(folder: Path) -> None:
    assert bodycam("init") == 0
    keys = folder / "keys"
    made = [SshKey.load(keys / "control" / f"{one}.key", keys / "public" / f"{one}.pub") for one in SSH_KEYS]
    assert len({one.public_line for one in made}) == 3
    modes = [
        stat.S_IMODE((keys / where).stat().st_mode)
        for one in SSH_KEYS
        for where in (f"control/{one}.key", f"public/{one}.pub")
    ]
    assert modes == [0o600, 0o644] * 3


@pytest.mark.parametrize(
    "missing", ["control/ssh-host.key", "public/run-ssh-ca.pub", "control/target-ssh-ca.key"]
)
def test_half_a_key_of_ssh_is_refused_and_a_whole_one_added(
    folder: Path, capsys: pytest.CaptureFixture[str], missing: str
) -> None:
    assert bodycam("init") == 0
    (folder / "keys" / missing).unlink()
    assert bodycam("init") == 1
    assert f"{missing} is missing beside its other half" in capsys.readouterr().err
    for half in (folder / "keys").glob(f"*/{Path(missing).stem}.*"):
        half.unlink()
    before = {path: path.read_bytes() for path in (folder / "keys").rglob("*") if path.is_file()}
    assert bodycam("init", "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["made"]) == 2
    assert {path: path.read_bytes() for path in before} == before


def with_ssh(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a protocol that is served had a host key."""
    changed = {name: replace(one, host_key=name == "http") for name, one in PROTOCOLS.items()}
    monkeypatch.setattr(keys_there, "PROTOCOLS", changed)


@pytest.mark.parametrize("stem", ["ssh-host", "run-ssh-ca"])
@pytest.mark.parametrize("half", ["control", "public"])
def test_the_host_key_and_the_runs_authority_are_needed_where_a_protocol_has_host_keys(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], stem: str, half: str
) -> None:
    assert bodycam("init") == 0
    settings = config.load(folder / "bodycam.yaml")
    (file,) = (folder / "keys" / half).glob(f"{stem}.*")
    file.unlink()
    require_keys(settings, Path("bodycam.yaml"))
    assert bodycam("doctor") == 0

    with_ssh(monkeypatch)
    with pytest.raises(KeysUnusable, match=rf"{file.name} is not there; `bodycam init --settings"):
        require_keys(settings, Path("bodycam.yaml"))
    capsys.readouterr()
    assert bodycam("doctor") == 1
    assert f"key {half}/{file.name}" in capsys.readouterr().out


def test_the_targets_authority_is_needed_where_a_target_gets_certificates(folder: Path) -> None:
    assert bodycam("init") == 0
    settings = config.load(folder / "bodycam.yaml")
    (folder / "keys" / "control" / "target-ssh-ca.key").unlink()
    require_keys(settings, Path("bodycam.yaml"))
    line = (folder / "keys" / "public" / "ssh-host.pub").read_text().strip()
    target = (
        f"{{protocol: shell, address: 'box:22', user: x, issued_certificate: true, host_keys: ['{line}']}}"
    )
    changed = parse(f"targets: {{box: {target}}}", file="f", folder=folder, protocols=WITH_SHELL)
    with pytest.raises(KeysUnusable, match=r"target-ssh-ca\.key is not there"):
        require_keys(changed, Path("bodycam.yaml"))


def test_doctor_sees_that_others_can_read_a_key_of_ssh(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bodycam("init") == 0
    (folder / "keys" / "control" / "target-ssh-ca.key").chmod(0o640)
    capsys.readouterr()
    assert bodycam("doctor") == 1
    assert f"chmod 600 {folder / 'keys' / 'control' / 'target-ssh-ca.key'}" in capsys.readouterr().out


def test_doctor_sees_that_a_file_of_host_keys_is_missing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bodycam("init") == 0
    file = folder / "bodycam.yaml"
    target = "{protocol: ssh, address: '127.0.0.1:1', user: x, known_hosts: known_hosts}"
    file.write_text(file.read_text().replace("targets: {}", f"targets: {{box: {target}}}"))
    capsys.readouterr()
    assert bodycam("doctor") == 0
    said = capsys.readouterr().out
    assert "warn  target box: 127.0.0.1:1: " in said
    assert "warn  host keys of box: the file " in said
    assert "fix: correct targets.box.known_hosts" in said
    (folder / "known_hosts").write_text((folder / "keys" / "public" / "ssh-host.pub").read_text())
    assert bodycam("doctor") == 0
    assert "host keys" not in capsys.readouterr().out


def test_wrong_settings_are_named_and_left_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "bodycam.yaml").write_text("workers: many\n")
    assert bodycam("init") == 2
    assert "bodycam.yaml:1: workers" in capsys.readouterr().err
    assert (folder / "bodycam.yaml").read_text() == "workers: many\n"
    assert bodycam("config", "check", "--json") == 2
    assert json.loads(capsys.readouterr().out)["problems"][0]["key"] == "workers"


def test_doctor_finds_nothing_bad_in_a_fresh_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert bodycam("init") == 0
    capsys.readouterr()
    assert bodycam("doctor", "--json") == 0
    checks = {one["name"]: one["state"] for one in json.loads(capsys.readouterr().out)["checks"]}
    assert checks["keys"] == checks["catalog"] == checks["preallocation"] == "good"
    assert checks["control API"] == "warning"


def test_doctor_names_each_fault_with_its_fix(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bodycam("init") == 0
    (folder / "keys" / "admin.key").chmod(0o644)
    (folder / "keys" / "archivist" / "journal.pem").unlink()
    (folder / "data" / "run").mkdir(mode=0o755)
    capsys.readouterr()
    assert bodycam("doctor") == 1
    text = capsys.readouterr().out
    assert f"chmod 600 {folder / 'keys' / 'admin.key'}" in text
    assert "key archivist/journal.pem" in text
    assert f"chmod 700 {folder / 'data' / 'run'}" in text


@pytest.mark.parametrize(
    ("used", "state", "says", "code"),
    [
        (0, "good", "0 of the 1000 bytes of storage.quota (0 %)", 0),
        (799, "good", "(79 %)", 0),
        (800, "warning", "(80 %): at 100 % new sessions are refused", 0),
        (1001, "bad", "(100 %): new sessions are refused", 1),
    ],
)
def test_doctor_says_how_full_the_quota_is(
    folder: Path, capsys: pytest.CaptureFixture[str], used: int, state: str, says: str, code: int
) -> None:
    assert bodycam("init") == 0
    settings = folder / "bodycam.yaml"
    settings.write_text(settings.read_text().replace("storage:\n", "storage:\n  quota: 1000B\n"))
    if used:
        day = folder / "data" / "recordings" / "2026" / "01" / "02"
        day.mkdir(parents=True)
        (day / "rec_a.bcr").write_bytes(bytes(used // 2))
        (day / "rec_b.bcr").write_bytes(bytes(used - used // 2))
    capsys.readouterr()
    assert bodycam("doctor", "--json") == code
    checks = {one["name"]: one for one in json.loads(capsys.readouterr().out)["checks"]}
    assert checks["quota"]["state"] == state
    assert says in checks["quota"]["found"]


def test_doctor_without_settings(capsys: pytest.CaptureFixture[str]) -> None:
    assert bodycam("doctor") == 1
    assert "bodycam init" in capsys.readouterr().out


def test_the_schema_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert bodycam("config", "schema") == 0
    assert "targets" in json.loads(capsys.readouterr().out)["properties"]
