"""When the wall clock is not believed."""

from bodycam.archive.calendar import DOUBT, Calendar
from tests.unit.archive.kept import DAY, Clock

HOUR = 3600.0


def calendar(clock: Clock, newest: float) -> Calendar:
    return clock.calendar(round(newest * 1000))


def test_time_that_passes_is_believed() -> None:
    clock = Clock()
    begun = clock.wall
    watched = calendar(clock, begun - HOUR)
    for _ in range(1000):
        clock.pass_(HOUR)
        assert watched.refusal(round(begun * 1000)) is None


def test_a_jump_forward_is_not_and_is_after_a_day_in_which_nothing_else_is_odd() -> None:
    clock = Clock()
    watched = calendar(clock, clock.wall)
    clock.pass_(HOUR)
    clock.jump(365 * DAY)

    assert watched.refusal(0) == "the clock jumped by +31536000 seconds"
    clock.pass_(DOUBT - 1)
    assert watched.refusal(0) is not None
    clock.pass_(2)
    assert watched.refusal(0) is None


def test_a_jump_back_by_an_hour_is_not_either_nor_is_the_way_back() -> None:
    clock = Clock()
    watched = calendar(clock, clock.wall)
    newest = round(clock.wall * 1000)
    clock.jump(-HOUR)
    assert watched.refusal(newest) == "the clock is behind the ledger's newest head"
    clock.jump(HOUR)
    clock.pass_(DOUBT - 10)
    assert watched.refusal(newest) == "the clock jumped by +3600 seconds"


def test_a_few_seconds_are_no_jump_and_don_t_add_up() -> None:
    clock = Clock()
    watched = calendar(clock, clock.wall)
    for _ in range(100):
        clock.pass_(HOUR)
        clock.jump(5)
        assert watched.refusal(0) is None


def test_a_clock_that_went_far_while_nothing_ran_is_in_doubt_for_a_day() -> None:
    clock = Clock()
    watched = calendar(clock, clock.wall - 50 * HOUR)
    assert watched.refusal(0) == "the clock says that the ledger was left alone for 50 hours"
    clock.pass_(DOUBT + 1)
    assert watched.refusal(0) is None


def test_a_new_ledger_has_nothing_to_compare_with() -> None:
    clock = Clock()
    assert calendar(clock, 0).refusal(round(clock.wall * 1000)) is None
