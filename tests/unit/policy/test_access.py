"""Default deny; an entry grants only when agent, groups and target all match."""

from pathlib import Path

import pytest

from bodycam.config import parse
from bodycam.model.identity import Principal, PrincipalKind
from bodycam.policy.access import AccessPolicy, Role

TEXT = """
targets:
  one: {protocol: p, address: "h:1", user: u, labels: {env: prod, team: a}}
  two: {protocol: p, address: "h:2", user: u, labels: {env: dev}}
agents:
  bot: {may_start: {groups: [g], subjects: [ci, "ann@corp"]}}
  idle: {}
access:
  - {agents: [bot], groups: [g], targets: {labels: {env: prod, team: a}}}
  - {groups: [h], targets: {names: ["*"]}}
"""
POLICY = AccessPolicy(parse(TEXT, file="x", folder=Path("/x")))


def who(subject: str, *groups: str, issuer: str = "bodycam") -> Principal:
    return Principal(issuer, subject, PrincipalKind.SERVICE, frozenset(groups))


@pytest.mark.parametrize(
    ("principal", "agent", "openable"),
    [
        (who("x", "g"), "bot", ["one"]),
        (who("x", "g", "h"), "bot", ["one", "two"]),
        (who("x", "h"), "bot", []),  # may not start the agent
        (who("ci"), "bot", []),  # may start it, and is in no group that a grant names
        (who("ci", "h"), "bot", ["one", "two"]),
        (who("ci", "h", issuer="corp"), "bot", []),  # somebody else's ci
        (who("ann", "h", issuer="corp"), "bot", ["one", "two"]),
        (who("x", "g", "h"), "idle", []),
        (who("x", "g", "h"), "undeclared", []),
    ],
)
def test_what_a_starter_and_an_agent_may_open(principal: Principal, agent: str, openable: list[str]) -> None:
    assert POLICY.openable(principal, agent) == openable


def test_roles() -> None:
    assert POLICY.roles(who("x", "admins")) == {Role.ADMIN, Role.USER}
    assert POLICY.roles(who("x", "g")) == {Role.USER}
