"""Rules over what protocols tell of their operations beside the text."""

import re
from pathlib import Path

import pytest

from bodycam.model.operation import Fact, Operation
from bodycam.model.target import Target
from bodycam.policy.rules.told import TOLD
from bodycam.policy.trial import Bar, Trial
from bodycam.protocols.ssh.files import facts as files
from bodycam.protocols.ssh.files import operations
from bodycam.protocols.ssh.files.messages import Request, Type
from tests.unit.policy.rules.cases import Subject, point, query, settings, told

DIALECTS = Path(__file__).parents[4] / "src/bodycam/protocols/http/dialects"
HTTP: dict[str, Fact] = {"http.method": "POST", "http.host": "tools.example.com", "http.path": "/mcp"}
CALL: dict[str, Fact] = {
    **HTTP, "mcp.method": "tools/call", "mcp.methods": ("tools/call",), "mcp.tool": "remove",
    "mcp.tools": ("remove",), "mcp.arguments": '{"path":"/"}', "mcp.batch": 0, "mcp.unknown": "",
}  # fmt: skip
BATCH: dict[str, Fact] = {
    **HTTP, "mcp.methods": ("tools/call",), "mcp.tools": ("read", "remove"), "mcp.batch": 2, "mcp.unknown": ""
}  # fmt: skip
UNKNOWN: dict[str, Fact] = {**HTTP, "mcp.unknown": "a key stands twice"}
SQL: None = None


@pytest.mark.parametrize(
    ("condition", "facts", "said"),
    [
        ('op.mcp.tool == "remove"', CALL, "deny r"),
        ('op.mcp.tool == "read"', CALL, "allow"),
        # several tools are no one tool: it can't be judged
        ('op.mcp.tool == "read"', BATCH, "deny r"),
        ('op.mcp.tools.exists(t, t == "remove")', BATCH, "deny r"),
        ('op.mcp.tools.exists(t, t == "drop")', BATCH, "allow"),
        ('op.mcp.tools.exists(t, t == "drop")', UNKNOWN, "deny r"),
        ('op.mcp.unknown != ""', UNKNOWN, "deny r"),
        ('op.mcp.unknown != ""', CALL, "allow"),
        ('op.mcp.tool == "remove"', HTTP, "allow"),
        ('op.mcp.tool == "remove"', SQL, "allow"),
        ("!has(op.mcp)", HTTP, "deny r"),
        ("!has(op.mcp)", CALL, "allow"),
        ("!has(op.http.host)", SQL, "allow"),
        ('op.http.host == "tools.example.com"', HTTP, "deny r"),
        ('has(op.mcp) && op.http.host == "other.example.com"', CALL, "allow"),
        # of the two kinds that it reads one is there, so it is asked, and what is not there denies
        ('op.mcp.tool == "read" || op.sql.ddl', CALL, "deny r"),
        ('op.facts["mcp.tools"].exists(t, t == "remove")', CALL, "deny r"),
    ],
)
def test_conditions_over_what_is_told(condition: str, facts: dict[str, Fact] | None, said: str) -> None:
    judge = point(f"  - {{name: r, when: '{condition}', then: deny}}\n").open(
        Subject(target=Target("tools", "http", {}))
    )
    asked = (
        query("select 1")
        if facts is None
        else Operation("POST", "https://tools.example.com/mcp", facts=facts)
    )
    assert told(judge.decide(asked)) == said


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/v2/drafts/7", "allow"),
        ("/v2/drafts/caf%C3%A9", "allow"),
        ("/v2/users", "deny r"),
        ("*", "deny r"),
        ("/v2/drafts/../users", "deny r"),
        ("/v2/drafts/%2e%2e/users", "deny r"),
        ("/v2/drafts/..;/users", "deny r"),
        ("/v2/drafts//users", "deny r"),
        ("/v2/drafts/..%2fusers", "deny r"),
    ],
)
def test_a_path_that_servers_may_read_in_two_ways_is_none_that_a_rule_can_rely_on(
    path: str, said: str
) -> None:
    facts: dict[str, Fact] = {**HTTP, "http.path": path}
    asked = Operation("POST", f"https://tools.example.com{path}", facts=facts)
    for rule in (
        """{name: r, when: 'op.http.method == "POST"', unless: 'op.http.path.startsWith("/v2/drafts/")', then: deny}""",
        """{name: r, when: '!op.http.path.startsWith("/v2/drafts/")', then: deny}""",
    ):
        assert told(point(f"  - {rule}\n").open(Subject()).decide(asked)) == said


