"""Settings of the way in for the day on which an identity provider is away."""

from typing import Self

from pydantic import Field, model_validator

from bodycam.config.section import Section, written
from bodycam.config.types import Duration, Name


class BreakGlass(Section):
    """One account of the gateway's own that is good for nothing until it is needed."""

    enabled: bool = Field(default=False, description="Whether the account's keys are taken at present.")
    account: Name | None = Field(
        default=None, description="The account, made by `bodycam accounts create`; absent: none is kept back."
    )
    max_ttl: Duration = Field(
        default=written("30m"),
        description="How long a run that it starts may last in all, renewals included.",
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.enabled and self.account is None:
            raise ValueError("expected account: whose keys are to be taken")
        if not 10 <= self.max_ttl <= 86400:
            raise ValueError("expected a max_ttl from 10s to 24h")
        return self
