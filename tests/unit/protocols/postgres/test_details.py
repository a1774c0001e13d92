"""What the index keeps of a statement beside its text, and how it is told to those who trace."""

import pytest

from bodycam.model.telemetry import Exchanged
from bodycam.protocols.postgres.details import claimed, kept
from bodycam.protocols.postgres.telemetry import wording

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
OTHER = "00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    "text",
    [
        f"SELECT 1 /*traceparent='{PARENT}'*/",
        f"SELECT 1/*traceparent='{PARENT}'*/;",
        f"SELECT 1 /*action='%2Fparam',framework='x', traceparent='{PARENT}',tracestate='a%3D1'*/ ;\n",
        f"SELECT 1 /*traceparent='{PARENT.replace('-', '%2D')}'*/",
        f"/* first */ SELECT 1 /*traceparent='{PARENT}'*/",
    ],
)
def test_a_comment_at_the_end_claims_a_trace(text: str) -> None:
    assert str(claimed(text)) == PARENT


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1",
        f"SELECT 'traceparent={PARENT}'",
        f"/*traceparent='{PARENT}'*/ SELECT 1",
        f"SELECT 1 -- traceparent='{PARENT}'",
        f"SELECT 1 /*traceparent={PARENT}*/",
        f"SELECT 1 /*xtraceparent='{PARENT}'*/",
        f"SELECT 1 /*traceparent='{PARENT}',traceparent='{OTHER}'*/",
        f"SELECT 1 /*traceparent='{PARENT.upper()}'*/",
        "SELECT 1 /*traceparent='%00'*/",
        "SELECT 1 /*traceparent=''*/",
        "traceparent=" * 10_000 + "/*" * 10_000,
    ],
)
def test_nothing_else_does(text: str) -> None:
    assert claimed(text) is None


@pytest.mark.parametrize(
    ("tag", "command"),
    [
        ("SELECT 3", "SELECT"),
        ("INSERT 0 5", "INSERT"),
        ("CREATE TABLE", "CREATE TABLE"),
        ("BEGIN", "BEGIN"),
        ("SELECT 1; INSERT 0 1", None),
        ("", None),
        (None, None),
    ],
)
def test_a_command_is_kept_without_its_counts(tag: str | None, command: str | None) -> None:
    assert kept(tag).get("sql.command") == command


def test_what_is_not_known_is_not_told() -> None:
    words = wording(Exchanged("query", "", "denied", None, 0, "", {}))
    assert (words.name, words.attributes) == ("query", {"db.system.name": "postgresql"})
