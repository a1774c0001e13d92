"""The README's first use by hand works: its blocks are taken out of the page and run, in order, by one shell."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests import stage
from tests.interop.web import Site, site

pytestmark = pytest.mark.timeout(180)

README = (Path(__file__).parents[2] / "README.md").read_text()
HAND = README.split("## First use by hand")[1].split("\n## ")[0]
BLOCKS: list[tuple[str, str]] = re.findall(r"^```(\w+)\n(.*?)^```$", HAND, re.MULTILINE | re.DOTALL)
MARK = "= = ="

# what stands on the page as "replace the empty sections by", done to the file that `bodycam init` made
EDIT = """
import pathlib, sys, yaml
file = pathlib.Path("bodycam.yaml")
settings = yaml.safe_load(file.read_text()) | yaml.safe_load(sys.stdin.read())
settings["listen"] = {"postgres": "127.0.0.1:" + sys.argv[1], "http": "127.0.0.1:" + sys.argv[2],
    "control": "127.0.0.1:" + sys.argv[3]}
file.write_text(yaml.safe_dump(settings))
"""

# the second terminal goes on while the first one serves
SERVE = """\
bodycam serve >serve.log 2>&1 &
served=$!
trap 'kill $served; wait $served || true' EXIT
until bodycam targets >/dev/null 2>&1; do kill -0 $served; sleep 0.2; done
"""


def head(line: str) -> str:
    """What a line is known by: its first two words, and the program that it runs."""
    _, dashes, program = line.partition(" -- ")
    return " ".join([*line.split()[:2], *(program.split()[:1] if dashes else [])])


def script(server: stage.Postgres, there: Site) -> str:
    """The whole page as one shell script, with this machine's ports and passwords in place of the page's."""
    here = {
        "127.0.0.1:5432": f"127.0.0.1:{server.port}",
        "user: app": "user: scram_user",
        "database: shop": "database: postgres",
        "the password of app": stage.PASSWORD,
        # nothing here goes out to the Internet
        "hosts: [example.com]": f"address: localhost:{there.port}\n    tls: {{sslmode: disable}}",
        "http://example.com/": f"http://localhost:{there.port}/?example",
    }
    parts = ["set -eu"]
    for kind, block in BLOCKS:
        for told, real in here.items():
            block = block.replace(told, real)
        if kind == "yaml":
            ports = " ".join(str(stage.free_port()) for _ in range(3))
            parts.append(f'"$PYTHON" -c "$EDIT" {ports} <<\'YAML\'\n{block}YAML')
            continue
        for line in block.splitlines():
            parts.append(f"echo {shlex.quote(f'{MARK} {head(line)}')}")
            parts.append(SERVE if line == "bodycam serve" else line)
    return "\n".join(parts) + "\n"


@pytest.fixture(scope="module")
def said(server: stage.Postgres) -> Iterator[dict[str, str]]:
    """What each of the page's lines printed, by its `head`; the last of a name counts."""
    with stage.folder() as folder, site(folder) as there:
        # a checkout as ./dev setup leaves it: the interpreter of these tests stands for its .venv
        programs = {
            ".venv/bin/bodycam": f'exec "{sys.executable}" -m bodycam "$@"',
            "dev": '[ "$*" = setup ]',
        }
        (folder / ".venv/bin").mkdir(parents=True)
        for name, text in programs.items():
            (folder / name).write_text(f"#!/bin/sh\n{text}\n")
            (folder / name).chmod(0o755)
        environment = stage.clean_environment() | {
            "HOME": str(folder),
            "XDG_STATE_HOME": str(folder / "state"),
            "PYTHON": sys.executable,
            "EDIT": EDIT,
        }
        with (folder / "said").open("w+") as output:
            done = subprocess.run(
                ["sh", "-c", script(server, there)],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=110,
                check=False,
            )
            output.seek(0)
            text = output.read()
        log = folder / "gateway" / "serve.log"
        assert done.returncode == 0, text[-4000:] + (log.read_text()[-2000:] if log.exists() else "")
        parts = [part.partition("\n") for part in text.split(f"{MARK} ")[1:]]
        yield {head: body for head, _, body in parts}


def test_the_run_shows_what_psql_shows_and_says_its_id(said: dict[str, str]) -> None:
    run = said["bodycam run psql"]
    assert re.search(r"^ hello$", run, re.MULTILINE)
    assert re.search(r"^bodycam: run run_\w+ · \w+ · 1 session · bodycam replay ses_", run, re.MULTILINE)


def test_what_was_recorded_is_shown_found_and_played(said: dict[str, str]) -> None:
    assert "billing-bot" in said["bodycam runs"]
    assert "ticket=4711" in said["bodycam show"]
    for command in ("show", "replay", "export"):
        assert "select 'hello' as word" in said[f"bodycam {command}"]
    assert "GET http://localhost" in said["bodycam search"]
    assert "viewed" in said["bodycam audit"]


def test_verification_says_what_the_page_says(said: dict[str, str]) -> None:
    assert said["bodycam verify"].startswith("authentic: 1 sessions")


def test_a_host_that_no_target_names_is_refused(said: dict[str, str]) -> None:
    assert "169.254.169.254:80 is not among the hosts" in said["bodycam run curl"]


def test_the_page_needs_no_port_that_the_starter_file_has_not() -> None:
    from bodycam.cli.init import LISTEN
    from bodycam.config import starter

    made = yaml.safe_load(starter(LISTEN))
    for _, block in BLOCKS:
        for section in yaml.safe_load(block) if "targets:\n" in block else {}:
            assert made[section] in ({}, []), f"the page says that {section} is empty"
