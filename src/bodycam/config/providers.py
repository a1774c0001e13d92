"""Settings of identity providers: whose word is taken, and what it means here."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from bodycam.config.section import Section
from bodycam.config.types import FilePath, HostPort, Name, Text

MAX_PROVIDERS = 50
OWN_NAME = "bodycam"
"""The issuer of the gateway's own accounts, whose name no provider may have."""


# SPIFFE-ID, section 2.1: so a trust domain is written
_TRUST_DOMAIN = re.compile(r"spiffe://[a-z0-9._-]{1,255}")


class ProviderType(StrEnum):
    """How a provider proves who somebody is."""

    OIDC = "oidc"
    SAML = "saml"


class Binding(StrEnum):
    """How a browser carries our requests to a SAML provider."""

    REDIRECT = "redirect"
    POST = "post"


class ProviderKind(StrEnum):
    """Whom a provider vouches for."""

    PEOPLE = "people"
    WORKLOADS = "workloads"


class Workload(Section):
    """Workloads that are known by their claims, and what they run."""

    when: Mapping[Text, tuple[Text, ...]] = Field(
        min_length=1,
        description="Claims by their path, each with the values that fit; `*` in a value is any text. "
        "All claims must fit.",
    )
    agent: Name = Field(description="The agent whose runs such a workload may start; of no other.")
    groups: tuple[Text, ...] = Field(default=(), description="The groups that such a workload is in.")

    @field_validator("when", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        if not isinstance(value, Mapping):
            return value
        return {path: [one] if isinstance(one, str) else one for path, one in value.items()}

    @field_validator("when")
    @classmethod
    def _some_value(cls, value: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
        if not all(value.values()):
            raise ValueError("expected at least one value for each claim")
        return value


class Provider(Section):
    """One identity provider, whose signed tokens or assertions prove people or workloads."""

    name: Name = Field(description="What principals are called by here: `subject@name`.")
    type: ProviderType = Field(description="How it proves who somebody is.")
    kind: ProviderKind = Field(
        default=ProviderKind.PEOPLE, description="Whether it vouches for people or for workloads."
    )
    issuer: str = Field(
        default="",
        max_length=2000,
        description="Of oidc, needed: its issuer URL, letter for letter as its tokens say it; https, or http "
        "to this machine; or a trust domain of SPIFFE, `spiffe://corp.example`, whose tokens name no issuer.",
    )
    client_id: Text | None = Field(
        default=None, description="The client, a public one, by which people sign in; needed for people."
    )
    audience: tuple[Text, ...] = Field(
        default=(), description="Whom its tokens must be meant for, one of these; absent: `client_id`."
    )
    subject: Text | None = Field(
        default=None,
        description="The claim or attribute that names the principal, which must never be given anew; "
        "absent: `sub` of oidc, the NameID of saml.",
    )
    groups: Text | None = Field(
        default=None,
        description="The claim with the groups, a path such as `realm_access.roles`, or the name of the "
        "attribute; absent: no groups.",
    )
    group_prefix: str = Field(
        default="", max_length=63, description="What is put before the name of each group that it gives."
    )
    scopes: tuple[Text, ...] = Field(
        default=("openid", "offline_access"),
        description="What `bodycam login` asks for; openid is needed.",
    )
    ca_file: FilePath | None = Field(
        default=None, description="The CA, in PEM, that vouches for it, instead of the system's."
    )
    jwks_uri: str | None = Field(
        default=None,
        max_length=2000,
        description="Where its keys are, for one without a discovery document; of a trust domain of SPIFFE, "
        "needed: its bundle.",
    )
    workloads: tuple[Workload, ...] = Field(
        default=(), description="Which workloads are taken; the first that fits counts."
    )
    metadata_file: FilePath | None = Field(
        default=None, description="Of saml: the file with its metadata, read again every few minutes."
    )
    metadata_url: str | None = Field(
        default=None,
        max_length=2000,
        description="Of saml, instead: where its metadata is; https, or http to this machine.",
    )
    metadata_certificate: FilePath | None = Field(
        default=None,
        description="Of saml: certificates in PEM, by the key of one of which its metadata has to be signed.",
    )
    entity_id: str | None = Field(
        default=None,
        max_length=1024,
        description="Of saml: its entity ID; needed where the metadata has several.",
    )
    own_entity_id: str | None = Field(
        default=None,
        max_length=1024,
        description="Of saml: the gateway's own entity ID there; absent: where its own metadata is.",
    )
    binding: Binding = Field(
        default=Binding.REDIRECT, description="Of saml: how requests go there, `redirect` or `post`."
    )
    name_id_format: Text | None = Field(
        default=None, description="Of saml: the format of NameID to ask for; absent: its own choice."
    )
    certificate: FilePath | None = Field(
        default=None, description="Of saml: the certificate of `key`, in PEM, for the gateway's metadata."
    )
    key: FilePath | None = Field(
        default=None,
        description="Of saml: an RSA key in PEM, which signs requests and opens encrypted assertions.",
    )

    @field_validator("issuer")
    @classmethod
    def _issuing(cls, value: str) -> str:
        return value if trust_domain(value) else str(cls._private(value))

    @field_validator("jwks_uri", "metadata_url")
    @classmethod
    def _private(cls, value: str | None) -> str | None:
        if value and not provider_url(value):
            raise ValueError("expected https://host/path, or http:// to this machine")
        return value

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.name == OWN_NAME:
            raise ValueError(f"expected another name than {OWN_NAME}, which the gateway's own accounts have")
        match self.type:
            case ProviderType.OIDC:
                self._whole_oidc()
            case ProviderType.SAML:
                self._whole_saml()
        return self

    def _whole_oidc(self) -> None:
        self._without("metadata_file", "metadata_url", "entity_id", "own_entity_id", "name_id_format")
        self._without("certificate", "key", "metadata_certificate")
        if not self.issuer:
            raise ValueError("expected issuer, by which its tokens are known")
        if not self.audiences:
            raise ValueError("expected client_id or audience: whom the tokens must be meant for")
        if trust_domain(self.issuer) and (self.kind is ProviderKind.PEOPLE or self.jwks_uri is None):
            raise ValueError("expected kind: workloads and jwks_uri, of a trust domain of SPIFFE")
        match self.kind:
            case ProviderKind.PEOPLE:
                if self.client_id is None:
                    raise ValueError("expected client_id, by which people sign in")
                if self.workloads:
                    raise ValueError("expected kind: workloads, where workloads are listed")
                if "openid" not in self.scopes:
                    raise ValueError("expected openid among the scopes")
            case ProviderKind.WORKLOADS:
                if not self.workloads:
                    raise ValueError("expected workloads: which of its tokens are taken, and for which agent")

    def _whole_saml(self) -> None:
        self._without("issuer", "client_id", "audience", "jwks_uri", "workloads")
        if self.kind is not ProviderKind.PEOPLE:
            raise ValueError("expected kind: people; workloads don't sign in by SAML")
        if (self.metadata_file is None) == (self.metadata_url is None):
            raise ValueError("expected either metadata_file or metadata_url")
        if (self.certificate is None) != (self.key is None):
            raise ValueError("expected both certificate and key, or neither")

    def _without(self, *keys: str) -> None:
        # by their values: settings that were written down and read again have every key
        for key in keys:
            if getattr(self, key):
                raise ValueError(f"expected no {key}: a provider of type {self.type.value} has none")

    @property
    def audiences(self) -> frozenset[str]:
        """Whom a token must be meant for, one of these."""
        return frozenset(self.audience or ((self.client_id,) if self.client_id else ()))


def trust_domain(text: str) -> bool:
    """Whether that is a trust domain of SPIFFE."""
    return _TRUST_DOMAIN.fullmatch(text) is not None


def own_url(text: str) -> bool:
    """Whether a browser may be told to come back there: like `provider_url`, without a query."""
    return provider_url(text) and "?" not in text


def provider_url(text: str) -> bool:
    """Whether a provider may be asked there: over https, or on this machine."""
    try:
        url = urlsplit(text)
        port = url.port or 0
    except ValueError:
        return False
    if not url.hostname or url.username is not None or url.password is not None or url.fragment:
        return False
    return url.scheme == "https" or (url.scheme == "http" and HostPort(url.hostname, port).loopback)
