"""Why the effect of a command line can't be told."""

from typing import Final

DOES_NOT_PARSE: Final = "does not parse"
TOO_LARGE: Final = "too large"
TOO_DEEP: Final = "too deep"
INVALID_CHARACTERS: Final = "invalid characters"
PROGRAM_EXPANDED: Final = "program from an expansion"
OPTIONS_UNCLEAR: Final = "unclear options"
SCRIPT_IS_DATA: Final = "script is data"
HIDDEN_CODE: Final = "code in a value"
ALIAS: Final = "alias"
TWO_READINGS: Final = "two readings"
READING_CHANGED: Final = "reading changed"
PARSER_FAILED: Final = "parser failed"


class Refused(Exception):
    """Nothing more of a text can be told; the argument is the reason."""


class Unclear(Exception):
    """What one command does can't be told, and the rest can; the argument is the reason."""
