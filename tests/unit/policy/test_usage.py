"""What runs use is counted here, and what others say of them there is added."""

from bodycam.policy.usage import RUNS_MOST, UsageOfRuns
from tests.unit.policy.rules.cases import Clock, Subject, point, query, told

NOW = 1_795_599_000.0


def test_news_are_told_once_and_again_when_a_minute_has_passed() -> None:
    used = UsageOfRuns()
    run = used.open("run_a")
    used.open("run_b")
    assert used.news(NOW) == {}
    run.count(NOW)
    run.own_rows += 7
    assert used.news(NOW) == {"run_a": (1, 7, 1)}
    assert used.news(NOW + 1) == {}
    assert used.news(NOW + 61) == {"run_a": (1, 7, 0)}


def test_what_others_say_is_added_and_never_told_on() -> None:
    used = UsageOfRuns()
    run = used.open("run_a")
    run.count(NOW)
    used.elsewhere({"run_a": [10, 20, 30], "run_later": [1, 2, 3]})
    assert (run.operations, run.rows, run.per_minute(NOW)) == (11, 20, 31)
    assert used.news(NOW) == {"run_a": (1, 0, 1)}
    assert used.open("run_later").operations == 1


def test_runs_that_are_over_are_forgotten_once_there_are_many() -> None:
    used = UsageOfRuns()
    used.elsewhere({f"run_{number}": [1, 1, 1] for number in range(RUNS_MOST + 5)})
    kept = used.open("run_kept")
    kept.count(NOW)
    used.open("run_gone")
    used.closed("run_gone")
    assert used.open("run_kept") is kept
    assert used.open("run_1").operations == 0


def test_an_allowance_counts_what_went_through_other_workers() -> None:
    made = point("  - {name: enough, when: usage.run.operations > 10, then: deny}", clock=Clock())
    judge = made.open(Subject())
    assert told(judge.decide(query("select 1"))) == "allow"
    made.used.elsewhere({Subject().run.id: [10, 0, 0]})
    assert told(judge.decide(query("select 1"))) == "deny enough"
