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
    """What a principal may do at the control API, the most first; it may have several."""

    ADMIN = "admin"  # everything
    AUDITOR = "auditor"  # reads everything
    REVIEWER = "reviewer"  # looks at recordings as the grants of viewing say
    APPROVER = "approver"  # decides where a rule names nobody
    USER = "user"  # starts runs


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

    def roles(self, principal: Principal) -> frozenset[Role]:
        """The roles that the settings give a principal; an admin starts runs as users do."""
        said = self._settings.roles
        given = {
            Role.ADMIN: said.admin,
            Role.AUDITOR: said.auditor,
            Role.REVIEWER: said.reviewer,
            Role.APPROVER: said.approver,
        }
        found = {role for role, who in given.items() if matches(who, principal)}
        if said.user is None or Role.ADMIN in found or matches(said.user, principal):
            found.add(Role.USER)
        return frozenset(found)

    def may_start(self, principal: Principal, agent: str) -> bool:
        """Whether a principal may start runs of an agent; an agent that is not declared is nobody's."""
        declared = self._settings.agents.get(agent)
        if declared is None or not matches(declared.may_start, principal):
            return False
        return self._settings.roles.user is None or Role.USER in self.roles(principal)

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
