"""What every section of the settings shares."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A frozen part of the settings; unknown keys are refused and defaults go through the same checks."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True)


def written(text: str) -> Any:
    """A default as it would stand in the file; it is parsed like a value that does."""
    return text
