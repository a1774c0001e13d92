"""`bodycam run` as a real process, with a real child, against a control API on loopback."""

import json
import os
import pty
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from bodycam.net.authority import Authority
from tests.unit.cli.fake_control import FakeControl, fake_control

RUN = "run_aaaabbbbccccdddd"
HEAD = {"log": "00" * 16, "size": 7, "root": "11" * 32, "at": 1, "signature": "22" * 64}
PEM = "-----BEGIN CERTIFICATE-----\noooo\n-----END CERTIFICATE-----\n"
SHOW = "import json,os,sys; json.dump(dict(os.environ), open(sys.argv[1],'w'))"


def routes(**changes: Any) -> dict[str, Any]:
    gateway = {
        "version": "0",
        "listeners": {"postgres": {"host": "127.0.0.1", "port": 7432, "tls": False}},
        "ca_pem": None,
        "targets": [target("orders", "db.internal:5432")],
    } | changes
    started = {
        "run": {"id": RUN, "agent": "bot", "expires": time.time() + 3600, "grade": "advisory"},
        "credential": {"user": RUN, "secret": "bcr_a:b\\c"},
    }
    ended = {"run": {"id": RUN}, "head": HEAD, "sessions": ["ses_x"], "unsealed": []}
    return {
        "GET /v1/gateway": gateway,
        "POST /v1/runs": started,
        f"POST /v1/runs/{RUN}/end": ended,
        f"POST /v1/runs/{RUN}/renew": lambda _query, _body: (200, {"expires": time.time() + 3600}),
    }


def target(name: str, host: str, protocol: str = "postgres") -> dict[str, Any]:
    return {"name": name, "protocol": protocol, "labels": {}, "database": name, "hosts": [host]}


def listening(*protocols: str) -> dict[str, Any]:
    return {one: {"host": "127.0.0.1", "port": 7000 + len(one), "tls": False} for one in protocols}


@pytest.fixture
def control() -> Iterator[FakeControl]:
    with fake_control(routes()) as control:
        yield control


def environment(control_url: str, tmp_path: Path, **more: str) -> dict[str, str]:
    (tmp_path / "tmp").mkdir(exist_ok=True)
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    ours = {
        "BODYCAM_URL": control_url,
        "BODYCAM_API_KEY": "bca_key",
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "TMPDIR": str(tmp_path / "tmp"),
    }
    return {**kept, **ours, **more}


def arguments(*command: str, options: tuple[str, ...] = ()) -> list[str]:
    return [sys.executable, "-m", "bodycam", "run", "--agent", "bot", *options, "--", *command]


