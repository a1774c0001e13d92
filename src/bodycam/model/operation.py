"""What a client asks for, in plain facts that no protocol's wire shows through."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Parameter:
    """One value handed over beside the text.

    `type` is the protocol's own number or name of the type, `format` its encoding there (for PostgreSQL an
    OID, and 0 text or 1 binary); `value` is None for NULL. The protocol's transcript decodes it for people.
    """

    type: int
    format: int
    value: bytes | None


class Weight(StrEnum):
    """Whether a person looking for what happened wants to see it listed."""

    STATEMENT = "statement"
    ASIDE = "aside"  # a connection's own housekeeping: logging in, preparing, closing


@dataclass(frozen=True, slots=True)
class Operation:
    """One request of a client, as policy judges it and as the record keeps it.

    `verb` is the protocol's word for it (`query`, `prepare`, `execute`, ...), `text` what was asked in the
    client's own words, `facts` what else the protocol knows of it (names, sizes), as plain values.
    """

    verb: str
    text: str
    parameters: tuple[Parameter, ...] = ()
    facts: Mapping[str, str | int | bool] = field(default_factory=dict)
    weight: Weight = Weight.STATEMENT
