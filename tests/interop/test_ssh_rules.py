"""What policy does with SSH at a real gateway: masks, redaction, rules, approvals, and what ends a session."""

import asyncio
import secrets
import string
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncssh
import paramiko
import pytest

from tests import openssh
from tests.interop.raw import until
from tests.interop.ssh_road import Road, Traveller, road, target
from tests.interop.test_redaction import plaintexts

MASK = b"[bodycam:secrets.stripe-access-token]"
RULES = [
    {"name": "no-rm", "when": 'has(op.shell) && "rm" in op.shell.programs', "then": "deny", "message": "nothing is removed"},
    {
        "name": "restarts", "when": 'has(op.shell) && "systemctl" in op.shell.programs',
        "then": "require_approval", "by": ["admins"], "wait": "60s", "message": "a restart needs a person",
    },
    {"name": "no-keys", "when": 'op.file.path.endsWith("authorized_keys") && op.file.action == "write"', "then": "deny", "message": "nobody but a person lets in keys"},
]  # fmt: skip


def token() -> str:
    return "sk_live_" + "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(24))


@pytest.fixture(scope="module")
def way(sshd: openssh.OpenSsh) -> Iterator[Road]:
    with road(
        {"web1": target(sshd)},
        masking=[{"detect": ["secrets"]}],
        rules=RULES,
        identity={"when_credential_ends": "drop"},
    ) as one:
        one.gateway.bodycam("accounts", "create", "ann", "--human", "--group", "admins", check=True)
        yield one


@pytest.fixture(scope="module")
def key(way: Road) -> str:
    """The key of a person who decides."""
    return way.gateway.bodycam("accounts", "key", "ann", check=True).stdout.strip()


@pytest.fixture(scope="module")
def leased(way: Road) -> tuple[Traveller, subprocess.Popen[bytes]]:
    """A session whose run ends with its lease while the other tests run."""
    traveller = way.traveller(ttl=10)
    return traveller, traveller.start("web1", "echo runs; sleep 100")


@pytest.fixture
def traveller(way: Road, leased: object) -> Traveller:
    return way.traveller()


# -- masks ---------------------------------------------------------------------------------------------


def test_a_secret_is_masked_for_the_client_wherever_it_comes_from_and_at_rest_nowhere(
    traveller: Traveller, tmp_path: Path
) -> None:
    told, aside, cut, file, typed, given, uploaded = (token() for _ in range(7))
    (tmp_path / "secret").write_text(f"key = {file}\n")
    (tmp_path / "upload").write_text(f"key = {uploaded}\n")
    (tmp_path / "aside").write_text(aside)
    (tmp_path / "told").write_text(told)
    (tmp_path / "cut").write_text(cut)

    done = traveller.ssh("web1", f"echo one $(cat {tmp_path}/told) two; cat {tmp_path}/aside >&2")
    assert (done.stdout, done.stderr) == (b"one " + MASK + b" two\n", MASK)

    in_pieces = f"for c in $(fold -w 1 {tmp_path}/cut); do printf %s $c; done; echo"
    assert traveller.ssh("web1", in_pieces).stdout == MASK + b"\n"
    coloured = f"printf '\\033[31m%s\\033[1m%s\\033[0m\\n' $(head -c 12 {tmp_path}/cut) $(tail -c +13 {tmp_path}/cut)"
    seen = traveller.ssh("-tt", "web1", coloured).stdout
    assert cut[12:].encode() not in seen
    assert b"bodycam:secrets" in seen

    assert traveller.ssh("web1", f"cat {tmp_path}/secret | wc -c").stdout == b"%d\n" % len(f"key = {file}\n")
    scp = traveller.command("scp", "-q", f"web1:{tmp_path}/secret", f"{tmp_path}/downloaded")
    assert traveller.do(scp).returncode == 0

    counted = traveller.ssh("web1", f"printf %s {given} | wc -c; wc -c", said=f"pass {typed}\n".encode())
    assert counted.stdout == b"%d\n%d\n" % (len(given), len(f"pass {typed}\n"))
    for mode in ("-s", "-O"):
        put = traveller.command("scp", "-q", mode, f"{tmp_path}/upload", f"web1:{tmp_path}/arrived{mode}")
        assert traveller.do(put).returncode == 0
        assert (tmp_path / f"arrived{mode}").read_text() == f"key = {uploaded}\n"

    sessions = traveller.end()
    assert sum(MASK in did.output or MASK in did.errors for one in sessions for did in one.did.values()) >= 3
    redacted = next(did for one in sessions for did in one.did.values() if "wc -c; wc" in did.text)
    assert redacted.text == "printf %s [redacted] | wc -c; wc -c"
    assert redacted.input == b"pass " + MASK + b"\n"
    plain = b"".join(text for _, text in plaintexts(traveller.road.gateway))
    for name, secret in locals_of(
        told=told, aside=aside, cut=cut, typed=typed, given=given, uploaded=uploaded, file=file
    ):
        assert secret not in plain, name


