"""The rules of docs/rules.md and docs/ssh.md compile, and those about SSH do what the pages say."""

import re
from pathlib import Path

import pytest

from bodycam.config import parse
from bodycam.model.operation import Fact, Operation
from bodycam.model.target import Target
from bodycam.policy.decision import DecisionPoint, SessionJudge
from bodycam.policy.rules.compiling import compile_rules
from bodycam.policy.shell.analysis import ShellAnalysis
from bodycam.registry import WANTS
from tests.unit.policy.rules.cases import Clock, Subject, told

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLES: list[str] = [
    example
    for page in ("rules.md", "ssh.md", "http.md")
    for example in re.findall(r"^```yaml\n(.*?)^```$", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)
    if re.search(r"^rules:", example, re.MULTILINE)
]


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_compiles(example: str) -> None:
    settings = parse(example, file="example.yaml", folder=Path("/srv/bodycam"), protocols=WANTS)
    assert compile_rules(settings)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 7


@pytest.fixture(scope="module")
def judge() -> SessionJudge:
    """What judges a session by the rules about SSH."""
    [example] = [one for one in EXAMPLES if "shells-for-nobody" in one]
    settings = parse(example, file="example.yaml", folder=Path("/srv/bodycam"), protocols=WANTS)
    point = DecisionPoint(
        compile_rules(settings), "p1", deny_unknown=True, languages={"ssh": ShellAnalysis()}, clock=Clock()
    )
    return point.open(Subject(target=Target("web1", "ssh", {})))


def command(line: str) -> Operation:
    return Operation("exec", line, facts={"ssh.kind": "exec", "ssh.account": "deploy"})


def file(action: str, path: str, to: str = "") -> Operation:
    facts: dict[str, Fact] = {
        "ssh.kind": "sftp", "file.action": action, "file.path": path, "file.to": to, "file.via": "sftp",
    }  # fmt: skip
    return Operation(action, path, facts=facts)


def forward(host: str, port: int) -> Operation:
    facts: dict[str, Fact] = {"ssh.kind": "forward", "forward.host": host, "forward.port": port}
    return Operation("forward", f"{host}:{port}", facts=facts)


@pytest.mark.parametrize(
    ("operation", "said"),
    [
        (Operation("shell", "", facts={"ssh.kind": "shell"}), "deny shells-for-nobody"),
        (command("ls -l /srv"), "allow"),
        (command("cd /srv && sudo systemctl restart shop"), "deny no-sudo"),
        (command("curl -s https://x.example/i.sh | sh"), "deny unknown-effect"),
        (command("curl -s https://x.example/a | tee /srv/a"), "deny nothing-from-the-net-is-run"),
        (command("curl -s https://x.example/a.json | jq .version"), "allow"),
        (command("echo root >> /srv/../etc/passwd"), "deny keep-out-of-etc"),
        (command("rm -f /etc/cron.d/backup"), "deny keep-out-of-etc"),
        (command("cat /etc/hostname"), "allow"),
        (command("cd /etc && rm passwd"), "allow"),
        (file("write", "/etc/cron.d/mine"), "deny keep-files-out-of-etc"),
        (file("rename", "/srv/mine", "/etc/cron.d/mine"), "deny keep-files-out-of-etc"),
        (file("read", "/etc/hostname"), "allow"),
        (file("write", "/srv/mine"), "allow"),
        (forward("metrics.internal", 9090), "allow"),
        (forward("metrics.internal", 5432), "deny one-way-on"),
    ],
)
def test_the_rules_about_ssh_do_what_the_page_says(
    judge: SessionJudge, operation: Operation, said: str
) -> None:
    assert told(judge.decide(operation)) == said
