"""The shape of a statement: its text with another number in the place of each plain one.

An application sends the same statement with a thousand keys; the facts of all of them are those of their
shape, so that it is parsed once. Only where that is plain from the characters alone: whoever widens this has
`tests/unit/policy/sql/test_shape.py` to convince.
"""

import re
from typing import Final

from bodycam.policy.sql.facts import SqlFacts

LONGEST: Final = 2048
"""Characters of a text that has a shape; what is longer hardly comes twice."""

# Up to nine digits are an integer to the grammar wherever they stand; with a letter, a dot or part of another
# number beside them they are part of something else.
_NUMBER: Final = re.compile(r"(?<![A-Za-z0-9_.])[0-9]{1,9}(?![A-Za-z0-9_.])")

# these read and write rows, and nothing that they do is told by a number
_BEGINS: Final = re.compile(r"\s*(?:select|insert|update|delete|with)\s", re.IGNORECASE)


def shape(text: str) -> str | None:
    """The text whose facts are this one's as well, unless `tells` says otherwise; None where it has none.

    What may hold a digit that is no number is passed by: constants, quoted names, comments, parameters, and
    letters that are not ASCII. `float` is the one type of which the grammar itself looks at the number.
    """
    if len(text) > LONGEST or not text.isascii():
        return None
    if "'" in text or '"' in text or "$" in text or "\\" in text or "?" in text:
        return None
    if "--" in text or "/*" in text or "float" in text.lower():
        return None
    last = text.find(";")
    if (last >= 0 and text[last + 1 :].strip()) or _BEGINS.match(text) is None:
        return None
    return _NUMBER.sub("1", text)


def tells(facts: SqlFacts) -> bool:
    """Whether the facts of a shape are those of every text that has it.

    A number can be a setting's value or a text that is run; and what can't be told is looked at itself.
    """
    return not (
        facts.unknown
        or facts.dynamic
        or facts.settings
        or facts.roles
        or facts.prepares
        or facts.executes
        or facts.deallocates
        or facts.copy_options
        or facts.objects
    )
