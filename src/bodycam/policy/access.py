"""Who may start which agent, and who may open which target. What nothing grants is denied.

A run has the rights that its starter and its agent both have: an entry of `access` grants only when its
agents, its groups and its targets all match. A run's labels are claims and are not looked at.
"""

from collections.abc import Mapping
from enum import StrEnum

from bodycam.config.people import ANY, Access, TargetSelector, Who
from bodycam.config.settings import Settings
from bodycam.config.versions import policy_version
from bodycam.model.identity import Principal

# the issuer whose subjects the settings may name without their issuer
OWN_ISSUER = "bodycam"


class Role(StrEnum):
    """What a principal may do at the control API, beyond its own runs."""

    ADMIN = "admin"
    AUDITOR = "auditor"
    MEMBER = "member"


def matches(who: Who, principal: Principal) -> bool:
    """Whether a principal is among those that the settings name."""
    if not principal.groups.isdisjoint(who.groups):
        return True
    if str(principal) in who.subjects:
        return True
    return principal.issuer == OWN_ISSUER and principal.subject in who.subjects


class AccessPolicy:
    """The grants of one version of the settings."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.version = policy_version(settings)

    def role(self, principal: Principal) -> Role:
        """The strongest role that the settings give a principal."""
        if matches(self._settings.roles.admin, principal):
            return Role.ADMIN
        return Role.AUDITOR if matches(self._settings.roles.auditor, principal) else Role.MEMBER

    def may_start(self, principal: Principal, agent: str) -> bool:
        """Whether a principal may start runs of an agent; an agent that is not declared is nobody's."""
        declared = self._settings.agents.get(agent)
        return declared is not None and matches(declared.may_start, principal)

    def may_open(self, principal: Principal, agent: str, target: str) -> bool:
        """Whether a run of `agent`, started by `principal`, may open a target, as the settings are now."""
        declared = self._settings.targets.get(target)
        if declared is None or not self.may_start(principal, agent):
            return False
        return any(
            _grants(entry, principal, agent) and selects(entry.targets, target, declared.labels)
            for entry in self._settings.access
        )

    def openable(self, principal: Principal, agent: str) -> list[str]:
        """The names of the targets that a run of `agent`, started by `principal`, may open."""
        return [name for name in self._settings.targets if self.may_open(principal, agent, name)]


def _grants(entry: Access, principal: Principal, agent: str) -> bool:
    if entry.agents is not None and agent not in entry.agents:
        return False
    return entry.groups is None or not principal.groups.isdisjoint(entry.groups)


def selects(selector: TargetSelector, name: str, labels: Mapping[str, str]) -> bool:
    """Whether a target is among those that the settings name."""
    if selector.names and ANY not in selector.names and name not in selector.names:
        return False
    return all(labels.get(key) == value for key, value in selector.labels.items())
