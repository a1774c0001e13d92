"""The file of `bodycam leaks --hunt`: what to look for in recordings."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

from pydantic import Field, ValidationError, model_validator

from bodycam.config.crossings import reserved
from bodycam.config.document import MAX_SIZE, Document, DocumentError, read
from bodycam.config.masking import Detector
from bodycam.config.problem import Problem, SettingsError
from bodycam.config.section import Section
from bodycam.config.types import Name, Text
from bodycam.config.wording import expected, key_text

Unknown = Callable[[str], str | None]
"""What is wrong with the name of a detector; None if there is one."""


class HuntRules(Section):
    """Detectors and groups by their names, and detectors of one's own, all of which are looked for."""

    detect: tuple[Text, ...] = ()
    detectors: Mapping[Name, Detector] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.detect and not self.detectors:
            raise ValueError("expected detect, detectors or both")
        return self


def load_hunt(path: Path, declared: Mapping[str, Detector], unknown: Unknown) -> HuntRules:
    """The rules of a file; `declared` are the settings' own detectors, which `detect` may name too.

    Raises:
        SettingsError: the file can't be read or is wrong, with every problem in it.
    """
    try:
        with path.open("rb") as file:
            document = read(file.read(MAX_SIZE + 1).decode("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingsError([Problem(str(path), 0, "", f"expected a file of detectors: {why}")]) from error
    except DocumentError as error:
        faults = [Problem(str(path), one.line, one.key, one.message) for one in error.faults]
        raise SettingsError(faults) from error
    if not isinstance(document.value, Mapping):
        raise SettingsError([Problem(str(path), 1, "", "expected a map with detect, detectors or both")])
    try:
        rules = HuntRules.model_validate(document.value)
    except ValidationError as error:
        raise SettingsError(_problems(error, document, path)) from error
    problems = [
        Problem(str(path), document.line(("detectors", name)), f"detectors.{name}", wrong)
        for name in rules.detectors
        if (wrong := reserved(name)) is not None
    ]
    for place, name in enumerate(rules.detect):
        if name not in rules.detectors and name not in declared and (wrong := unknown(name)) is not None:
            line = document.line(("detect", place))
            problems.append(Problem(str(path), line, f"detect[{place}]", wrong))
    if problems:
        raise SettingsError(sorted(problems, key=lambda one: (one.line, one.key)))
    return rules


def _problems(error: ValidationError, document: Document, path: Path) -> list[Problem]:
    found = []
    for finding in error.errors(include_url=False, include_input=False):
        place = tuple(step for step in finding["loc"] if step != "[key]")
        if finding["type"] == "extra_forbidden":
            known = HuntRules.model_fields if len(place) == 1 else Detector.model_fields
            said = f"no such key; expected one of {', '.join(known)}"
        else:
            said = expected(place, finding["type"], finding.get("ctx", {}), finding["msg"])
        found.append(Problem(str(path), document.line(place), key_text(place), said))
    return sorted(found, key=lambda one: (one.line, one.key))
