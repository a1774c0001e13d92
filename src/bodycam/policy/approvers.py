"""Who may decide on an approval. What nothing allows is refused.

A person of one of the rule's groups, or an approver or admin where the rule names none; never a service,
never who started the run, never who answers for its agent.
"""

from collections.abc import Sequence

from bodycam.config.settings import Settings
from bodycam.model.identity import Principal, PrincipalKind
from bodycam.policy.access import Role


def why_not(
    settings: Settings,
    principal: Principal,
    roles: frozenset[Role],
    *,
    starter: Principal,
    agent: str,
    by: Sequence[str],
) -> str | None:
    """Why a principal may not decide on what a run of `agent`, started by `starter`, asks; None if it may."""
    if principal.kind is not PrincipalKind.HUMAN:
        return f"{principal} is a service, and only people decide on approvals"
    if str(principal) == str(starter):
        return "you started the run, and nobody approves their own"
    declared = settings.agents.get(agent)
    if declared is None:
        return f"the agent {agent!r} is not declared any more"
    if _answers_for(declared.owner, principal):
        return f"you answer for the agent {agent!r} (agents.{agent}.owner)"
    if not by:
        return (
            None
            if decides_unnamed(roles)
            else "the rule names no groups, so that only approvers and admins decide"
        )
    if principal.groups.isdisjoint(by):
        return f"you are in none of the groups that decide here: {', '.join(by)}"
    return None


def decides_unnamed(roles: frozenset[Role]) -> bool:
    """Whether who has these roles decides where a rule names nobody."""
    return Role.APPROVER in roles or Role.ADMIN in roles


def _answers_for(owner: str, principal: Principal) -> bool:
    """Whether the text that names an agent's owner means this principal, or a group that it is in."""
    wanted = owner.strip().casefold()
    names = {principal.subject, str(principal), *principal.groups}
    # written for people to read: letters of another case mean no other
    return bool(wanted) and wanted in {name.casefold() for name in names}
