"""What a webhook is told: the same facts as JSON for programs, or as a text for Slack and its like.

The statement is the redacted one of the record, cut to what fits a notice; the whole is at the control API.
"""

import json
from datetime import UTC, datetime
from typing import Any

from bodycam.catalog.approvals import Approval
from bodycam.config.approvals import WebhookFormat

MOST_TEXT = 2000
MOST_PARAMETERS = 20
MOST_PARAMETER = 200
# what begins a mention or a link, and what ends a block of code
_SLACK = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "`": "\u02cb"})


def body_of(webhook_format: WebhookFormat, approval: Approval, link: str) -> bytes:
    """The body for an approval that waits; `link` leads to it, or is empty."""
    match webhook_format:
        case WebhookFormat.GENERIC:
            plain: dict[str, Any] = _generic(approval, link)
        case WebhookFormat.SLACK:
            plain = {"text": _slack(approval, link)}
    return json.dumps(plain).encode()


def _generic(approval: Approval, link: str) -> dict[str, Any]:
    return {
        "type": "approval.pending",
        "timestamp": _iso(approval.created),
        "data": {
            "approval": approval.id,
            "url": link,
            "run": approval.run,
            "session": approval.session,
            "exchange": approval.exchange,
            "principal": str(approval.starter),
            "agent": approval.agent,
            "target": approval.target,
            "database": approval.database,
            "rule": approval.rule,
            "verb": approval.verb,
            "text": approval.text[:MOST_TEXT],
            "parameters": [one[:MOST_PARAMETER] for one in approval.parameters[:MOST_PARAMETERS]],
            "cut": _is_cut(approval),
            "by": list(approval.by),
            "minimum": approval.minimum,
            "expires": approval.expires / 1e6,
        },
    }


def _slack(approval: Approval, link: str) -> str:
    people = " or ".join(approval.by) or "admins"
    lines = [
        f"*{_plain(approval.agent)}* (run {_plain(approval.run)}, started by "
        f"{_plain(str(approval.starter))}) wants to do this on *{_plain(approval.target)}*, "
        f"database {_plain(approval.database)}:",
        f"```{approval.text[:MOST_TEXT].translate(_SLACK)}```",
    ]
    if approval.parameters:
        shown = [repr(one[:MOST_PARAMETER]) for one in approval.parameters[:MOST_PARAMETERS]]
        lines.append(f"with ```{', '.join(shown).translate(_SLACK)}```")
    if _is_cut(approval):
        lines.append("This is not all of it: look at the whole before you decide.")
    needed = f"{approval.minimum} of {people}" if approval.minimum > 1 else people
    lines.append(
        f"Rule {_plain(approval.rule)} wants {_plain(needed)} to decide by {_iso(approval.expires)}."
    )
    lines.append(f"<{link}|{approval.id}>" if link else f"`bodycam approvals show {approval.id}`")
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Within a line of Slack's markup: nothing of it is markup."""
    return "".join(" " if letter in "*_~\r\n" else letter for letter in text.translate(_SLACK))


def _is_cut(approval: Approval) -> bool:
    return (
        len(approval.text) > MOST_TEXT
        or len(approval.parameters) > MOST_PARAMETERS
        or any(len(one) > MOST_PARAMETER for one in approval.parameters)
    )


def _iso(moment: int) -> str:
    return datetime.fromtimestamp(moment // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
