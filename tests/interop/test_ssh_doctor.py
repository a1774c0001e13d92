"""`bodycam doctor` before real SSH servers: whether each shows a host key that the settings know."""

import json
import socket
import subprocess
from pathlib import Path
from typing import Any

from tests import openssh, stage
from tests.interop.ssh_road import target


def host_keys(found: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {one["name"].rpartition(" ")[2]: one for one in found if one["name"].startswith("host keys of ")}


def test_a_host_key_that_changed_is_bad_and_one_that_can_not_be_seen_a_warning(
    sshd: openssh.OpenSsh, tmp_path: Path
) -> None:
    with (
        stage.folder() as folder,
        openssh.sshd(tmp_path / "other") as other,
        socket.create_server(("127.0.0.1", 0)) as mute,
    ):
        (tmp_path / "known").write_text(f"[127.0.0.1]:{sshd.port} {other.host_key}\n")
        # several keys, of which one is right: as while a host's key is being replaced
        both = [" ".join(one.host_key.split()[:2]) for one in (other, sshd)]
        targets = {
            "right": target(sshd),
            "replaced": target(sshd, host_keys=both),
            "changed": target(sshd, host_keys=both[:1]),
            "in-file": {**target(sshd), "known_hosts": str(tmp_path / "known")},
            "mute": target(sshd, address=f"127.0.0.1:{mute.getsockname()[1]}"),
            "down": target(sshd, address="127.0.0.1:1"),
        }
        del targets["in-file"]["host_keys"]
        gateway = stage.Gateway(folder / "g", targets)
        gateway.init()
        logged = len(sshd.log.read_text())
        done = gateway.bodycam("doctor", "--json")
        lines = gateway.bodycam("doctor").stdout.splitlines()

        assert done.returncode == 1, done.stderr
        found = host_keys(json.loads(done.stdout)["checks"])
        assert {name: one["state"] for name, one in found.items()} == {
            "changed": "bad",
            "in-file": "bad",
            "mute": "warning",
        }
        shown = fingerprint(sshd)
        assert found["changed"]["found"] == (
            f"127.0.0.1:{sshd.port}: its host key is none that the settings know: ssh-ed25519 {shown}"
        )
        assert "ssh-keygen -l" in found["changed"]["fix"]
        assert "did not show its host key within" in found["mute"]["found"]
        assert any(line.startswith("BAD   host keys of changed: ") for line in lines)
        # nobody has tried to log in
        said = sshd.log.read_text()[logged:]
        assert "Failed" not in said
        assert "Invalid user" not in said
        assert "Connection closed by 127.0.0.1" in said or "Connection reset by 127.0.0.1" in said

        gateway = stage.Gateway(folder / "h", {name: targets[name] for name in ("right", "replaced")})
        gateway.init()
        done = gateway.bodycam("doctor", "--json")
        assert done.returncode == 0
        assert host_keys(json.loads(done.stdout)["checks"]) == {}


def fingerprint(sshd: openssh.OpenSsh) -> str:
    """The fingerprint of a server's host key, as ssh-keygen prints it."""
    command = ["ssh-keygen", "-l", "-f", str(sshd.folder / "host.pub")]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.split()[1]
