import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509

from bodycam.catalog import accounts
from bodycam.catalog.engine import make_engine, reading
from bodycam.cli.main import build, invoke
from bodycam.identity import secret_text
from bodycam.identity.api_keys import PREFIX
from bodycam.model.ids import API_KEY


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


def test_the_two_authorities_are_apart(folder: Path) -> None:
    assert bodycam("init") == 0
    listeners, runs = (
        x509.load_pem_x509_certificate((folder / "keys" / "public" / name).read_bytes())
        for name in ("listener-ca.pem", "run-client-ca.pem")
    )
    assert listeners.public_key() != runs.public_key()
    assert runs.subject.rfc4514_string() == "CN=Bodycam runs"


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


def test_doctor_without_settings(capsys: pytest.CaptureFixture[str]) -> None:
    assert bodycam("doctor") == 1
    assert "bodycam init" in capsys.readouterr().out


def test_the_schema_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert bodycam("config", "schema") == 0
    assert "targets" in json.loads(capsys.readouterr().out)["properties"]