def locals_of(**named: str) -> list[tuple[str, bytes]]:
    return [(name, value.encode()) for name, value in named.items()]


# -- rules ---------------------------------------------------------------------------------------------


def test_a_command_that_a_rule_denies_says_so_and_never_runs(traveller: Traveller, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text("here")
    done = traveller.ssh("web1", f"true && rm -f {kept}")
    assert (done.returncode, done.stdout) == (126, b"")
    assert done.stderr.startswith(b"bodycam: denied by rule no-rm: nothing is removed\n")
    assert kept.exists()
    batch = f"put {kept} {tmp_path}/authorized_keys\n-put {kept} {tmp_path}/other\n"
    done = traveller.do(traveller.command("sftp", "-b", "-", "web1"), batch.encode())
    assert done.returncode == 1
    assert b"authorized_keys: nobody but a person lets in keys" in done.stderr
    assert not (tmp_path / "authorized_keys").exists()

    denied = [did for one in traveller.end() for did in one.did.values() if did.outcome == "denied"]
    assert [(did.verb, did.error["code"]) for did in denied] == [
        ("exec", "denied"),
        ("write", denied[1].error["code"]),
    ]
    assert denied[0].error["message"] == "denied by rule no-rm: nothing is removed"


@pytest.mark.parametrize("how", ["approve", "deny"])
def test_a_command_waits_for_a_person(traveller: Traveller, key: str, how: str) -> None:
    gateway = traveller.road.gateway
    asked = "systemctl --version >/dev/null 2>&1; cat; echo went on; exit 3"
    client = traveller.start("web1", asked)

    def pending() -> list[dict[str, Any]]:
        listed = gateway.api("GET", "/v1/approvals?state=pending", key=key).json()["approvals"]
        return [one for one in listed if one["run"] == traveller.run]

    (held,) = until(pending, "the approval")
    assert client.poll() is None
    answer = gateway.api("POST", f"/v1/approvals/{held['id']}/{how}", key=key, json={"reason": "as it is"})
    assert answer.status_code == 200, answer.text
    out, err = client.communicate(b"said while it waited\n", timeout=60)
    assert f"waiting for approval {held['id']}: a restart needs a person".encode() in err
    (session,) = traveller.end()
    names = [note["note"] for note in session.only.notes]
    if how == "approve":
        assert (client.returncode, out) == (3, b"said while it waited\nwent on\n")
        assert session.only.tag == "exit 3"
        assert "approval-approved" in names
    else:
        assert (client.returncode, out) == (126, b"")
        assert b"was denied by admins" in err
        assert b"as it is" in err
        assert session.only.outcome == "denied"
        assert "approval-denied" in names


# -- ends ----------------------------------------------------------------------------------------------


def running(traveller: Traveller) -> tuple[subprocess.Popen[bytes], str, int]:
    """A command in the middle of its work: the client, the session, and the process at the target."""
    client = traveller.start("-tt", "web1", "echo $$; exec sleep 100")
    assert client.stdout is not None
    pid = int(client.stdout.readline())
    path = f"/v1/sessions?run={traveller.run}&state=open"
    listed = until(lambda: traveller.road.gateway.api("GET", path).json()["sessions"], "the open session")
    return client, listed[0]["id"], pid


@pytest.mark.parametrize("how", ["kill", "revoke", "end"])
def test_who_ends_a_session_is_told_by_it(traveller: Traveller, how: str) -> None:
    client, session, pid = running(traveller)
    gateway = traveller.road.gateway
    if how == "kill":
        done = gateway.bodycam("kill", session, "--reason", "enough of it")
        assert done.returncode == 0, done.stderr
    else:
        body: dict[str, Any] = {"reason": "it leaked"} if how == "revoke" else {"exit_code": 1, "wait": 0}
        assert gateway.api("POST", f"/v1/runs/{traveller.run}/{how}", json=body).status_code < 300
    _, err = client.communicate(timeout=60)
    assert client.returncode == 255
    said = {"kill": b"enough of it", "revoke": b"it leaked", "end": b"ended"}[how]
    assert said in err
    until(lambda: not Path(f"/proc/{pid}").exists(), "the end of the command at the target")
    if how != "kill":
        assert traveller.ssh("web1", "true").returncode == 255

    def sealed() -> bool:
        state = gateway.api("GET", f"/v1/sessions/{session}").json()
        return bool((state.get("session") or state)["state"] == "sealed")

    until(sealed, "the recording")
    events = gateway.bodycam("show", session, "--json", check=False)
    assert said.decode() in events.stdout or said.decode() in gateway.bodycam("show", session).stdout


def test_a_lease_that_is_over_ends_its_sessions(leased: tuple[Traveller, subprocess.Popen[bytes]]) -> None:
    traveller, client = leased
    out, err = client.communicate(timeout=60)
    assert (client.returncode, out) == (255, b"runs\n")
    assert b"the run's lease has expired" in err
    again = traveller.ssh("web1", "true")
    assert again.returncode == 255


# -- other clients -------------------------------------------------------------------------------------


def test_paramiko_by_certificate(traveller: Traveller, tmp_path: Path) -> None:
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    client.load_host_keys(str(hosts(traveller)))
    client.connect(
        "127.0.0.1", traveller.road.port, username="web1", key_filename=str(traveller.folder / "key"),
        allow_agent=False, look_for_keys=False, timeout=30, banner_timeout=30, auth_timeout=30,
    )  # fmt: skip
    with client:
        given, out, err = client.exec_command("cat; echo aside >&2; exit 7", timeout=60)
        given.write(b"x" * 1_000_000)
        given.channel.shutdown_write()
        assert (len(out.read()), err.read(), out.channel.recv_exit_status()) == (1_000_000, b"aside\n", 7)
        with client.open_sftp() as sftp:
            sftp.put(__file__, str(tmp_path / "put"))
            with sftp.open(str(tmp_path / "put")) as file:
                file.prefetch()
                assert file.read() == Path(__file__).read_bytes()
            assert sftp.listdir(str(tmp_path)) == ["put"]
    (session,) = traveller.end()
    assert [did.verb for did in session.did.values() if did.verb in ("exec", "write", "list")] == [
        "exec",
        "write",
        "list",
    ]


def hosts(traveller: Traveller) -> Path:
    file = traveller.folder / "hosts"
    file.write_text(f"[127.0.0.1]:{traveller.road.port} {traveller.road.host_key}\n")
    return file


async def test_asyncssh_by_the_runs_password(traveller: Traveller) -> None:
    async with asyncssh.connect(
        "127.0.0.1", traveller.road.port, username="web1", password=traveller.secret, config=None,
        known_hosts=str(hosts(traveller)), agent_path=None, client_keys=None,
    ) as connection:  # fmt: skip
        many = await asyncio.gather(*(connection.run(f"echo {n}; exit {n}") for n in range(20)))
        assert [(one.stdout, one.exit_status) for one in many] == [(f"{n}\n", n) for n in range(20)]
        process = await connection.create_process("echo ready; sleep 100")
        assert await process.stdout.readline() == "ready\n"
        # what becomes of it is the server's: OpenSSH's has none of it for root
        process.send_signal("USR1")
    (session,) = traveller.end()
    last = session.did[21]
    assert {"note": "signal", "name": "USR1"} in last.notes
    assert last.outcome == "cancelled"