@pytest.mark.parametrize("path", ["//admin", "/%61dmin", "/x/../admin", "/./admin"])
def test_such_a_path_is_denied_by_a_rule_about_another(path: str) -> None:
    asked = Operation("GET", f"https://tools.example.com{path}", facts={**HTTP, "http.path": path})
    rules = """  - {name: r, when: 'op.http.path.startsWith("/admin")', then: deny}\n"""
    verdict = point(rules).open(Subject()).decide(asked)
    assert told(verdict) == "deny r"
    assert verdict.message == "the rule could not be judged: there is no op.http.path to read"
    assert "not there where servers may read it in two ways" in verdict.hint
    raw = """  - {name: r, when: 'op.http.raw_path.contains("dmin")', then: deny}\n"""
    assert told(point(raw).open(Subject()).decide(asked)) == "deny r"
    other = """  - {name: r, when: 'op.http.raw_path.contains("users")', then: deny}\n"""
    assert told(point(other).open(Subject()).decide(asked)) == "allow"


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (CALL, "allow"),
        (HTTP, "allow"),
        (UNKNOWN, "deny no-unclear-requests"),
        ({**HTTP, "llm.api": "openai.chat", "llm.unknown": "it is no JSON"}, "deny no-unclear-requests"),
        ({**HTTP, "llm.api": "openai.chat", "llm.unknown": ""}, "allow"),
    ],
)
def test_what_can_be_read_in_two_ways_is_denied_by_a_preset(facts: dict[str, Fact], said: str) -> None:
    judge = point("  - preset: no-unclear-requests\n").open(Subject())
    assert told(judge.decide(Operation("POST", "https://tools.example.com/mcp", facts=facts))) == said


def test_the_same_text_with_another_tool_is_judged_anew() -> None:
    judge = point("  - {name: r, when: 'op.mcp.tool == \"remove\"', then: deny}\n").open(Subject())
    text = "https://tools.example.com/mcp"
    said = [
        told(judge.decide(Operation("POST", text, facts=facts)))
        for facts in (CALL, {**CALL, "mcp.tool": "read"}, CALL, HTTP, CALL)
    ]
    assert said == ["deny r", "allow", "deny r", "allow", "deny r"]


def test_a_trial_of_sql_is_not_in_doubt_for_what_only_other_protocols_tell() -> None:
    rules = (
        "  - {name: tools, when: 'op.mcp.tools.exists(t, t == \"remove\")', then: deny}\n"
        "  - {name: kinds, when: 'op.sql.ddl', then: deny}\n"
    )
    bar = Bar(settings(rules), point(rules))
    trial = Trial(agent="bot", target="orders", text="select 1", session="a")
    assert bar.read(trial) == {"op.sql.ddl"}


def test_every_fact_that_a_dialect_tells_can_be_read() -> None:
    told_there = {
        name
        for module in DIALECTS.glob("*.py")
        for name in re.findall(r'"((?:llm|mcp)\.[a-z_]+)"', module.read_text())
    }
    known = {one.path.removeprefix("op.") for one in TOLD}
    assert told_there == {name for name in known if name.startswith(("llm.", "mcp."))}


def test_every_fact_of_an_operation_on_files_can_be_read() -> None:
    known = {one.path.removeprefix("op.") for one in TOLD}
    told_there = {name for name in files.facts("sftp", "", "read", "/a") if name.startswith("file.")}
    assert told_there == {name for name in known if name.startswith("file.")}


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (b"/etc/x", "deny r"),
        (b"/etc/\xff", "deny r"),
        (b"/srv/../etc/x", "deny r"),
        (b"/srv/x", "allow"),
        (b"/srv/\xff\n", "allow"),
        (b"x", "allow"),
    ],
)
def test_rules_read_paths_whatever_bytes_they_are(path: bytes, said: str) -> None:
    judge = point("  - {name: r, when: 'op.file.path.startsWith(\"/etc\")', then: deny}\n").open(
        Subject(target=Target("build", "ssh", {}))
    )
    asked = operations.operation(Request(Type.REMOVE, 1), path, b"", b"/srv", "app")
    assert told(judge.decide(asked)) == said


def test_a_path_that_is_opened_to_read_and_write_is_read_too() -> None:
    judge = point("  - {name: r, when: '\"read\" in op.file.mode', then: deny}\n").open(Subject())
    asked = [
        operations.operation(Request(Type.OPEN, 1, flags=flags), b"/a", b"", b"", "") for flags in (0, 2, 3)
    ]
    assert [told(judge.decide(one)) for one in asked] == ["deny r", "allow", "deny r"]
