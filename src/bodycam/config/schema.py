"""The settings' JSON Schema, for editors, `config schema`, and the error that lists what belongs here."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from bodycam.config.settings import Settings

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a settings file, as a fresh plain value."""
    return {"$schema": _DIALECT, "title": "Bodycam settings", **_without_title()}


def _without_title() -> dict[str, Any]:
    plain = Settings.model_json_schema(mode="validation")
    plain.pop("title", None)
    catalog = plain["$defs"]["Catalog"]
    plain["$defs"]["Catalog"] = {"anyOf": [{"type": "string"}, catalog]}
    return plain


@cache
def _plain() -> dict[str, Any]:
    return Settings.model_json_schema(mode="validation")


def keys_at(path: Sequence[str | int]) -> tuple[str, ...]:
    """The keys that belong into the section that `path` leads to; empty when it is no section."""
    node = _plain()
    for step in path:
        node = _resolve(_step(node, step))
    return tuple(node.get("properties", {}))


def _step(node: Mapping[str, Any], step: str | int) -> Mapping[str, Any]:
    if isinstance(step, int):
        found = node.get("items", {})
    else:
        found = node.get("properties", {}).get(step)
        if found is None:
            found = node.get("additionalProperties") or next(
                iter(node.get("patternProperties", {}).values()), {}
            )
    return found if isinstance(found, Mapping) else {}


def _resolve(node: Mapping[str, Any]) -> dict[str, Any]:
    for branch in node.get("anyOf", ()):
        if branch.get("type") != "null":
            return _resolve(branch)
    reference = node.get("$ref")
    return dict(node) if reference is None else dict(_plain()["$defs"][reference.rpartition("/")[2]])
