"""Command lines in real shells: every program that runs is among those that the facts name.

The programs are stubs that write down that they ran; there are no others on the path but a few that run
them, and no text has a slash in it.
"""

import contextlib
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bodycam.policy.shell.analysis import analyse

STUBS = ("one", "two", "three", "rm", "ls", "cat", "tee", "curl", "sudo", "ssh")
REAL = ("env", "nice", "nohup", "timeout", "xargs", "sh", "bash", "setsid", "stdbuf")
SHELLS = [name for name in ("bash", "dash") if shutil.which(name)]

names = st.sampled_from(("one", "two", "three", "rm", "ls"))


def _spelled(name: str) -> st.SearchStrategy[str]:
    return st.sampled_from(
        [
            name, name, name, f"'{name}'", f'"{name}"', f"\\{name}", f"{name[0]}''{name[1:]}",
            f'{name[0]}"{name[1:]}"', f"$'{name}'", f"$'\\x{ord(name[0]):x}{name[1:]}'",
            f"$'\\{ord(name[0]):o}'{name[1:]}", f"{name[0]}\\{name[1:]}", f"{name[0]}\\\n{name[1:]}",
            f"X=1 {name}", f"env {name}", f"env -u X A=1 {name}", f"nice -n 1 {name}", f"nohup {name}",
            f"timeout 5 {name}", f"command {name}", f"exec {name}", f"setsid {name}", f"sh -c '{name}'",
            f'bash -c "{name} x"', f"eval {name}", f"eval '{name} '", f"{{{name},x}}", f"! {name}", f"time {name}",
            f"$({name})", f"`{name}`", f"echo $({name})", f'echo "`{name}`"', f"echo ${{X:-$({name})}}",
            f"echo $(( $({name}) + 1 ))", f"cat <({name})", f"> out {name}", f"2>out {name} x", f"cat > out {name}",
            f"X={name}; $X", f"sh <<< {name}", f"sh <<E\n{name}\nE\n", f"cat <<E | sh\n{name}\nE\n",
            f"cat <<E\n$({name})\nE\n", f"cat <<'E'\n$({name})\nE\n", f"trap {name} EXIT", f"echo x | xargs {name}",
            f"xargs -n1 {name} <<< x", f"f1() {{ {name}; }}; f1", f"if {name}; then {name}; fi",
            f"for i in {name}; do $i; done", f"for i in 1 2; do {name}; done", f"case x in x) {name};; esac",
            f"[ x = x ] && {name}", f"[[ x == x ]] && {name}", f"({name})", f"{{ {name}; }}", f"# {name}\n",
            f"echo {name}", f"echo '; {name} ;'", f'echo "; {name} ;"', f"echo \\; {name}", f"echo x#y; {name}",
            f"alias a1={name}\na1", f"IFS=x; Y=e{name}; $Y", f"coproc {name}", f"builtin echo; {name}", f"nice {name} &",
            f"x=(a $({name}))", f"test -n \"$({name})\"", f"echo ${{#X}} {name}", f"echo $'\\'; {name} #'",
        ]
    )  # fmt: skip


pieces = names.flatmap(_spelled)
joints = st.sampled_from(
    [";", "\n", " && ", " || ", " | ", " & ", " |& ", "; ", " ", "\\\n", " \\\n", " # x\n", ""]
)
lines = st.lists(st.tuples(pieces, joints), min_size=1, max_size=4).map(
    lambda parts: "".join(p + j for p, j in parts)
)
SIGNS = [
    "'", '"', "\\", "$", "`", ";", "|", "&", "<", ">", "#", "{", "}", "=", "!", "*", "x", "((", "))",
    "[[", "]]", "(", ")", "$(", "${", "<(", "&>", ">&", ">|", "<>", "<<<", "<<", ";;", ";&", "{a,b}",
    "2>", "0<", "+=", "==", "~", "?", "@(", "%1", "-", "--", ":-", "function ", "function f1 ", "f1 () ",
    "coproc ", "time ", "select ", "until ", "while ", " do ", " done", "if ", " then ", " else ", " fi",
    "case ", " in ", " esac", "! ", "\n", " ", "\t", "\r",
]  # fmt: skip


@st.composite
def hurt(draw: st.DrawFn) -> str:
    """A line with signs put somewhere."""
    text = draw(lines)
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(st.sampled_from(SIGNS)) + text[at + draw(st.integers(0, 1)) :]
    return text


class Box:
    """A folder with the stubs, and what ran in it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path, self.runs = folder, folder / "path", 0
        self.path.mkdir()
        for name in STUBS:
            stub = self.path / name
            stub.write_text('#!/bin/sh\nprintf "%s\\n" "${0##*/}" >> .ran\n')
            stub.chmod(0o755)
        for name in REAL:
            found = shutil.which(name)
            if found:
                (self.path / name).symlink_to(found)

    def ran(self, shell: str, text: str) -> set[str]:
        # a folder each: what one leaves in the background may be late
        self.runs += 1
        work = self.folder / f"work{self.runs}"
        work.mkdir()
        log = work / ".ran"
        log.touch()
        process = subprocess.Popen(
            [str(shutil.which(shell)), "-c", text],
            cwd=work,
            env={"PATH": str(self.path), "FUNCNEST": "20", "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            pass
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return set(log.read_text().split())


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Box:
    return Box(tmp_path_factory.mktemp("box"))


@pytest.mark.parametrize("shell", SHELLS)
@settings(
    max_examples=int(os.environ.get("BODYCAM_SHELL_CASES", "120")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(text=hurt())
@example(text="$'\\x72m' x")
@example(text="{rm,-rf,x}")
@example(text="r\\\nm x")
@example(text="echo $'a\\'; rm x #'")
@example(text="((rm))")
@example(text="> out rm x")
@example(text="> out{one,x} rm x")
@example(text="echo x &> out rm x")
@example(text="echo x &>> out >b rm x")
@example(text="cat <<E\n`rm`\nE\n")
@example(text="echo ${X:-`rm`}")
def test_every_program_that_runs_is_named(box: Box, shell: str, text: str) -> None:
    facts = analyse(text)
    if facts.unknown:
        return
    assert box.ran(shell, text) <= set(facts.programs), text


@pytest.mark.parametrize("shell", SHELLS)
def test_the_stubs_do_run(box: Box, shell: str) -> None:
    assert box.ran(shell, "one && env two | sh -c 'three; rm'") == {"one", "two", "three", "rm"}
