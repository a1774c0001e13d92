"""Files by scp, sftp, rsync, git and Ansible through a real gateway: whole where they arrive, and on the record."""

import asyncio
import hashlib
import random
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import pytest

from tests import openssh
from tests.interop.ssh_road import Did, Recorded, Road, Traveller, road, target

SIZES = {"empty": 0, "small": 4_711, "big": 3_000_000}


@pytest.fixture(scope="module")
def way(sshd: openssh.OpenSsh) -> Iterator[Road]:
    with road({"web1": target(sshd)}) as one:
        yield one


@pytest.fixture
def traveller(way: Road) -> Traveller:
    return way.traveller()


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder of files at the client; what is at the target is beside it."""
    folder = tmp_path / "here"
    (folder / "deep").mkdir(parents=True)
    (tmp_path / "there").mkdir()
    for name, size in SIZES.items():
        (folder / name).write_bytes(random.Random(name).randbytes(size))
    (folder / "deep" / "a name with 'quotes' and ☃").write_bytes(bytes(range(256)))
    return folder


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def tree(folder: Path) -> dict[str, str]:
    return {str(one.relative_to(folder)): sha256(one) for one in folder.rglob("*") if one.is_file()}


def moved(sessions: list[Recorded]) -> list[tuple[str, str, int, str]]:
    return [one for session in sessions for did in session.did.values() for one in did.files()]


def all_of(sessions: list[Recorded]) -> list[Did]:
    return [did for session in sessions for did in session.did.values()]


@pytest.mark.parametrize("mode", ["-s", "-O"])
def test_scp_of_a_tree_there_and_back(traveller: Traveller, here: Path, tmp_path: Path, mode: str) -> None:
    there, back = tmp_path / "there" / "tree", tmp_path / "back"
    for arguments in ([str(here), f"web1:{there}"], [f"web1:{there}", str(back)]):
        done = traveller.do(traveller.command("scp", mode, "-q", "-p", "-r", *arguments))
        assert (done.returncode, done.stderr) == (0, b"")
    assert tree(there) == tree(back) == tree(here)

    sessions = traveller.end()
    assert [session.outcome for session in sessions] == ["ended", "ended"]
    for session, direction in zip(sessions, ("upload", "download"), strict=True):
        # by the old way only the target knows whether a path that it was told is a folder
        told = {path: (way, size, digest) for path, way, size, digest in moved([session])}
        assert {path.rpartition("tree/")[2].removeprefix("here/"): rest for path, rest in told.items()} == {
            name: (direction, (here / name).stat().st_size, digest) for name, digest in tree(here).items()
        }


def test_a_batch_of_sftp(traveller: Traveller, here: Path, tmp_path: Path) -> None:
    there = tmp_path / "there"
    (tmp_path / "half").write_bytes((here / "big").read_bytes()[:1_000_000])
    batch = f"""
        put {here}/big {there}/big
        mkdir {there}/new
        rename {there}/big {there}/new/moved
        ls -l {there}/new
        get {there}/new/moved {tmp_path}/whole
        reget {there}/new/moved {tmp_path}/half
        chmod 600 {there}/new/moved
        symlink {there}/new/moved {there}/new/link
        rm {there}/new/link
        -rm {there}/new/not-there
        rmdir {there}/empty-or-not
    """
    (there / "empty-or-not").mkdir()
    done = traveller.do(traveller.command("sftp", "-b", "-", "web1"), batch.replace("        ", "").encode())
    assert done.returncode == 0, done.stderr
    assert b"-rw" in done.stdout
    assert sha256(tmp_path / "whole") == sha256(tmp_path / "half") == sha256(here / "big")
    assert ((there / "new" / "moved").stat().st_mode & 0o777, (there / "new" / "link").is_symlink()) == (
        0o600,
        False,
    )

    (session,) = traveller.end()
    size, digest = SIZES["big"], sha256(here / "big")
    rest = hashlib.sha256((here / "big").read_bytes()[1_000_000:]).hexdigest()
    assert [one for one in moved([session]) if one[1] == "upload"] == [
        (f"{there}/big", "upload", size, digest)
    ]
    downloads = [one for one in moved([session]) if one[1] == "download"]
    assert downloads[0] == (f"{there}/new/moved", "download", size, digest)
    assert downloads[1][2] == size - 1_000_000
    assert downloads[1][3] in (rest, "")
    did = [(one.verb, one.text, one.outcome) for one in session.did.values()]
    for verb, path, outcome in [
        ("mkdir", f"{there}/new", "ok"),
        ("rename", f"{there}/big", "ok"),
        ("list", f"{there}/new", "ok"),
        ("link", "new/moved", "ok"),
        ("remove", f"{there}/new/link", "ok"),
        ("remove", f"{there}/new/not-there", "error"),
        ("rmdir", f"{there}/empty-or-not", "ok"),
    ]:
        assert any(one[0] == verb and path in one[1] and one[2] == outcome for one in did), (
            verb,
            path,
            "\n".join(map(str, did)),
        )


def test_rsync_there_changed_and_back(traveller: Traveller, here: Path, tmp_path: Path) -> None:
    shell = shlex.join(traveller.command("ssh"))
    there, back = tmp_path / "there" / "tree", tmp_path / "back"
    rsync = ["rsync", "-a", "--delete", "-e", shell]
    assert traveller.do([*rsync, f"{here}/", f"web1:{there}"]).returncode == 0
    with (here / "big").open("r+b") as file:
        file.seek(1_500_000)
        file.write(b"changed in the middle")
    (here / "small").unlink()
    done = traveller.do([*rsync, "--no-whole-file", "--checksum", f"{here}/", f"web1:{there}"])
    assert (done.returncode, done.stderr) == (0, b"")
    assert traveller.do([*rsync, f"web1:{there}/", str(back)]).returncode == 0
    assert tree(there) == tree(back) == tree(here)

    did = all_of(traveller.end())
    assert [(one.verb, one.tag) for one in did] == [("exec", "exit 0")] * 3
    assert all(one.text.startswith("rsync --server") for one in did)
    assert len(did[1].input) < SIZES["big"] // 4
    assert b"changed in the middle" in did[1].input


def test_git_clones_and_pushes(traveller: Traveller, here: Path, tmp_path: Path) -> None:
    there = tmp_path / "there" / "one.git"
    script = f"""
        set -e
        export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=n GIT_AUTHOR_EMAIL=e GIT_COMMITTER_NAME=n GIT_COMMITTER_EMAIL=e
        git init -q --bare -b main {there}
        git clone -q web1:{there} {tmp_path}/work; cd {tmp_path}/work
        cp -r {here}/. .; git add .; git commit -q -m one; git push -q origin HEAD:main
        git clone -q ssh://web1{there} {tmp_path}/other
        git -C {tmp_path}/other fetch -q
    """
    shell = shlex.join(traveller.command("ssh"))
    done = traveller.do(["env", f"GIT_SSH_COMMAND={shell}", "bash", "-c", script])
    assert done.returncode == 0, done.stderr
    assert sha256(tmp_path / "other" / "big") == sha256(here / "big")
    did = all_of(traveller.end())
    assert [one.text.split()[0] for one in did] == [
        f"git-{a}-pack" for a in ("upload", "receive", "upload", "upload")
    ]
    assert {one.tag for one in did} == {"exit 0"}
    assert len(did[1].input) > SIZES["big"] // 2


def test_ansible_copies_and_runs(traveller: Traveller, here: Path, tmp_path: Path) -> None:
    (tmp_path / "inventory").write_text(f"web1 ansible_python_interpreter={sys.executable}\n")
    (tmp_path / "play.yml").write_text(f"""
