"""Service accounts: the principals that the gateway itself vouches for."""

from dataclasses import dataclass

from bodycam.model.identity import Principal, PrincipalKind

ISSUER = "bodycam"


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """A service account as the catalog keeps it."""

    name: str
    groups: frozenset[str] = frozenset()
    disabled: bool = False

    def principal(self) -> Principal:
        """Who it is to policy and to the record."""
        return Principal(ISSUER, self.name, PrincipalKind.SERVICE, self.groups)
