"""Which rule keeps a recording for how long, and which rules contradict each other."""

from pathlib import Path

import pytest

from bodycam.config import SettingsError, parse
from bodycam.config.settings import Settings
from bodycam.policy.retention import Recorded, RetentionPolicy

PROD = Recorded("orders", {"env": "prod"}, "postgres", "billing-bot", "ended")
DAY = 86_400.0


def settings(rules: str) -> Settings:
    return parse(f"retention:\n{rules}\n", file="t", folder=Path("/x"))


@pytest.mark.parametrize(
    ("rules", "rule", "days", "minimum"),
    [
        ("- {keep: 90d}", "rule-1", 90, 0),
        ("- {targets: {labels: {env: prod}}, keep: 365d}\n- {keep: 90d}", "rule-1", 365, 0),
        ("- {targets: {labels: {env: dev}}, keep: 365d}\n- {keep: 90d}", "rule-2", 90, 0),
        ("- {targets: {names: [orders, other]}, name: o, keep: 5d}\n- {keep: 90d}", "o", 5, 0),
        ("- {agents: [other-bot], keep: 5d}\n- {protocols: [mysql], keep: 6d}", None, 0, 0),
        ("- {outcomes: [failed, broken], keep: 5d}\n- {outcomes: [ended], keep: 7d}", "rule-2", 7, 0),
        ("- {at_least: 30d}\n- {agents: [billing-bot], at_least: 40d}\n- {keep: 50d}", "rule-3", 50, 40),
        ("- {at_least: 30d}", None, 0, 30),
    ],
)
def test_the_first_maximum_and_the_longest_minimum_count(
    rules: str, rule: str | None, days: int, minimum: int
) -> None:
    term = RetentionPolicy(settings(rules).retention).term(PROD)
    assert (term.rule, term.keep, term.minimum) == (rule, days * DAY, minimum * DAY)


def test_a_minimum_beats_a_maximum() -> None:
    policy = RetentionPolicy([*settings("- {keep: 1d}").retention, *settings("- {at_least: 9d}").retention])
    assert policy.term(PROD).due == 9 * DAY
    assert policy.shortest == DAY


@pytest.mark.parametrize(
    "rules",
    [
        "- {keep: 30d, at_least: 30d}",
        "- {targets: {labels: {env: prod}}, at_least: 365d}\n- {targets: {labels: {env: dev}}, keep: 90d}",
        "- {targets: {names: [a]}, at_least: 365d}\n- {targets: {names: [b]}, keep: 90d}",
        "- {agents: [a], at_least: 365d}\n- {agents: [b, c], keep: 90d}",
        "- {outcomes: [failed], at_least: 9d}\n- {outcomes: [ended], keep: 1d}",
        "- {protocols: [a], at_least: 9d}\n- {protocols: [b], keep: 1d}",
        # the second never decides for what the first matches
        "- {agents: [a], keep: 365d, at_least: 365d}\n- {keep: 90d}",
        "- {agents: [a, b], keep: 365d}\n- {agents: [a], at_least: 300d}\n- {keep: 90d}",
        '- {targets: {names: ["*"]}, keep: 9d}\n- {at_least: 8d}\n- {keep: 1d}',
        "- {targets: {labels: {env: prod}}, keep: 9d, at_least: 9d}\n- {keep: 1d}",
    ],
)
def test_rules_that_agree(rules: str) -> None:
    settings(rules)


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ("- {keep: 30d, at_least: 31d}", "t:2: retention[0].at_least: expected a minimum age of at most keep"),
        ("- {at_least: 365d}\n- {keep: 90d}", "t:2: retention[0].at_least: expected at most what rule-2 keeps"),
        ("- {name: short, keep: 90d}\n- {targets: {labels: {env: prod}}, at_least: 365d}",
         "t:3: retention[1].at_least: expected at most what short keeps"),
        ("- {targets: {names: [a]}, at_least: 9d}\n- {targets: {labels: {env: prod}}, keep: 1d}",
         "t:2: retention[0].at_least: expected at most what rule-2"),
        ("- {agents: [a, b], at_least: 9d}\n- {agents: [a], keep: 10d}\n- {keep: 1d}", "what rule-3 keeps"),
        ("- {agents: [a]}", "t:2: retention[0]: expected keep, at_least or both"),
        ("- {keep: 0s}", "expected a keep of more than 0s"),
        ("- {keep: 30}", "expected a duration with its unit"),
        ("- {keep: 1d, outcomes: [ok]}", "expected 'ended', 'failed', 'cut', 'broken' or 'interrupted'"),
        ("- {name: a, keep: 1d}\n- {name: a, keep: 2d}", "t:3: retention[1].name: expected a name that no other"),
        ("- {keep: 1d}\n- {name: rule-1, keep: 2d}", "t:3: retention[1].name: expected a name that no other"),
        ("- {keep: 1d, max: 2d}", "no such setting"),
    ],
)  # fmt: skip
def test_rules_that_do_not_are_named_by_line_and_key(rules: str, said: str) -> None:
    with pytest.raises(SettingsError) as raised:
        settings(rules)
    assert said in str(raised.value)
