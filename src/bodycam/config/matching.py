"""Checks patterns and paths of the settings: they can be compiled, and stay cheap whatever the text."""

import re

# in RE2's own measure, about one instruction for each character of a plain pattern
MOST_INSTRUCTIONS = 5_000
_MEMORY = 1 << 20
MOST_STEPS = 32
_STEP = re.compile(
    r"(?P<deep>\.\.)?(?:\.?(?P<name>(?<=\.)[A-Za-z_\u0080-\uffff][\w\u0080-\uffff-]*)"
    r"|\.?(?P<any>(?<=\.)\*)|\[(?:(?P<every>\*)|(?P<index>0|[1-9][0-9]{0,6})"
    r"|'(?P<single>[^'\\]*)'|\"(?P<double>[^\"\\]*)\")\])"
)

Step = tuple[bool, str | int | None]
"""Whether it is looked for at any depth; a key, an index, or None for every child."""


def checked_pattern(value: str) -> str:
    """A regular expression that RE2 takes, that matches something and is of a bounded size.

    Raises:
        ValueError: it is not; the message says what was expected.
    """
    # only settings with patterns of their own need these two, and every command reads settings
    import hyperscan
    import re2

    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.log_errors = False
    options.max_mem = _MEMORY
    try:
        pattern = value.encode()
        compiled = re2.compile(pattern, options)
    except (re2.error, UnicodeEncodeError) as error:
        why = error.args[0] if error.args and isinstance(error, re2.error) else b"not UTF-8"
        said = why.decode("latin-1") if isinstance(why, bytes) else str(why)
        # what follows the colon repeats the pattern
        raise ValueError(
            f"expected a regular expression of RE2 of moderate size ({said.partition(':')[0]})"
        ) from None
    if compiled.programsize > MOST_INSTRUCTIONS:
        raise ValueError("expected a smaller regular expression: its repetitions make it too large")
    if compiled.search(b"") is not None:
        raise ValueError("expected a regular expression that doesn't match an empty text")
    try:
        hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK).compile(
            expressions=[pattern], ids=[0], flags=hyperscan.HS_FLAG_SINGLEMATCH | hyperscan.HS_FLAG_MULTILINE
        )
    except hyperscan.error:
        raise ValueError(
            "expected a regular expression that hyperscan takes too: without its rarer forms, and smaller"
        ) from None
    return value


def path_steps(value: str) -> list[Step]:
    """The steps of a JSON path: the part of RFC 9535 that names children and not conditions.

    That is `.name`, `['name']`, `[0]`, `[*]`, `.*`, and each behind `..` for any depth.

    Raises:
        ValueError: it is none of that.
    """
    steps: list[Step] = []
    position = 1
    if not value.startswith("$") or len(value) == 1:
        raise ValueError("expected a path from the root, such as $.customer.cards[*].number")
    while position < len(value):
        match = _STEP.match(value, position)
        if match is None or len(steps) == MOST_STEPS:
            raise ValueError(
                "expected a path of .name, ['name'], [0], [*] and .. alone, of at most "
                f"{MOST_STEPS} steps; conditions and slices are not in this version"
            )
        deep = match["deep"] is not None
        if match["index"] is not None:
            steps.append((deep, int(match["index"])))
        else:
            names = (match["name"], match["single"], match["double"])
            steps.append((deep, next((name for name in names if name is not None), None)))
        position = match.end()
    return steps


def checked_path(value: str) -> str:
    """A JSON path that `path_steps` takes.

    Raises:
        ValueError: it is not one.
    """
    path_steps(value)
    return value
