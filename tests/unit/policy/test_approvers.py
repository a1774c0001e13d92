"""Who may decide on an approval, as a table."""

from pathlib import Path

import pytest

from bodycam.config import parse
from bodycam.model.identity import Principal, PrincipalKind
from bodycam.policy.access import Role
from bodycam.policy.approvers import why_not

SETTINGS = parse(
    """
agents:
  billing-bot: {owner: " Payments "}
  owned-by-one: {owner: ann}
  owned-by-name: {owner: "ann@corp"}
  nobodys: {}
""",
    file="x",
    folder=Path("/x"),
)
STARTER = Principal("bodycam", "ci", PrincipalKind.SERVICE, frozenset({"dba"}))


def human(subject: str, *groups: str, issuer: str = "bodycam") -> Principal:
    return Principal(issuer, subject, PrincipalKind.HUMAN, frozenset(groups))


@pytest.mark.parametrize(
    ("who", "role", "agent", "by", "says"),
    [
        (human("ann", "dba"), Role.USER, "billing-bot", ("dba", "leads"), None),
        (human("ann", "leads"), Role.USER, "nobodys", ("dba", "leads"), None),
        (human("ann"), Role.ADMIN, "billing-bot", (), None),
        (human("ann"), Role.APPROVER, "billing-bot", (), None),
        (human("ann"), Role.APPROVER, "billing-bot", ("dba",), "none of the groups"),
        (human("ann", "payments"), Role.APPROVER, "billing-bot", (), "you answer for"),
        (Principal("corp", "job", PrincipalKind.SERVICE), Role.APPROVER, "nobodys", (), "is a service"),
        (human("ann"), Role.REVIEWER, "billing-bot", (), "only approvers"),
        (human("ann", ""), Role.ADMIN, "nobodys", (), None),
        (human("ann", "dba"), Role.USER, "billing-bot", (), "only approvers"),
        (human("ann", "dba"), Role.AUDITOR, "billing-bot", (), "only approvers"),
        (human("ann", "DBA"), Role.USER, "billing-bot", ("dba",), "none of the groups"),
        (human("ann", "admins"), Role.ADMIN, "billing-bot", ("dba",), "none of the groups"),
        (human("ann", "dba", "payments"), Role.USER, "billing-bot", ("dba",), "you answer for"),
        (human("ann", "dba"), Role.USER, "owned-by-one", ("dba",), "you answer for"),
        (human("ann", "dba", issuer="corp"), Role.USER, "owned-by-one", ("dba",), "you answer for"),
        (human("ann", "dba", issuer="corp"), Role.USER, "owned-by-name", ("dba",), "you answer for"),
        (human("ann", "dba"), Role.USER, "owned-by-name", ("dba",), None),
        (human("ci", "dba"), Role.USER, "billing-bot", ("dba",), "you started the run"),
        (human("ci", "dba", issuer="corp"), Role.USER, "billing-bot", ("dba",), None),
        (human("ann", "dba"), Role.USER, "gone", ("dba",), "not declared"),
        (STARTER, Role.ADMIN, "billing-bot", ("dba",), "is a service"),
        (Principal("corp", "job", PrincipalKind.SERVICE, frozenset({"dba"})), Role.ADMIN, "nobodys", (), "is a service"),
    ],
)  # fmt: skip
def test_who_may_decide(
    who: Principal, role: Role, agent: str, by: tuple[str, ...], says: str | None
) -> None:
    against = why_not(SETTINGS, who, frozenset({role}), starter=STARTER, agent=agent, by=by)
    if says is None:
        assert against is None
    else:
        assert against is not None
        assert says in against
