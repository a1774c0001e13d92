"""Pydantic's findings in the words of a settings file: what was expected, never what was found."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from bodycam.config.schema import keys_at

_EXPECTED = {
    "string_type": "expected text; numbers, yes, no, on and off need quotes",
    "int_type": "expected a whole number",
    "int_parsing": "expected a whole number",
    "int_from_float": "expected a whole number",
    "bool_type": "expected true or false",
    "bool_parsing": "expected true or false",
    "model_type": "expected a map of settings",
    "dict_type": "expected a map",
    "mapping_type": "expected a map",
    "list_type": "expected a list",
    "tuple_type": "expected a list",
    "string_pattern_mismatch": "expected a name of letters, digits, '.', '_' and '-', at most 63 characters",
    "string_too_short": "expected text that is not empty",
    "string_too_long": "expected at most {max_length} characters",
    "greater_than_equal": "expected at least {ge}",
    "less_than_equal": "expected at most {le}",
    "enum": "expected {expected}",
    "too_short": "expected at least {min_length} in the list",
    "too_long": "expected at most {max_length} in the list",
}


def key_text(path: Sequence[str | int]) -> str:
    """A path as people write it: `access[0].targets.names[1]`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def expected(path: Sequence[str | int], kind: str, context: Mapping[str, Any], fallback: str) -> str:
    """What to say of one finding of pydantic at `path`."""
    if kind == "missing":
        return "this key is missing and has no default"
    if kind == "extra_forbidden":
        return unknown_key(path)
    if kind in ("value_error", "assertion_error") and "error" in context:
        return str(context["error"])
    template = _EXPECTED.get(kind)
    return fallback if template is None else template.format(**context)


def unknown_key(path: Sequence[str | int]) -> str:
    """What to say of a key that no section has."""
    known = keys_at(path[:-1])
    close = difflib.get_close_matches(str(path[-1]), known, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return f"no such setting{hint}; expected one of {', '.join(known)}" if known else "no such setting"
