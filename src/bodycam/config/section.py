"""What every section of the settings shares."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A frozen part of the settings; unknown keys are refused and defaults go through the same checks."""

    # built at the first use: that is of the whole tree, so its parts need not be built one by one before
    model_config = ConfigDict(
        defer_build=True, frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True
    )


def written(text: str) -> Any:
    """A default as it would stand in the file; it is parsed like a value that does."""
    return text


def absent() -> Any:
    """A section that is not in the file, to be checked as if it stood there empty.

    Paths need this: made by the class alone they would not start at the file's folder.
    """
    return {}
