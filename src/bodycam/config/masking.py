"""Settings of masking: which data is taken out of results and records, and how."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from bodycam.config.matching import checked_path, checked_pattern
from bodycam.config.people import TargetSelector
from bodycam.config.section import Section
from bodycam.config.types import Text

_COLUMN = re.compile(r"(?:[^.\s]+\.){1,2}[^.\s]+\Z")


class Then(StrEnum):
    """What becomes of a value."""

    REDACT = "redact"
    PARTIAL = "partial"
    NULL = "null"


class Audience(StrEnum):
    """For whom a value is masked."""

    BOTH = "both"
    RECORD = "record"


def _column(value: str) -> str:
    if not _COLUMN.match(value):
        raise ValueError("expected table.column or schema.table.column, where * stands for any letters")
    return value


def _yaml_null(value: object) -> object:
    # YAML's null is no text, and here it is meant as one
    return Then.NULL if value is None else value


ColumnName = Annotated[Text, AfterValidator(_column)]
JsonPath = Annotated[Text, AfterValidator(checked_path)]
Pattern = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(checked_pattern)]


class Detector(Section):
    """A detector of your own."""

    pattern: Pattern = Field(
        description="A regular expression of RE2; its first group, if it has one, is what is masked."
    )
    secret: bool = Field(
        default=False,
        description="Whether it finds keys or tokens: those of enough randomness get a keyed fingerprint.",
    )


class Unless(Section):
    """What an entry leaves alone."""

    columns: tuple[ColumnName, ...] = Field(
        default=(), description="Columns that the entry leaves alone, named as in `columns`."
    )
    targets: TargetSelector | None = Field(default=None, description="Targets that the entry leaves alone.")


class Mask(Section):
    """One entry: all that it names is masked at the targets that it is for."""

    model_config = ConfigDict(serialize_by_alias=True)

    detect: tuple[Text, ...] = Field(
        default=(), description="Detectors or groups of them: `secrets`, `pii`, `pii.card`, `secrets.aws`."
    )
    columns: tuple[ColumnName, ...] = Field(
        default=(),
        description="Columns as `table.column` or `schema.table.column`; `*` stands for any letters.",
    )
    json_paths: tuple[JsonPath, ...] = Field(
        default=(),
        alias="json",
        description="Paths in json and jsonb values, such as `$.customer.cards[*].number`.",
    )
    then: Annotated[Then, BeforeValidator(_yaml_null)] = Field(
        default=Then.REDACT,
        description="`redact`: a mask in its place; `partial`: a mask that shows a part; `null`: no value.",
    )
    mask: Audience = Field(
        default=Audience.BOTH,
        description="`both`: neither clients nor records get the value; `record`: only clients do.",
    )
    targets: TargetSelector | None = Field(
        default=None, description="The targets that it is for; absent: every target."
    )
    unless: Unless | None = Field(default=None, description="What it leaves alone.")

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not (self.detect or self.columns or self.json_paths):
            raise ValueError("expected detect, columns, json or several of them")
        return self


class Captured(StrEnum):
    """Whether something is kept in the record."""

    FULL = "full"
    NONE = "none"


class Capture(Section):
    """What of a target's data is kept in recordings at all."""

    rows: Captured = Field(
        default=Captured.FULL, description="`full`, or `none`: no rows and no COPY data in the record."
    )
    parameters: Captured = Field(
        default=Captured.FULL, description="`full`, or `none`: no parameter values in the record."
    )
    bodies: Captured = Field(
        default=Captured.FULL, description="`full`, or `none`: of bodies only size and SHA-256 in the record."
    )
    body_size: int = Field(
        default=1 << 20,
        ge=0,
        le=1 << 30,
        description="Bytes of one body that are recorded; of a longer one also the size and SHA-256 of all.",
    )


Detectors = Mapping[str, Detector]
