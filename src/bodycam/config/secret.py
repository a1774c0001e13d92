"""Where a password comes from: never from the settings file itself."""

from typing import Any, Self

from pydantic import Field, model_validator

from bodycam.config.section import Section
from bodycam.config.types import FilePath, Text


class SecretSource(Section):
    """A reference to a secret: an environment variable, a file, or a command's first line of output."""

    env: Text | None = Field(
        default=None, description="The environment variable of the gateway that holds it."
    )
    file: FilePath | None = Field(
        default=None, description="A file whose first line it is, readable by its owner only."
    )
    command: tuple[Text, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=64,
        description="A program and its arguments (no shell), the first line of whose output it is.",
    )

    @model_validator(mode="before")
    @classmethod
    def _no_literal(cls, value: Any) -> Any:
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            raise ValueError(
                "a literal password is refused; expected {env: NAME}, {file: PATH} "
                "or {command: [PROGRAM, ...]}"
            )
        return value

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum(source is not None for source in (self.env, self.file, self.command)) != 1:
            raise ValueError("expected exactly one of env, file and command")
        return self
