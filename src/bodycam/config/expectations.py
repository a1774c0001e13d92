"""The file of `bodycam policy test`: operations, and what a policy is expected to say of each."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Self

from pydantic import Field, ValidationError, model_validator

from bodycam.config.document import DocumentError, read
from bodycam.config.problem import Problem, SettingsError
from bodycam.config.section import Section
from bodycam.config.types import Name, Text
from bodycam.config.wording import expected, key_text


class Expected(StrEnum):
    """What may be expected."""

    ALLOW = "allow"
    DENY = "deny"
    REQUIRE_APPROVAL = "require_approval"
    ALERT = "alert"


class Starter(Section):
    """Who is to have started the run."""

    subject: Text = "somebody"
    issuer: Text = "bodycam"
    service: bool = False
    groups: tuple[Text, ...] = ()


class ExpectedOperation(Section):
    """One operation; those with the same `session` are judged as one session's, in their order."""

    agent: Name
    target: Name
    text: str
    expect: Expected
    rule: Name | None = None
    verb: Name = "query"
    parameters: tuple[str | None, ...] = ()
    facts: Mapping[str, str | int | bool | tuple[str, ...]] = Field(default_factory=dict)
    database: str = ""
    session: Text | None = None
    starter: Starter = Field(default_factory=Starter)
    labels: Mapping[str, str] = Field(default_factory=dict)
    rows_before: int = Field(default=0, ge=0)
    at: Text | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.expect is Expected.ALERT and self.rule is None:
            raise ValueError("expected rule, the one that is to alert")
        return self


class _File(Section):
    operations: tuple[ExpectedOperation, ...] = Field(min_length=1)


def load_expectations(path: Path) -> list[tuple[int, ExpectedOperation]]:
    """The operations of a file, each with the line that it begins in.

    Raises:
        SettingsError: the file can't be read or is wrong, with every problem in it.
    """
    try:
        document = read(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([Problem(str(path), 0, "", f"expected a file of operations: {error}")]) from error
    except DocumentError as error:
        raise SettingsError(
            [Problem(str(path), one.line, one.key, one.message) for one in error.faults]
        ) from error
    try:
        file = _File.model_validate(document.value)
    except ValidationError as error:
        raise SettingsError(
            [
                Problem(
                    str(path),
                    document.line(finding["loc"]),
                    key_text(finding["loc"]),
                    expected(finding["loc"], finding["type"], finding.get("ctx", {}), finding["msg"]),
                )
                for finding in error.errors(include_url=False, include_input=False)
            ]
        ) from error
    return [(document.line(("operations", place)), one) for place, one in enumerate(file.operations)]
