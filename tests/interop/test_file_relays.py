"""The relays of files between Debian's own `sftp` and `scp` and what these start at the other side."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import openssh
from tests.interop.files_between import recorded

ROOT = Path(__file__).parents[2]


def sftp(
    folder: Path, commands: str, *, deny: str = ""
) -> tuple[subprocess.CompletedProcess[str], list[Any]]:
    """Run a batch through the relay, in `folder`; what sftp said and what was recorded."""
    record = folder.parent / "record"
    between = f"{sys.executable} -m tests.interop.files_between {record}"
    if deny:
        between += f" --deny {deny}"
    done = subprocess.run(
        ["sftp", "-b", "-", "-D", f"{between} -- {openssh.SFTP_SERVER} -d {folder}"],
        cwd=ROOT,
        input=commands,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return done, recorded(record)


def scp(folder: Path, *arguments: str, deny: str = "") -> tuple[subprocess.CompletedProcess[str], list[Any]]:
    """Run the old scp through the relay; paths at `server:` are as they are."""
    record, program = folder.parent / "record", folder.parent / "ssh"
    call = f"{sys.executable} -m tests.interop.files_between --scp {record}"
    if deny:
        call += f" --deny {deny}"
    program.write_text(f'#!/bin/sh\ncd {ROOT} && exec {call} -- "$@"\n')
    program.chmod(0o700)
    done = subprocess.run(
        ["scp", "-O", "-S", program, *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return done, recorded(record)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "home"
    made.mkdir()
    return made


def requests(events: list[Any]) -> list[str]:
    """The operations that people want to see."""
    return [
        f"{body[0]} {body[1]}" for kind, _, body in events if kind == "REQUEST" and body[4] == "statement"
    ]


def files(events: list[Any]) -> list[dict[str, Any]]:
    return [body for kind, _, body in events if kind == "NOTE" and body["note"] == "file"]


def test_a_batch_does_what_it_does_without_the_relay(folder: Path, tmp_path: Path) -> None:
    content = os.urandom(3_000_000)
    (tmp_path / "local").write_bytes(content)
    (tmp_path / "nothing").touch()
    commands = f"""\
