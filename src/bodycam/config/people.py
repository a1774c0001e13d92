"""Settings of who may do what: credentials, roles, agents, access."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from bodycam.config.break_glass import BreakGlass
from bodycam.config.providers import MAX_PROVIDERS, Provider, ProviderKind, ProviderType
from bodycam.config.section import Section, written
from bodycam.config.sign_ins import SignIns
from bodycam.config.types import Duration, Name, Text

ANY = "*"


class Who(Section):
    """Some principals: those in one of the groups, and those named."""

    groups: tuple[Text, ...] = Field(default=(), description="Groups; one of them is enough.")
    subjects: tuple[Text, ...] = Field(
        default=(),
        description="Single principals as `name@issuer`; a bare `name` is a service account of this gateway.",
    )


class ApiKeys(Section):
    """Rules for the API keys of service accounts."""

    lifetime: Duration | None = Field(
        default=None, description="How long a new key is good for; absent: until it is revoked."
    )
    instead_of_sign_in: bool = Field(
        default=True,
        description="Whether people with accounts here approve, view recordings and issue keys by their key "
        "alone; `false`: like others, only shortly after a sign-in at a provider.",
    )


class CredentialEnd(StrEnum):
    """What becomes of open sessions when what let them in is over."""

    DROP = "drop"
    DRAIN = "drain"


class Identity(Section):
    """How principals prove themselves, and for how long a run's credential is good."""

    run_ttl: Duration = Field(
        default=written("1h"),
        description="How long a run's credential lasts without renewal, if the client doesn't say.",
    )
    max_run_ttl: Duration = Field(
        default=written("24h"),
        description="The longest that a client may ask for at once; renewal begins anew.",
    )
    when_credential_ends: CredentialEnd = Field(
        default=CredentialEnd.DROP,
        description="What becomes of a run's open sessions when it expires or is revoked: `drop` ends them "
        "at once, `drain` lets what they are at end first.",
    )
    drain_timeout: Duration = Field(
        default=written("30s"), description="The longest that `drain` waits for a session."
    )
    api_keys: ApiKeys = Field(default_factory=ApiKeys, description="Rules for service accounts' API keys.")
    fresh_sign_in: Duration = Field(
        default=written("5m"),
        description="How lately people of a provider must have signed in to approve, to view a recording "
        "and to issue keys.",
    )
    sign_ins: SignIns = Field(default_factory=SignIns, description="Sign-ins in the browser.")
    break_glass: BreakGlass = Field(
        default_factory=BreakGlass, description="The way in for the day on which a provider is away."
    )
    providers: tuple[Provider, ...] = Field(
        default=(), max_length=MAX_PROVIDERS, description="The identity providers whose word is taken."
    )

    @property
    def drain_seconds(self) -> float:
        """How long a session whose credential has ended may go on with what it is at; 0 for not at all."""
        return self.drain_timeout if self.when_credential_ends is CredentialEnd.DRAIN else 0.0

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not 10 <= self.run_ttl <= self.max_run_ttl:
            raise ValueError("expected a run_ttl from 10s to max_run_ttl")
        if not 0 < self.drain_timeout <= 3600:
            raise ValueError("expected a drain_timeout of at most 1h, and not 0s")
        return self

    @model_validator(mode="after")
    def _named_apart(self) -> Self:
        if self.fresh_sign_in < 30:
            raise ValueError("expected a fresh_sign_in of at least 30s")
        if len({one.name for one in self.providers}) != len(self.providers):
            raise ValueError("expected another name for each of the providers")
        people = any(one.kind is ProviderKind.PEOPLE for one in self.providers)
        if not self.api_keys.instead_of_sign_in and not people:
            raise ValueError("expected a provider of people, where api_keys.instead_of_sign_in is false")
        if not self.sign_ins.url and any(one.type is ProviderType.SAML for one in self.providers):
            raise ValueError("expected sign_ins.url, to which a provider of type saml sends browsers back")
        return self


class Roles(Section):
    """Who may do what at the control API; a principal may have several roles."""

    admin: Who = Field(
        default_factory=lambda: Who(groups=("admins",)), description="May do everything, and read everything."
    )
    auditor: Who = Field(default_factory=Who, description="May read everything, the audit trail too.")
    reviewer: Who = Field(
        default_factory=Who, description="May look at others' recordings as the grants under `viewing` say."
    )
    approver: Who = Field(
        default_factory=Who, description="May decide on approvals whose rule names no groups."
    )
    user: Who | None = Field(
        default=None, description="May start runs of agents that let them; absent: everybody."
    )


class Agent(Section):
    """A declared agent."""

    owner: str = Field(
        default="",
        max_length=255,
        description="Who answers for it: a name or a group, for people to read; whoever it means "
        "decides on none of its approvals.",
    )
    description: str = Field(default="", max_length=1000, description="What it does, for people to read.")
    may_start: Who = Field(default_factory=Who, description="Who may start runs of it; absent: nobody.")


class TargetSelector(Section):
    """Some targets: all that carry every one of the labels and, if names are given, have one of them."""

    names: tuple[Text, ...] = Field(default=(), description="Names of targets; `*` is every target.")
    labels: Mapping[str, Text] = Field(default_factory=dict, description="Labels that a target must carry.")

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.names and not self.labels:
            raise ValueError('expected names or labels; names: ["*"] is every target')
        return self


class Access(Section):
    """One grant: whoever matches `agents` and `groups` may open what matches `targets`."""

    agents: tuple[Name, ...] | None = Field(
        default=None, description="The run's agent is one of these; absent: any declared agent."
    )
    groups: tuple[Text, ...] | None = Field(
        default=None, description="The principal that started the run is in one of these; absent: any."
    )
    targets: TargetSelector = Field(description="The targets that it opens.")

    @model_validator(mode="after")
    def _somebody(self) -> Self:
        if self.agents is None and self.groups is None:
            raise ValueError("expected agents, groups or both")
        return self
