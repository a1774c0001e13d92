"""Command lines that are more than text, or less: servers of files, and bytes that are no UTF-8."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import openssh
from tests.interop.ssh_road import Road, Traveller, road, target

RULES = [{"name": "keep-out", "when": 'op.file.path.contains("/kept-out/")', "then": "deny"}]


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
