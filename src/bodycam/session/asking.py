"""What a person is shown, and bound to, who has to approve an operation."""

from typing import Final

from bodycam.model.operation import Operation
from bodycam.model.verdict import Verdict
from bodycam.session.approval import ApprovalWanted
from bodycam.session.grant import Grant
from bodycam.session.policing import Redaction

SHOWN_MOST: Final = 100_000
"""Characters of a text, and of its parameters, that are sent to be shown to people; more is not approved."""


def wanted(
    grant: Grant, redaction: Redaction, exchange: int, verdict: Verdict, operation: Operation, binding: bytes
) -> ApprovalWanted:
    """What has to be approved before an operation whose verdict is `pending` may go on."""
    assert verdict.terms is not None
    shown: list[str] = []
    left = SHOWN_MOST
    for _, _, value in operation.parameters:
        said = "null" if value is None else value[:left].decode("utf-8", "backslashreplace")
        shown.append(redaction.redact(said)[0])
        left = max(0, left - len(said))
    return ApprovalWanted(
        session=grant.session,
        run=grant.run.id,
        exchange=exchange,
        rule=verdict.rule,
        policy=verdict.policy,
        target=grant.target.name,
        database=grant.database,
        verb=operation.verb,
        text=redaction.redact(operation.text)[0][:SHOWN_MOST],
        parameters=tuple(shown),
        by=verdict.terms.by,
        minimum=verdict.terms.minimum,
        expires=verdict.terms.expires,
        binding=binding,
    )