def run(
    control: FakeControl, tmp_path: Path, *command: str, options: tuple[str, ...] = (), **more: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments(*command, options=options),
        env=environment(control.url, tmp_path, **more),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def start(control: FakeControl, tmp_path: Path, *command: str, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        arguments(*command), env=environment(control.url, tmp_path), cwd=tmp_path, text=True, **options
    )


def wait_for(file: Path, text: str = "") -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if file.exists() and text in file.read_text():
            return
        time.sleep(0.02)
    raise AssertionError(f"{file} never had {text!r}")


def test_the_child_gets_bindings_and_nothing_of_ours(control: FakeControl, tmp_path: Path) -> None:
    passwords = tmp_path / "pgpass"
    script = f"{SHOW}; import shutil; shutil.copy(os.environ['PGPASSFILE'], sys.argv[2])"
    command = (sys.executable, "-c", script, str(tmp_path / "env"), str(passwords))
    done = run(
        control,
        tmp_path,
        *command,
        options=("--label", "ticket=7", "--ttl", "30m"),
        PGPASSWORD="hidden",
        PGHOSTADDR="10.0.0.1",
        OPENAI_API_KEY="hidden too",
        TRACEPARENT="00-trace",
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads((tmp_path / "env").read_text())
    assert {name: seen[name] for name in seen if name.startswith("PG")} == {
        "PGHOST": "127.0.0.1",
        "PGPORT": "7432",
        "PGUSER": RUN,
        "PGDATABASE": "orders",
        "PGPASSFILE": seen["PGPASSFILE"],
        "PGAPPNAME": "bot",
        "PGGSSENCMODE": "disable",
        "PGSSLMODE": "disable",
    }
    assert not [name for name in seen if name.startswith("BODYCAM_")]
    assert passwords.read_text().splitlines()[0] == f"127.0.0.1:7432:*:{RUN}:bcr_a\\:b\\\\c"
    assert stat.S_IMODE(passwords.stat().st_mode) == 0o600
    [wish] = control.made("POST", "/v1/runs")
    assert wish.body["agent"] == "bot"
    assert wish.body["labels"] == {"ticket": "7"}
    assert wish.body["ttl"] == 1800
    assert wish.body["trace"] == "00-trace"
    assert wish.key == "Bearer bca_key"
    assert "PGPASSWORD, PGHOSTADDR" in done.stderr
    assert "OPENAI_API_KEY" in done.stderr
    assert "hidden" not in done.stderr


TLS = {
    "listeners": {"postgres": {"host": "127.0.0.1", "port": 7432, "tls": True}},
    "ca_pem": "-----BEGIN CERTIFICATE-----\n",
    "certificates": True,
}
RUNS = Authority.create("Bodycam runs")
COPY = "for f in $PGSSLCERT $PGSSLKEY $PGSSLROOTCERT; do stat -c '%a %n' $f >> modes; cp $f .; done"


def certify(csr: str, seconds: float = 3600) -> dict[str, Any]:
    end = datetime.now(UTC) + timedelta(seconds=seconds)
    pem = RUNS.vouch(csr.encode(), name=RUN, unit="bot", uris=[f"urn:bodycam:run:{RUN}"], end=end)
    return {"pem": pem.decode(), "expires": end.timestamp()}


def certifying(lease: float = 3600) -> dict[str, Any]:
    """A control API that gives certificates, and whose leases are this long."""
    plain = routes(**TLS)
    started = plain["POST /v1/runs"]
    started["run"]["expires"] = time.time() + lease

    def renewed(_query: Any, body: Mapping[str, Any]) -> tuple[int, Any]:
        return 200, {"expires": time.time() + 3600, "certificate": certify(body["csr"])}

    return plain | {
        "POST /v1/runs": lambda _query, body: (200, started | {"certificate": certify(body["csr"])}),
        f"POST /v1/runs/{RUN}/renew": renewed,
    }


def test_where_the_listener_has_tls_the_child_gets_a_certificate_and_the_key_stays_here(
    tmp_path: Path,
) -> None:
    with fake_control(certifying()) as control:
        done = run(control, tmp_path, "sh", "-c", COPY, PGSSLCERT="elsewhere.pem", PGSSLCERTMODE="disable")
    assert done.returncode == 0, done.stderr
    [wish] = control.made("POST", "/v1/runs")
    assert "BEGIN CERTIFICATE REQUEST" in wish.body["csr"]
    assert "PRIVATE KEY" not in json.dumps(wish.body)

    key = serialization.load_pem_private_key((tmp_path / "client.key").read_bytes(), None)
    certificate = x509.load_pem_x509_certificate((tmp_path / "client.pem").read_bytes())
    assert certificate.public_key() == key.public_key()
    assert certificate.subject.rfc4514_string() == f"CN={RUN},OU=bot"
    modes = [line.split() for line in (tmp_path / "modes").read_text().splitlines()]
    assert [mode for mode, _ in modes] == ["600"] * 3
    # all of it is gone with the run
    assert not [file for _, file in modes if Path(file).exists()]
    assert list((tmp_path / "tmp").iterdir()) == []
    assert "PGSSLCERTMODE" in done.stderr


def test_a_renewal_puts_a_new_certificate_in_the_place_of_the_old_one(tmp_path: Path) -> None:
    script = (
        "cp $PGSSLCERT first.pem; for i in $(seq 200); do cmp -s $PGSSLCERT first.pem || break; sleep 0.05; done;"
        " cp $PGSSLCERT second.pem; cp $PGSSLKEY key.pem; stat -c %a $PGSSLCERT > mode; ls -A $(dirname $PGSSLCERT) > files"
    )
    with fake_control(certifying(lease=1.0)) as control:
        done = run(control, tmp_path, "sh", "-c", script)
    assert done.returncode == 0, done.stderr

    first, second = (
        x509.load_pem_x509_certificate((tmp_path / name).read_bytes()) for name in ("first.pem", "second.pem")
    )
    key = serialization.load_pem_private_key((tmp_path / "key.pem").read_bytes(), None)
    assert first.serial_number != second.serial_number
    assert second.public_key() == first.public_key() == key.public_key()
    assert (tmp_path / "mode").read_text() == "600\n"
    assert "new" not in (tmp_path / "files").read_text()
    assert control.made("POST", f"/v1/runs/{RUN}/renew")[0].body["csr"]


@pytest.mark.parametrize("without", ["certificates", "tls"])
def test_where_there_are_none_none_is_asked_for(tmp_path: Path, without: str) -> None:
    changed = dict(TLS)
    if without == "certificates":
        changed["certificates"] = False
    else:
        changed["listeners"] = {"postgres": {"host": "127.0.0.1", "port": 7432, "tls": False}}
    with fake_control(routes(**changed)) as control:
        done = run(control, tmp_path, "sh", "-c", 'test -z "$PGSSLCERT$PGSSLKEY"')
    assert done.returncode == 0, done.stderr
    assert "csr" not in control.made("POST", "/v1/runs")[0].body


def test_a_gateway_that_promises_certificates_and_gives_none_starts_nothing(tmp_path: Path) -> None:
    with fake_control(routes(**TLS)) as control:
        done = run(control, tmp_path, "touch", "started")
    assert done.returncode == 125
    assert "no certificate" in done.stderr
    assert not (tmp_path / "started").exists()
    assert len(control.made("POST", f"/v1/runs/{RUN}/end")) == 1


def test_at_the_end_the_files_are_gone_and_the_head_is_kept(control: FakeControl, tmp_path: Path) -> None:
    done = run(control, tmp_path, "true")
    assert list((tmp_path / "tmp").iterdir()) == []
    kept = tmp_path / "state" / "bodycam" / "heads" / f"{RUN}.json"
    assert json.loads(kept.read_text())["head"] == HEAD
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    [line] = done.stderr.splitlines()
    assert line == f"bodycam: run {RUN} · advisory · 1 session · bodycam replay ses_x"


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("sh", "-c", "exit 7"), 7),
        (("sh", "-c", "kill -9 $$"), 137),
        (("no-such-command-anywhere",), 127),
        (("/etc/passwd",), 126),
    ],
)
def test_exit_codes(control: FakeControl, tmp_path: Path, command: tuple[str, ...], code: int) -> None:
    done = run(control, tmp_path, *command)
    assert done.returncode == code
    assert [one.body["exit_code"] for one in control.made("POST", f"/v1/runs/{RUN}/end")] == [code]
    assert "Traceback" not in done.stderr


