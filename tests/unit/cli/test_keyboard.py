import pytest

from bodycam.cli.keyboard import Key, first_key


@pytest.mark.parametrize(
    ("typed", "keys"),
    [
        (b"q", [Key.QUIT]),
        (b"\x1b[C\x1b[C\x1b[D", [Key.FORWARD, Key.FORWARD, Key.BACK]),
        (b"++ -", [Key.FASTER, Key.FASTER, Key.PAUSE, Key.SLOWER]),
        (b"\x1bOC\x03", [Key.FORWARD, Key.QUIT]),
        (b"x+", [None, Key.FASTER]),
        (b"\x1b[1;5C+", [None, Key.FASTER]),  # control and an arrow
        (b"\x1bq+", [None, Key.FASTER]),  # alt and q
        (b"\x1b[", [None]),
        (b"\xc3\xbc\n", [None, None, None]),
    ],
)
def test_keys_that_come_together_are_taken_one_by_one(typed: bytes, keys: list[Key | None]) -> None:
    found = []
    while typed:
        key, typed = first_key(typed)
        found.append(key)
    assert found == keys
