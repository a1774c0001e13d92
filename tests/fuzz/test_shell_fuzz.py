"""Any text as a command line has facts, or a reason why it can't be told; nothing is raised, nothing is lost."""

from pathlib import Path

import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bodycam.policy.shell.analysis import analyse
from bodycam.policy.shell.facts import FACTS
from bodycam.policy.shell.reasons import PARSER_FAILED

TABLES = Path(__file__).parents[1] / "unit" / "policy" / "shell" / "tables"
LINES = [
    case["text"] for table in sorted(TABLES.glob("*.yaml")) for case in yaml.safe_load(table.read_text())
]
KNOWN = [line for line in LINES if not analyse(line).unknown and analyse(line).programs]
PIECES = [
    *"'\"\\$`;|&<>#()[]{}!*?~= \n\t\0\r",
    "$(",
    "${",
    "$((",
    "))",
    "<<",
    "<<<",
    "<(",
    "$'",
    "\\\n",
    "é",
    "\udcff",
]

line = st.sampled_from(LINES)


def told(text: str) -> None:
    facts = analyse(text)
    assert PARSER_FAILED not in facts.unknown, text
    for name in FACTS:
        value = getattr(facts, name)
        # what is told can be written anywhere
        assert isinstance(value, bool) or all(one.encode() is not None for one in value)


@settings(max_examples=500, deadline=None)
@given(st.text(st.characters(), max_size=200))
@example("\x00")
@example("\udc80")
@example("")
def test_any_text(text: str) -> None:
    told(text)


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_as_they_come_from_a_client(data: bytes) -> None:
    told(data.decode("utf-8", "surrogateescape"))


@settings(max_examples=800, deadline=None)
@given(
    st.lists(
        st.sampled_from([*PIECES, "a", "rm", "sh -c ", "eval ", "EOF", "if ", "then ", "fi", "do ", "in "]),
        max_size=30,
    )
)
def test_any_signs_and_words(words: list[str]) -> None:
    told("".join(words))


@settings(max_examples=800, deadline=None)
@given(line, st.integers(0, 300), st.integers(0, 4), st.sampled_from(PIECES) | st.just(""))
def test_a_line_with_something_put_in_or_cut_out(text: str, at: int, long: int, put: str) -> None:
    told(text[:at] + put + text[at + long :])


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(KNOWN), st.sampled_from(KNOWN), st.sampled_from(["\n", "\n\n", "\n#x\n", "\n:;"]))
def test_two_lines_have_the_facts_of_both(first: str, second: str, between: str) -> None:
    one, two, both = analyse(first), analyse(second), analyse(first + between + second)
    if both.unknown:
        return
    for name in FACTS:
        mine, theirs = getattr(one, name), getattr(two, name)
        if isinstance(mine, bool):
            assert getattr(both, name) == (mine or theirs)
        else:
            assert set(getattr(both, name)) - {":"} == {*mine, *theirs} - {":"}, name


@settings(max_examples=500, deadline=None)
@given(
    st.sampled_from(KNOWN),
    st.sampled_from(
        ["({})", "if x; then {}\nfi", "f() {{ {}\n}}", "echo $({})", "sudo sh <<'_END_'\n{}\n_END_"]
    ),
)
def test_what_is_round_a_line_hides_nothing_of_it(text: str, frame: str) -> None:
    inner, outer = analyse(text), analyse(frame.format(text))
    if outer.unknown:
        return
    for name in ("programs", "argv", "reads", "writes", "deletes", "pipes", "sudo", "interpreters"):
        assert set(getattr(outer, name)) >= set(getattr(inner, name)), name
