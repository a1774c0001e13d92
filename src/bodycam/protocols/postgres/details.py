"""What the index keeps of a PostgreSQL exchange: the command that was done, and the trace that it claims."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

from bodycam.model.operation import Fact
from bodycam.model.trace import TraceParent, trace_parent

COMMAND: Final = "sql.command"

# https://google.github.io/sqlcommenter/spec/: a comment at the statement's end, of key='value' with commas
_COMMENT = re.compile(r"/\*([^*]*)\*/[\s;]*\Z")
_CLAIM = re.compile(r"(?:\A|,)\s*traceparent='([^']{1,600})'\s*(?=,|\Z)")


def claimed(text: str) -> TraceParent | None:
    """The trace that the comment of a statement claims, as sqlcommenter writes it."""
    if "traceparent=" not in text:
        return None
    comment = _COMMENT.search(text, max(0, len(text) - 4096))
    if comment is None:
        return None
    found = _CLAIM.findall(comment.group(1))
    return trace_parent(unquote(found[0])) if len(found) == 1 else None


@lru_cache(maxsize=4096)
def kept(tag: str | None) -> Mapping[str, Fact]:
    """The command in the tag of a CommandComplete message, without its counts; nothing for several."""
    if not tag or ";" in tag:
        return {}
    words = [word for word in tag.split(" ") if not word.isdecimal()]
    return {COMMAND: " ".join(words)[:64]} if words else {}
