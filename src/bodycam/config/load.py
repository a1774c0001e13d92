"""From a file to the settings tree: whole, or with every problem named by file, line and key."""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bodycam.config.crossings import Finding, findings
from bodycam.config.document import MAX_SIZE, Document, DocumentError, read
from bodycam.config.problem import Problem, SettingsError
from bodycam.config.settings import Settings
from bodycam.config.wants import unwanted
from bodycam.config.wording import expected, key_text
from bodycam.model.target import TargetWants

Check = Callable[[Settings], Iterable[Finding]]
"""Finds what is wrong with settings that are whole in form, such as a rule that can't be compiled."""


def load(
    path: Path, *, protocols: Mapping[str, TargetWants] | None = None, checks: Collection[Check] = ()
) -> Settings:
    """Read a settings file; relative paths in it start at its folder.

    `protocols` are those that may stand in `listen` and in a target's `protocol`, by their names, each with
    what it makes of a target's settings; None takes any.
    `checks` are asked of settings that are whole in form.

    Raises:
        SettingsError: the file can't be read or is wrong, with every problem in it.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_SIZE + 1)
        text = data.decode("utf-8")
    except OSError as error:
        problem = Problem(
            str(path), 0, "", f"expected a settings file: {error.strerror}; `bodycam init` writes one"
        )
        raise SettingsError([problem]) from error
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise SettingsError([Problem(str(path), line, "", "expected UTF-8 text")]) from error
    return parse(text, file=str(path), folder=path.absolute().parent, protocols=protocols, checks=checks)


def parse(
    text: str,
    *,
    file: str,
    folder: Path,
    protocols: Mapping[str, TargetWants] | None = None,
    checks: Collection[Check] = (),
) -> Settings:
    """Read settings from text; `file` is only for the errors, `folder` is where relative paths start.

    Raises:
        SettingsError: the text is wrong, with every problem in it.
    """
    try:
        document = read(text)
    except DocumentError as error:
        raise SettingsError([Problem(file, f.line, f.key, f.message) for f in error.faults]) from error
    if not isinstance(document.value, Mapping | None):
        raise SettingsError([Problem(file, 1, "", "expected a map of settings at the top of the file")])
    # a section whose lines are all commented out is as good as absent
    plain = {key: value for key, value in (document.value or {}).items() if value is not None}
    context = {"folder": folder, "protocols": None if protocols is None else dict(protocols)}
    settings, problems = _validated(plain, context, document, file)
    if settings is not None and not problems:
        problems = [
            Problem(file, document.line(path), key_text(path), message)
            for check in checks
            for path, message in check(settings)
        ]
    if settings is None or problems:
        raise SettingsError(sorted(set(problems), key=lambda problem: (problem.line, problem.key)))
    return settings


def snapshot(settings: Settings) -> bytes:
    """The settings as the gateway's processes hand them on: JSON with absolute paths, without any secret.

    Passwords are not in it because they are not in the tree, which only says where they come from.
    """
    return settings.model_dump_json().encode()


def from_snapshot(data: bytes) -> Settings:
    """The settings that `snapshot` wrote.

    Raises:
        ValueError: the bytes are not a snapshot of this version.
    """
    return Settings.model_validate(json.loads(data))


def _validated(
    plain: dict[str, Any], context: Mapping[str, Any], document: Document, file: str
) -> tuple[Settings | None, list[Problem]]:
    problems = [
        Problem(file, document.line(("listen", name)), f"listen.{name}", _unknown_listener(context))
        for name in _unknown_listeners(plain, context)
    ]
    try:
        settings = Settings.model_validate(plain, context=dict(context))
    except ValidationError as error:
        problems += _problems(error, document, file)
        broken = frozenset(str(finding["loc"][0]) for finding in error.errors() if finding["loc"])
        intact = {key: value for key, value in plain.items() if key not in broken}
        try:
            rest = Settings.model_validate(intact, context=dict(context))
        except ValidationError:
            return None, problems
        return None, problems + _crossed(rest, context, document, file, broken)
    return settings, problems + _crossed(settings, context, document, file, frozenset())


def _problems(error: ValidationError, document: Document, file: str) -> Iterator[Problem]:
    for finding in error.errors(include_url=False, include_input=False):
        kind, path = finding["type"], tuple(step for step in finding["loc"] if step != "[key]")
        if kind == "default_factory_not_called":
            continue  # it follows from another problem, which is reported
        message = expected(path, kind, finding.get("ctx", {}), finding["msg"])
        yield Problem(file, document.line(path), key_text(path), message)


def _crossed(
    settings: Settings, context: Mapping[str, Any], document: Document, file: str, broken: frozenset[str]
) -> list[Problem]:
    found = [*findings(settings, broken), *unwanted(settings, context["protocols"] or {})]
    return [Problem(file, document.line(path), key_text(path), message) for path, message in found]


def _unknown_listeners(plain: Mapping[str, Any], context: Mapping[str, Any]) -> list[str]:
    listen, known = plain.get("listen"), context["protocols"]
    if known is None or not isinstance(listen, Mapping):
        return []
    return [str(name) for name in listen if name != "control" and name not in known]


def _unknown_listener(context: Mapping[str, Any]) -> str:
    return f"expected control or a protocol of this version: {', '.join(sorted(context['protocols']))}"