put {tmp_path}/local big
get big {tmp_path}/back
mkdir sub
rename big sub/renamed
ln -s renamed sub/link
chmod 600 sub/renamed
ls -l sub
df
rm sub/link
rm sub/renamed
rmdir sub
put {tmp_path}/nothing empty
"""
    done, events = sftp(folder, commands)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "back").read_bytes() == content
    assert sorted(path.name for path in folder.iterdir()) == ["empty"]
    assert requests(events) == [
        "sftp ",
        f"write {folder}/big",
        f"read {folder}/big",
        f"mkdir {folder}/sub",
        f"rename {folder}/big",
        "link renamed",
        f"attributes {folder}/sub/renamed",
        f"list {folder}/sub/",
        f"remove {folder}/sub/link",
        f"remove {folder}/sub/renamed",
        f"rmdir {folder}/sub",
        f"write {folder}/empty",
    ]
    digest = hashlib.sha256(content).hexdigest()
    moved = [(one["direction"], one["size"], one["sha256"]) for one in files(events)]
    empty = hashlib.sha256(b"").hexdigest()
    assert moved == [("upload", 3_000_000, digest), ("download", 3_000_000, digest), ("upload", 0, empty)]
    ends = [body[0] for kind, number, body in events if kind == "FINISH" and number > 1]
    assert set(ends) <= {"ok", "error"}


def test_a_resumed_transfer_is_noted_with_its_offset(folder: Path, tmp_path: Path) -> None:
    content = os.urandom(500_000)
    (folder / "big").write_bytes(content)
    (tmp_path / "part").write_bytes(content[:123_456])
    done, events = sftp(folder, f"reget big {tmp_path}/part\n")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "part").read_bytes() == content
    (file,) = files(events)
    assert (file["offset"], file["size"]) == (123_456, 500_000 - 123_456)
    assert file["sha256"] == hashlib.sha256(content[123_456:]).hexdigest()


def test_what_is_denied_is_told_and_the_rest_is_done(folder: Path) -> None:
    (folder / "kept").write_text("x")
    (folder / "other").write_text("x")
    done, events = sftp(folder, "-rm kept\nrename other moved\n", deny="remove")
    assert done.returncode == 0
    assert "Permission denied" in done.stderr
    assert f"bodycam: remove {folder}/kept: not here (Ask first.)" in done.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["kept", "moved"]
    (denied,) = [body for kind, _, body in events if kind == "FINISH" and body[0] == "denied"]
    assert denied[5]["message"] == "not here"


def test_a_folder_goes_there_and_back(folder: Path, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "deep").mkdir(parents=True)
    for at in range(50):
        (tree / "deep" / f"file {at}").write_bytes(bytes([at]) * (at * 1000))
    (tree / "odd\nname").write_bytes(b"odd")
    done, events = sftp(folder, f"put -R {tree}\nget -R tree {tmp_path}/back\n")
    assert done.returncode == 0, done.stderr
    for file in (path for path in tree.rglob("*") if path.is_file()):
        assert (tmp_path / "back" / file.relative_to(tree)).read_bytes() == file.read_bytes()
    assert len(files(events)) == 102
    assert all("sha256" in one for one in files(events))


def test_the_old_scp_goes_there_and_back(folder: Path, tmp_path: Path) -> None:
    content = os.urandom(2_000_000)
    (tmp_path / "local").write_bytes(content)
    (tmp_path / "local").chmod(0o640)
    done, events = scp(folder, "-p", f"{tmp_path}/local", f"server:{folder}/there")
    assert done.returncode == 0, done.stderr
    assert (folder / "there").read_bytes() == content
    assert (folder / "there").stat().st_mode & 0o777 == 0o640
    assert int((folder / "there").stat().st_mtime) == int((tmp_path / "local").stat().st_mtime)
    assert requests(events)[1:] == [f"write {folder}/there"]
    digest = hashlib.sha256(content).hexdigest()
    assert [(one["direction"], one["sha256"]) for one in files(events)] == [("upload", digest)]
    done, events = scp(folder, f"server:{folder}/there", f"{tmp_path}/back")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "back").read_bytes() == content
    assert requests(events)[1:] == [f"read {folder}/there"]
    assert [(one["direction"], one["sha256"]) for one in files(events)] == [("download", digest)]


def test_the_old_scp_takes_folders(folder: Path, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "deep").mkdir(parents=True)
    (tree / "deep" / "a b").write_bytes(b"")
    (tree / "deep" / "c").write_bytes(b"c" * 70_000)
    (tree / "d").write_bytes(b"d")
    done, events = scp(folder, "-r", str(tree), f"server:{folder}")
    assert done.returncode == 0, done.stderr
    done, back = scp(folder, "-r", f"server:{folder}/tree", f"{tmp_path}/back")
    assert done.returncode == 0, done.stderr
    for file in (path for path in tree.rglob("*") if path.is_file()):
        assert (tmp_path / "back" / file.relative_to(tree)).read_bytes() == file.read_bytes()
    assert len(files(events)) == len(files(back)) == 3
    assert sorted(requests(back)[1:]) == [
        f"list {folder}/tree",
        f"list {folder}/tree/deep",
        f"read {folder}/tree/d",
        f"read {folder}/tree/deep/a b",
        f"read {folder}/tree/deep/c",
    ]


@pytest.mark.parametrize("verb", ["write", "read"])
def test_the_old_scp_says_why_it_may_not_and_fails(folder: Path, tmp_path: Path, verb: str) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text("mine")
        (folder / name).write_text("theirs")
    if verb == "write":
        done, events = scp(folder, f"{tmp_path}/one", f"{tmp_path}/two", f"server:{folder}", deny=verb)
    else:
        done, events = scp(folder, f"server:{folder}/one", str(tmp_path), deny=verb)
    assert done.returncode == 1
    assert f"scp: bodycam: {folder}/one: not here (Ask first.)" in done.stderr
    assert (tmp_path / "one").read_text() == "mine"
    assert (folder / "one").read_text() == "theirs"
    assert [body[0] for kind, _, body in events if kind == "FINISH" and body[0] != "denied"] == []


def test_the_old_scp_tells_what_the_target_says(folder: Path, tmp_path: Path) -> None:
    done, _ = scp(folder, f"server:{folder}/missing", str(tmp_path))
    assert done.returncode == 1
    assert "No such file or directory" in done.stderr
