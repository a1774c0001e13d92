"""Accounts, of services and of people: the principals that the gateway itself vouches for."""

from dataclasses import dataclass

from bodycam.model.identity import Principal, PrincipalKind

ISSUER = "bodycam"


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """An account as the catalog keeps it; `kind` is what the admin who made it said that it is."""

    name: str
    groups: frozenset[str] = frozenset()
    disabled: bool = False
    kind: PrincipalKind = PrincipalKind.SERVICE

    def principal(self) -> Principal:
        """Who it is to policy and to the record."""
        return Principal(ISSUER, self.name, self.kind, self.groups)
