"""Default deny; an entry grants only when agent, groups and target all match."""

from pathlib import Path

import pytest

from bodycam.config import parse
from bodycam.model.identity import Principal, PrincipalKind
from bodycam.model.operation import Operation
from bodycam.model.verdict import Decision, Verdict
from bodycam.policy.access import AccessPolicy, Role
from bodycam.policy.decision import DecisionPoint, Subject

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
    assert POLICY.role(who("x", "admins")) is Role.ADMIN
    assert POLICY.role(who("x", "g")) is Role.MEMBER


class _Session:
    policy = "v1"


class _Broken:
    def judge(self, operation: Operation, subject: Subject) -> Verdict | None:
        raise KeyError("fact")


def test_an_open_sessions_operations_are_allowed_under_its_policy_and_a_fault_denies() -> None:
    operation = Operation("query", "SELECT 1")
    allowed = DecisionPoint().decide(operation, _Session())
    assert (allowed.decision, allowed.rule, allowed.policy) == (Decision.ALLOW, "access", "v1")
    denied = DecisionPoint([_Broken()]).decide(operation, _Session())
    assert (denied.decision, denied.rule, denied.policy) == (Decision.DENY, "policy-error", "v1")
