"""When API keys are used is remembered, and written down at most once a minute for each."""

from bodycam.identity.key_use import KeyUse


def test_a_use_is_due_at_once_and_again_after_a_minute() -> None:
    use = KeyUse()
    assert use.due(100.0) == {}
    use.used("key_a", 100.0)
    use.used("key_a", 100.5)
    assert use.due(101.0) == {"key_a": 100.5}
    use.written({"key_a": 100.5}, 101.0)
    assert use.due(101.0) == {}
    use.used("key_a", 102.0)
    assert use.due(160.9) == {}
    assert use.due(161.0) == {"key_a": 102.0}


def test_each_key_has_its_own_minute() -> None:
    use = KeyUse()
    use.used("key_a", 100.0)
    use.written(use.due(100.0), 100.0)
    use.used("key_a", 130.0)
    use.used("key_b", 130.0)
    assert use.due(131.0) == {"key_b": 130.0}


def test_a_use_while_the_one_before_is_written_is_not_forgotten() -> None:
    use = KeyUse()
    use.used("key_a", 100.0)
    being_written = use.due(100.0)
    use.used("key_a", 100.2)
    use.written(being_written, 100.3)
    assert use.due(160.3) == {"key_a": 100.2}


def test_what_could_not_be_written_stays_due() -> None:
    use = KeyUse()
    use.used("key_a", 100.0)
    assert use.due(100.0) == use.due(105.0) == {"key_a": 100.0}
