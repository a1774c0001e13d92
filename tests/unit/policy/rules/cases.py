"""Subjects and operations for tests of rules."""

from dataclasses import dataclass, field
from typing import Any

from bodycam.config import parse
from bodycam.config.settings import Settings
from bodycam.model.identity import Principal, PrincipalKind, Run
from bodycam.model.operation import Operation, Parameter, Weight
from bodycam.model.target import Target
from bodycam.model.verdict import Verdict
from bodycam.policy.decision import DecisionPoint
from bodycam.policy.rules.compiling import compile_rules
from bodycam.policy.sql.analysis import SqlAnalysis
from bodycam.registry import WANTS

HEADER = """
agents: {bot: {}, other: {}}
targets:
  orders: {protocol: postgres, address: 'db:5432', user: app, labels: {env: prod}}
  lab: {protocol: postgres, address: 'lab:5432', user: app, labels: {env: lab}}
"""


def settings(rules: str, more: str = "") -> Settings:
    from pathlib import Path

    text = HEADER + more + "rules:\n" + rules
    return parse(text, file="bodycam.yaml", folder=Path("/srv"), protocols=WANTS)


@dataclass
class Subject:
    """A session of the agent `bot`, started by ada."""

    target: Target = field(default_factory=lambda: Target("orders", "postgres", {"env": "prod"}))
    database: str = "orders"
    policy: str = "p1"
    run: Run = field(
        default_factory=lambda: Run(
            id="run_aaaaaaaaaaaaaaaa",
            principal=Principal("corp", "ada", PrincipalKind.HUMAN, frozenset({"dev"})),
            agent="bot",
            expires=2e9,
            labels={"ticket": "T-1"},
        )
    )


class Clock:
    """Time as a test sets it, in seconds of the Unix epoch; at first a Wednesday, 9:30 UTC."""

    def __init__(self) -> None:
        self.now = 1_795_599_000.0

    def __call__(self) -> float:
        return self.now


def point(rules: str, more: str = "", clock: Any = None) -> DecisionPoint:
    made = settings(rules, more)
    return DecisionPoint(
        compile_rules(made),
        "p1",
        deny_unknown=made.judging.unknown.value == "deny",
        languages={"postgres": SqlAnalysis()},
        clock=clock or Clock(),
    )


def query(text: str, *values: str | None, verb: str = "query", **facts: Any) -> Operation:
    parameters: tuple[Parameter, ...] = tuple(
        (25, 0, None if value is None else value.encode()) for value in values
    )
    weight = Weight.STATEMENT if verb in ("query", "execute", "function") else Weight.ASIDE
    return Operation(verb, text, parameters, facts, weight)


def told(verdict: Verdict) -> str:
    """A verdict in short: `allow`, or the decision and its rule."""
    return verdict.decision.value if verdict.rule == "access" else f"{verdict.decision.value} {verdict.rule}"
