"""How COPY writes its rows, by the options of its statement.

https://www.postgresql.org/docs/current/sql-copy.html
"""

from typing import Final

from bodycam.policy.masking.copied import CopyFormat
from bodycam.policy.sql.facts import SqlFacts

# what changes nothing in how rows are written out
_INDIFFERENT: Final = frozenset(
    {"default", "force_not_null", "force_null", "force_quote", "freeze", "log_verbosity", "on_error",
     "reject_limit"}
)  # fmt: skip
# what defGetBoolean of the server takes for false; `match` is for reading
_OFF: Final = frozenset({"false", "off", "0"})


def copy_format(facts: SqlFacts | None) -> CopyFormat | None:
    """The form of the rows that a statement copies out in text; None where it can't be told for certain."""
    if facts is None or facts.unknown or facts.statements != 1 or facts.kinds[:1] != ("copy",):
        return None
    options = dict(facts.copy_options)
    if len(options) != len(facts.copy_options):
        # the same option twice: of two statements that may run under one name
        return None
    csv, header = False, False
    signs: dict[str, bytes] = {}
    for name, value in options.items():
        match name:
            case "format" if value in ("text", "csv"):
                csv = value == "csv"
            case "header":
                header = value.lower() not in _OFF
            case "delimiter" | "quote" | "escape" | "null":
                signs[name] = value.encode()
            case _ if name not in _INDIFFERENT:
                return None
    if any(len(signs[name]) != 1 for name in ("delimiter", "quote", "escape") if name in signs):
        return None
    return CopyFormat(
        csv=csv,
        header=header,
        delimiter=signs.get("delimiter", b""),
        null=signs.get("null"),
        quote=signs.get("quote", b'"'),
        escape=signs.get("escape", b""),
    )
