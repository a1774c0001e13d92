"""The break-glass account: refused until the settings enable it, then let in with a reason, each use entered.

It is for the day on which the identity provider is away (docs/operations.md).
"""

from urllib.parse import unquote

import structlog
from fastapi import Request

from bodycam.api.context import Control
from bodycam.api.errors import ApiError
from bodycam.identity.accounts import ISSUER
from bodycam.identity.api_keys import ProvedKey

log = structlog.get_logger(__name__)

HEADER = "bodycam-reason"
"""Carries the reason, percent-encoded UTF-8."""

LABEL = "break-glass"
"""The label of every run that was started so; its value is the reason. Nobody else may set it."""

_MOST = 255


async def admitted(context: Control, request: Request, proved: ProvedKey, *, again: bool = False) -> str:
    """The reason for which the break-glass account is let in; empty for every other account.

    With `again` it is in already, by this same call, and its use is on record.

    Raises:
        ApiError: 403, it is not enabled, or no reason was given.
        ArchivistAway, ArchivistRefused: its use is not in the ledger, so it must not happen.
    """
    kept = context.settings.settings.identity.break_glass
    if kept.account is None or (proved.principal.issuer, proved.principal.subject) != (ISSUER, kept.account):
        return ""
    address = "" if request.client is None else request.client.host
    reason = _line(unquote(request.headers.get(HEADER, "")))
    if not kept.enabled:
        context.admission.stranger("break-glass-off", address, name=kept.account)
        raise ApiError(
            403,
            "break-glass-off",
            "this account is for emergencies, and is not enabled",
            "The settings enable it: identity.break_glass.enabled.",
        )
    if not reason:
        context.admission.stranger("break-glass-no-reason", address, name=kept.account)
        raise ApiError(
            403,
            "reason-needed",
            "this account is for emergencies, and takes a reason with each call",
            "Say why in BODYCAM_REASON; the API takes it in the header Bodycam-Reason.",
        )
    if again:
        return reason
    context.emergencies["uses"] += 1
    asked = _line(f"{request.method} {request.url.path}")
    log.error("the break-glass account is used", account=kept.account, asked=asked, reason=reason)
    detail = {"reason": reason, "key": proved.key, "address": address}
    await context.trail.before("break-glass", str(proved.principal), asked, detail)
    return reason


def _line(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text[: 4 * _MOST]).strip()[:_MOST]
