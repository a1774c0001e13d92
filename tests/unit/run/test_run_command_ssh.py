"""`bodycam run` where the gateway listens for SSH, against a control API on loopback."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.ssh_authority import SshAuthority
from tests.unit.cli.fake_control import fake_control
from tests.unit.run.test_run_command import ORDERS, RUN, listening, routes, run, target

SSH = SshAuthority()


def ssh_routes() -> dict[str, Any]:
    """A control API with a listener for SSH beside that for PostgreSQL."""
    listeners = listening("postgres") | {"ssh": {"host": "gateway.example", "port": 7022, "tls": False}}
    plain = routes(listeners=listeners, targets=[ORDERS, target("web1", "web1.internal:22", "ssh")])
    plain["GET /v1/gateway"]["ssh_host_key"] = SSH.public_key

    def certified(plain: Mapping[str, Any], body: Mapping[str, Any]) -> tuple[int, Any]:
        line = SSH.vouch(body["ssh_public_key"], RUN)
        return 200, {**plain, "ssh_certificate": {"line": line, "expires": time.time() + 3600}}

    started = plain["POST /v1/runs"]
    return plain | {
        "POST /v1/runs": lambda _query, body: certified(started, body),
        f"POST /v1/runs/{RUN}/renew": lambda _query, body: certified({"expires": time.time() + 3600}, body),
    }


def test_ssh_is_bound_where_it_listens_also_as_the_command_itself(tmp_path: Path) -> None:
    with fake_control(ssh_routes()) as control:
        # a program of that name in the caller's PATH is not what is started
        done = run(control, tmp_path, "ssh", "-G", "web1", SSH_AUTH_SOCK="/run/mine", GIT_SSH="mine")
    assert done.returncode == 0, done.stderr
    asked = dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)
    assert (asked["hostname"], asked["port"], asked["user"]) == ("gateway.example", "7022", "bodycam@web1")
    assert not Path(asked["identityagent"]).parent.exists()
    assert "would go round the gateway: GIT_SSH\n" in done.stderr
    assert "replaced for the child, because it would go round the gateway: SSH_AUTH_SOCK\n" in done.stderr
    [wish] = control.made("POST", "/v1/runs")
    assert wish.body["ssh_public_key"].startswith("ssh-ed25519 ")
    assert "csr" not in wish.body


def test_a_renewal_asks_for_the_same_ssh_key_and_the_agent_gets_what_is_given(tmp_path: Path) -> None:
    changed = ssh_routes()
    first = changed["POST /v1/runs"]

    def soon_over(query: Any, body: Any) -> tuple[int, Any]:
        status, answer = first(query, body)
        return status, answer | {"run": answer["run"] | {"expires": time.time() + 1}}

    changed["POST /v1/runs"] = soon_over
    script = (
        "ssh-add -L > first; for i in $(seq 300); do ssh-add -L > second; cmp -s first second || exit 0;"
        " sleep 0.05; done; exit 1"
    )
    with fake_control(changed) as control:
        done = run(control, tmp_path, "sh", "-c", script)
    assert done.returncode == 0, done.stderr
    [wish], renewal = control.made("POST", "/v1/runs"), control.made("POST", f"/v1/runs/{RUN}/renew")[0]
    assert renewal.body == {"ssh_public_key": wish.body["ssh_public_key"]}
    first_lines, second_lines = ((tmp_path / name).read_text().splitlines() for name in ("first", "second"))
    assert first_lines[0] != second_lines[0]
    assert first_lines[1] == second_lines[1] == f"{wish.body['ssh_public_key']} bodycam run"


def test_a_url_over_ssh_is_no_way_round_where_ssh_is_bound(tmp_path: Path) -> None:
    with fake_control(ssh_routes()) as control:
        assert run(control, tmp_path, "true", DOCKER_HOST="ssh://deploy@web1.internal").returncode == 0
        done = run(control, tmp_path, "true", DOCKER_HOST="tcp://web1.internal:2375")
    assert done.returncode == 125
    assert "DOCKER_HOST names the host of the target web1" in done.stderr
