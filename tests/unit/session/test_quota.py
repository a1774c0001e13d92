"""When the store of recordings is full, and when it is warned of it."""

import pytest

from bodycam.session.quota import Quota


@pytest.mark.parametrize(
    ("seen", "warned"),
    [
        ([0, 79, 80, 81, 89], [None, None, 80, None, None]),
        ([80, 90, 100, 120], [80, 90, 100, None]),
        ([100], [100]),  # what is passed at once is told once
        ([85, 79, 80, 75, 80], [80, None, None, None, None]),  # not far enough below
        ([85, 74, 80], [80, None, 80]),
        ([95, 86, 90, 84, 90], [90, None, None, None, 90]),
        ([100, 84, 100], [100, None, 100]),
        ([100, 94, 99, 100], [100, None, None, 100]),
        ([100, 10, 85, 95, 100], [100, None, 80, 90, 100]),
        ([None, 85, None, 85], [None, 80, None, None]),  # not known is not empty
    ],
)
def test_each_threshold_is_told_when_it_is_passed(seen: list[int | None], warned: list[int | None]) -> None:
    quota = Quota()
    assert [quota.see(None if used is None else used * 1000, 100_000) for used in seen] == warned


def test_it_is_full_from_the_last_byte_on_and_only_then() -> None:
    quota = Quota()
    assert not quota.full
    for used, full in ((999, False), (1000, True), (1001, True), (998, False)):
        quota.see(used, 1000)
        assert quota.full is full


def test_another_quota_is_another_measure() -> None:
    quota = Quota()
    assert quota.see(1000, 1000) == 100
    assert quota.see(1000, 10_000) is None
    assert (quota.full, quota.percent, quota.warning) == (False, 10, 0)
    assert quota.see(1000, 1200) == 80
    assert quota.see(None, None) is None
    assert (quota.full, quota.percent) == (False, 0)
    assert quota.see(1000, 1100) == 90
