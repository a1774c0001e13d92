"""The machine that the demo's agent reaches by SSH: a real OpenSSH server, which is gone afterwards."""

import socket
from pathlib import Path

import pytest

from bodycam.cli.demo.host import Host, host


def test_the_server_lets_the_demos_key_in_and_is_gone_afterwards() -> None:
    # that a login works was tried before it is given out
    with host() as made:
        assert isinstance(made, Host), made
        assert made.key.stat().st_mode & 0o077 == 0
        assert made.host_key.startswith("ssh-ed25519 ")
        assert [one.name for one in made.shelf.iterdir()] == ["compass.txt"]
        with socket.create_connection(("127.0.0.1", made.port), timeout=10) as there:
            assert there.recv(8) == b"SSH-2.0-"
    assert not made.shelf.exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", made.port), timeout=10)


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with host(tmp_path / "sshd") as made:
        assert made == "the package openssh-server is missing"
    monkeypatch.setenv("PATH", str(tmp_path))
    with host() as made:
        assert made == "the package openssh-client is missing"


def test_a_server_that_ends_at_once_is_none(tmp_path: Path) -> None:
    broken = tmp_path / "sshd"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    with host(broken) as made:
        assert isinstance(made, str)
        assert made.startswith("sshd lets nobody in here: ")
