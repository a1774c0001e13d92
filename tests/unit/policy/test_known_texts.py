"""Facts are made once for each text, and what is kept is bounded."""

from bodycam.policy.known_texts import KnownTexts


def texts(*, max_count: int = 100, max_characters: int = 1_000, max_text: int = 100) -> KnownTexts[list[str]]:
    return KnownTexts(str.split, max_count=max_count, max_characters=max_characters, max_text=max_text)


def facts(known: KnownTexts[list[str]], text: str) -> list[str]:
    found = known.known(text)
    return known.analysed(text) if found is None else found


def test_a_text_is_analysed_once() -> None:
    known = texts()
    first = facts(known, "ls a")
    assert first == ["ls", "a"]
    assert facts(known, "ls a") is first
    assert facts(known, "ls b") is not first
    assert (known.hits, known.misses) == (1, 2)
    assert known.seconds > 0


def test_the_longest_unused_goes_first() -> None:
    known = texts(max_count=2)
    kept = facts(known, "a")
    facts(known, "bb")
    facts(known, "a")
    facts(known, "cc")
    assert known.kept == (2, 3)
    assert facts(known, "a") is kept
    facts(known, "bb")
    assert known.misses == 4


def test_what_is_kept_is_bounded_by_size_and_a_long_text_pushes_nothing_out() -> None:
    known = texts(max_characters=20, max_text=10)
    for number in range(50):
        facts(known, f"ls a{number:02}")
    assert known.kept == (3, 18)
    assert len(facts(known, "ls a b c d e f g")) == 8
    assert known.kept == (3, 18)