- hosts: web1
  gather_facts: false
  tasks:
    - copy: {{src: {here}/small, dest: {tmp_path}/there/small}}
    - command: "sh -c 'echo ran; exit 0'"
      register: said
    - assert: {{that: said.stdout == 'ran'}}
""")
    environment = [
        f"ANSIBLE_SSH_ARGS=-F {traveller.config}",
        f"ANSIBLE_LOCAL_TEMP={tmp_path}/local",
        f"ANSIBLE_REMOTE_TEMP={tmp_path}/remote",
        "ANSIBLE_PIPELINING=1",
        f"HOME={tmp_path}",
        "LC_ALL=C.UTF-8",
    ]
    playbook = str(Path(sys.executable).parent / "ansible-playbook")
    done = traveller.do(
        ["env", *environment, playbook, "-i", f"{tmp_path}/inventory", f"{tmp_path}/play.yml"]
    )
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert sha256(tmp_path / "there" / "small") == sha256(here / "small")
    sessions = traveller.end()
    assert any(one[3] == sha256(here / "small") for one in moved(sessions))
    assert all(session.outcome == "ended" for session in sessions)


def test_a_secret_in_the_name_of_a_file_is_nowhere_on_the_record(
    traveller: Traveller, here: Path, tmp_path: Path
) -> None:
    secret = "sk_live_" + "Ab3dE5gH7jK9mN1pQ3sT5vX7"
    done = traveller.do(
        traveller.command("sftp", "-b", "-", "web1"), f"put {here}/small {tmp_path}/there/{secret}\n".encode()
    )
    assert done.returncode == 0, done.stderr

    (session,) = traveller.end()
    (written,) = [one for one in session.did.values() if one.verb == "write"]
    assert secret not in f"{written}"
    assert written.files() == [(written.text, "upload", SIZES["small"], sha256(here / "small"))]


async def _copied_there(way: Road, traveller: Traveller, path: Path, to: Path) -> None:
    key = (str(traveller.folder / "key"), str(traveller.folder / "key-cert.pub"))
    async with (
        asyncssh.connect(
            "127.0.0.1", way.port, username="web1", client_keys=[key], known_hosts=None, config=[]
        ) as client,
        client.start_sftp_client() as sftp,
    ):
        await sftp.copy(str(path), str(to), remote_only=True)


def test_a_copy_that_the_server_makes_is_no_empty_file(
    way: Road, traveller: Traveller, here: Path, tmp_path: Path
) -> None:
    asyncio.run(_copied_there(way, traveller, here / "small", tmp_path / "there" / "copy"))
    assert sha256(tmp_path / "there" / "copy") == sha256(here / "small")

    (session,) = traveller.end()
    (copied,) = [one for one in session.did.values() if one.facts.get("file.extension") == "copy-data"]
    assert (copied.text, copied.facts["file.to"], copied.outcome) == (
        f"{here}/small",
        f"{tmp_path}/there/copy",
        "ok",
    )
    assert moved([session]) == []
