"""Command lines that are more than text, or less: servers of files, and bytes that are no UTF-8."""

import asyncio
import hashlib
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import pytest

from tests import openssh
from tests.interop.ssh_road import Road, Traveller, road, target

RULES = [
    {"name": "keep-out", "when": 'op.file.path.contains("/kept-out/")', "then": "deny"},
    {"name": "restarts", "when": 'op.text.startsWith("systemctl")', "then": "require_approval", "by": ["admins"]},
]  # fmt: skip


@pytest.fixture(scope="module")
def way(sshd: openssh.OpenSsh) -> Iterator[Road]:
    with road({"web1": target(sshd)}, rules=RULES) as one:
        yield one


@pytest.fixture
def traveller(way: Road) -> Traveller:
    return way.traveller()


def test_a_server_of_sftp_that_is_started_by_a_command_is_judged_and_recorded_as_files(
    traveller: Traveller, tmp_path: Path
) -> None:
    (tmp_path / "kept-out").mkdir()
    (tmp_path / "note").write_bytes(b"hello")
    batch = f"put {tmp_path}/note {tmp_path}/copy\nput {tmp_path}/note {tmp_path}/kept-out/copy\n"
    server = ["-s", str(openssh.SFTP_SERVER)]
    done = traveller.do(traveller.command("sftp", *server, "-b", "-", "web1"), batch.encode())
    assert done.returncode == 1
    assert b"Permission denied" in done.stderr
    assert (tmp_path / "copy").read_bytes() == b"hello"
    assert not list((tmp_path / "kept-out").iterdir())

    (session,) = traveller.end()
    writes = [did for did in session.did.values() if did.verb == "write"]
    assert [(did.text, did.outcome) for did in writes] == [
        (f"{tmp_path}/copy", "ok"),
        (f"{tmp_path}/kept-out/copy", "denied"),
    ]
    digest = hashlib.sha256(b"hello").hexdigest()
    assert writes[0].files() == [(f"{tmp_path}/copy", "upload", 5, digest)]


def test_a_command_that_is_no_utf_8_is_refused_with_the_reason_and_on_the_record(
    traveller: Traveller,
) -> None:
    done = traveller.do([*traveller.command("ssh", "web1"), b"echo \xe9"])  # type: ignore[list-item]
    assert done.returncode == 126
    assert b"UTF-8" in done.stderr

    (session,) = traveller.end()
    assert (session.only.verb, session.only.text, session.only.outcome) == ("exec", "echo \\xe9", "denied")


async def _ask(way: Road, traveller: Traveller, command: str) -> tuple[int | None, str]:
    key = (str(traveller.folder / "key"), str(traveller.folder / "key-cert.pub"))
    async with asyncssh.connect(
        "127.0.0.1", way.port, username="web1", client_keys=[key], known_hosts=None, config=[]
    ) as client:
        done = await client.run(command, timeout=30)
        return done.exit_status, str(done.stderr)


def test_a_command_with_a_nul_is_refused_before_people_are_asked(way: Road, traveller: Traveller) -> None:
    status, errors = asyncio.run(_ask(way, traveller, "systemctl\0 restart"))
    assert status == 126
    assert "NUL" in errors
    assert not way.gateway.api("GET", f"/v1/approvals?run={traveller.run}").json()["approvals"]
