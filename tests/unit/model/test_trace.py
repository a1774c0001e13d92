"""What is a traceparent, and what only looks like one."""

import pytest

from bodycam.model.trace import TraceParent, trace_parent

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
GOOD = f"00-{TRACE}-{SPAN}-01"


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        (GOOD, 1),
        (f"00-{TRACE}-{SPAN}-00", 0),
        (f"00-{TRACE}-{SPAN}-ff", 255),
        # of a later version what this one knows
        (f"01-{TRACE}-{SPAN}-01", 1),
        (f"cc-{TRACE}-{SPAN}-ff", 1),
        (f"cc-{TRACE}-{SPAN}-01-what-comes.then", 1),
    ],
)
def test_what_it_says(text: str, flags: int) -> None:
    assert trace_parent(text) == TraceParent(TRACE, SPAN, flags)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00",
        GOOD.upper(),
        f" {GOOD}",
        f"{GOOD} ",
        f"{GOOD}\n",
        f"{GOOD}-",
        f"{GOOD}-more",
        f"{GOOD},{GOOD}",
        f"ff-{TRACE}-{SPAN}-01",
        f"cc-{TRACE}-{SPAN}-01.then",
        f"cc-{TRACE}-{SPAN}-01-\x00",
        f"cc-{TRACE}-{SPAN}-01-" + "x" * 401,
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[1:]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}0-01",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE[:-1]}g-{SPAN}-01",
        f"00-{TRACE[:-1]}\u0661-{SPAN}-01",
        f"00_{TRACE}_{SPAN}_01",
    ],
)
def test_what_receivers_ignore(text: str) -> None:
    assert trace_parent(text) is None


def test_it_is_written_as_version_00() -> None:
    parent = trace_parent(f"cc-{TRACE}-{SPAN}-01-then")
    assert str(parent) == GOOD