def test_an_unreachable_gateway_starts_nothing(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refused
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        done = subprocess.run(
            arguments("touch", "started"),
            env=environment(url, tmp_path),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    assert done.returncode == 125
    assert url in done.stderr
    assert "bodycam serve" in done.stderr
    assert not (tmp_path / "started").exists()


def test_a_url_that_would_send_the_key_in_clear_starts_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        arguments("touch", "started"),
        env=environment("http://gateway.example:7888", tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 125
    assert "the API key would go there in clear" in done.stderr
    assert not (tmp_path / "started").exists()


def test_a_gateway_that_accepts_and_never_answers_starts_nothing(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        done = subprocess.run(
            arguments("touch", "started"),
            env=environment(url, tmp_path),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    assert done.returncode == 125
    assert not (tmp_path / "started").exists()


def test_a_url_of_the_real_database_stops_the_run(control: FakeControl, tmp_path: Path) -> None:
    url = "postgresql://app:hidden@db.internal/orders"
    done = run(control, tmp_path, "touch", "started", DATABASE_URL=url)
    assert done.returncode == 125
    assert "DATABASE_URL names the host of the target orders" in done.stderr
    assert "hidden" not in done.stderr
    assert not (tmp_path / "started").exists()
    assert control.made("POST", "/v1/runs") == []
    assert run(control, tmp_path, "true", options=("--keep-env",), DATABASE_URL=url).returncode == 0


def test_several_targets_ask_for_a_choice(tmp_path: Path) -> None:
    two = [target("orders", "a:5432"), target("billing", "b:5432")]
    with fake_control(routes(targets=two)) as control:
        done = run(control, tmp_path, "true")
        assert done.returncode == 2
        assert "billing, orders" in done.stderr
        done = run(
            control, tmp_path, "sh", "-c", "test $PGDATABASE = billing", options=("--target", "billing")
        )
        assert done.returncode == 0


APIS = [target(name, f"{name}.internal:443", "http") for name in ("api", "models")]
ORDERS = target("orders", "db.internal:5432")


@pytest.mark.parametrize(
    ("protocols", "targets", "bound"),
    [
        (["postgres"], [ORDERS, *APIS], {"PGHOST"}),
        (["http"], APIS, {"https_proxy"}),
        (["http"], [ORDERS], {"https_proxy"}),
        (["postgres", "http"], [ORDERS, *APIS], {"PGHOST", "https_proxy"}),
        # what such an agent asks for is refused by the gateway, on the record
        (["postgres", "http"], [ORDERS], {"PGHOST", "https_proxy"}),
        (["postgres", "http"], APIS, {"https_proxy"}),
    ],
)
def test_each_protocol_that_listens_is_bound(
    tmp_path: Path, protocols: list[str], targets: list[dict[str, Any]], bound: set[str]
) -> None:
    command = (sys.executable, "-c", SHOW, str(tmp_path / "env"))
    with fake_control(routes(listeners=listening(*protocols), targets=targets)) as control:
        done = run(control, tmp_path, *command, OPENAI_BASE_URL="https://models.internal/v1", NO_PROXY="*")
    if bound == {"PGHOST"}:
        # nothing carries that URL to the gateway
        assert done.returncode == 125
        assert "OPENAI_BASE_URL names the host of the target models" in done.stderr
        return
    assert done.returncode == 0, done.stderr
    seen = json.loads((tmp_path / "env").read_text())
    assert {name for name in ("PGHOST", "https_proxy") if name in seen} == bound
    assert seen["OPENAI_BASE_URL"] == "https://models.internal/v1"
    assert "NO_PROXY" not in seen
    assert "round the gateway: NO_PROXY" in done.stderr
    assert seen["HTTPS_PROXY"] == f"http://{RUN}:bcr_a%3Ab%5Cc@127.0.0.1:7004"


def test_a_private_home_is_there_for_the_child_only(tmp_path: Path) -> None:
    routed = routes(listeners=listening("postgres", "http"), interception_ca_pem=PEM)
    with fake_control(routed) as control:
        done = run(
            control, tmp_path, "sh", "-c", "ls -A $HOME > files; cat $HOME/.pgpass $HOME/.curlrc > texts; echo $HOME > home",
            options=("--private-home",), XDG_CONFIG_HOME="/elsewhere",
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "files").read_text().split() == [
        ".config",
        ".curlrc",
        ".gitconfig",
        ".npmrc",
        ".pgpass",
    ]
    assert (tmp_path / "texts").read_text().startswith(f"127.0.0.1:7008:*:{RUN}:")
    assert "round its private HOME: XDG_CONFIG_HOME" in done.stderr
    assert not Path((tmp_path / "home").read_text().strip()).exists()


def test_a_listener_elsewhere_with_tls_is_reached_by_a_relay_on_this_machine(tmp_path: Path) -> None:
    command = (sys.executable, "-c", SHOW, str(tmp_path / "env"))
    elsewhere = {"http": {"host": "gateway.example", "port": 7480, "tls": True}}
    ca = RUNS.certificate_pem.decode()
    with fake_control(routes(listeners=elsewhere, targets=APIS, ca_pem=ca)) as control:
        done = run(control, tmp_path, *command)
    assert done.returncode == 0, done.stderr
    url = json.loads((tmp_path / "env").read_text())["https_proxy"]
    assert url.startswith(f"http://{RUN}:bcr_a%3Ab%5Cc@127.0.0.1:")
    assert not url.endswith(":7480")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT])
def test_a_signal_reaches_the_child_once_and_the_run_is_ended(
    control: FakeControl, tmp_path: Path, number: signal.Signals
) -> None:
    script = f"trap 'echo caught >> caught; exit 9' {number.value}; touch ready; while :; do sleep 0.05; done"
    with start(control, tmp_path, "sh", "-c", script, stderr=subprocess.DEVNULL) as process:
        wait_for(tmp_path / "ready")
        process.send_signal(number)
        assert process.wait(30) == 9
    assert (tmp_path / "caught").read_text() == "caught\n"
    assert len(control.made("POST", f"/v1/runs/{RUN}/end")) == 1
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_child_ended_by_a_forwarded_signal_gives_128_and_its_number(
    control: FakeControl, tmp_path: Path
) -> None:
    script = "import pathlib,time; pathlib.Path('ready').touch(); time.sleep(60)"
    with start(control, tmp_path, sys.executable, "-c", script, stderr=subprocess.DEVNULL) as process:
        wait_for(tmp_path / "ready")
        process.terminate()
        assert process.wait(30) == 143
    assert [one.body["exit_code"] for one in control.made("POST", f"/v1/runs/{RUN}/end")] == [143]


def test_control_c_at_a_terminal_is_not_doubled(control: FakeControl, tmp_path: Path) -> None:
    script = (
        "import pathlib,signal,time\n"
        "seen=[]\n"
        "signal.signal(signal.SIGINT, lambda *_: seen.append(1))\n"
        "pathlib.Path('ready').touch()\n"
        "end=time.monotonic()+20\n"
        "while not seen and time.monotonic()<end: time.sleep(0.02)\n"
        "time.sleep(0.5)\n"
        "pathlib.Path('seen').write_text(str(len(seen)))\n"
    )
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        line = arguments(sys.executable, "-c", script)
        os.execve(line[0], line, environment(control.url, tmp_path))
    try:
        wait_for(tmp_path / "ready")
        os.write(terminal, b"\x03")
        wait_for(tmp_path / "seen", "1")
        _, status = os.waitpid(pid, 0)
    finally:
        os.close(terminal)
    assert (tmp_path / "seen").read_text() == "1"
    assert os.waitstatus_to_exitcode(status) == 0


def test_a_short_lease_is_renewed(tmp_path: Path) -> None:
    changed = routes()
    changed["POST /v1/runs"]["run"]["expires"] = time.time() + 4
    with fake_control(changed) as control:
        assert run(control, tmp_path, "sleep", "3").returncode == 0
        assert len(control.made("POST", f"/v1/runs/{RUN}/renew")) == 1


def test_a_revoked_run_is_told(tmp_path: Path) -> None:
    changed = routes()
    changed["POST /v1/runs"]["run"]["expires"] = time.time() + 1
    refusal = {"error": {"code": "run-not-active", "message": "the run has been revoked", "hint": ""}}
    changed[f"POST /v1/runs/{RUN}/renew"] = lambda _query, _body: (409, refusal)
    with fake_control(changed) as control:
        done = run(control, tmp_path, "sleep", "2")
    assert "the run has been revoked" in done.stderr
    assert done.returncode == 0


def test_a_gateway_that_goes_away_costs_the_child_nothing(tmp_path: Path) -> None:
    changed = routes()
    changed[f"POST /v1/runs/{RUN}/end"] = lambda _query, _body: (
        503,
        {"error": {"message": "archivist away"}},
    )
    with fake_control(changed) as control:
        done = run(control, tmp_path, "sh", "-c", "exit 3")
    assert done.returncode == 3
    assert "could not be ended (archivist away)" in done.stderr
