"""Audit events as others read them: classes of the Open Cybersecurity Schema Framework, version 1.3.0.

docs/audit-events.md describes them. https://schema.ocsf.io/1.3.0/
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from bodycam.catalog.audit import AuditEvent

SCHEMA: Final = "1.3.0"

_CATEGORIES: Final = {3001: 3, 3002: 3, 6003: 6}
"""Identity & Access Management has the number 3, Application Activity 6."""

_SUCCESS, _FAILURE = 1, 2
_OTHER: Final = 99


@dataclass(frozen=True, slots=True)
class Kind:
    """The class and activity of an action, and how much it matters: 1 informational, 2 low, 3 medium,
    5 critical."""

    of: int
    activity: int
    severity: int = 1
    status: int = _SUCCESS


ACCOUNT_CHANGE, AUTHENTICATION, API_ACTIVITY = 3001, 3002, 6003

ACTIONS: Mapping[str, Kind] = {
    "account-added": Kind(ACCOUNT_CHANGE, 1),
    "account-disabled": Kind(ACCOUNT_CHANGE, 5, 2),
    "key-issued": Kind(ACCOUNT_CHANGE, _OTHER),
    "key-revoked": Kind(ACCOUNT_CHANGE, _OTHER, 2),
    "break-glass": Kind(AUTHENTICATION, 1, 5),
    "login-failed": Kind(AUTHENTICATION, 1, 2, _FAILURE),
    "signed-in": Kind(AUTHENTICATION, 1),
    "signed-out": Kind(AUTHENTICATION, 2),
    "viewed": Kind(API_ACTIVITY, 2),
    "exported": Kind(API_ACTIVITY, 2, 2),
    "searched": Kind(API_ACTIVITY, 2),
    "watched": Kind(API_ACTIVITY, 2),
    "hunted": Kind(API_ACTIVITY, 2, 2),
    "run-ended": Kind(API_ACTIVITY, 3),
    "run-renewed": Kind(API_ACTIVITY, 3, 3),
    "run-revoked": Kind(API_ACTIVITY, 3, 3),
    "session-killed": Kind(API_ACTIVITY, 3, 3),
    "settings": Kind(API_ACTIVITY, 3, 2),
    "approval-asked": Kind(API_ACTIVITY, 1, 2),
    "approval-approved": Kind(API_ACTIVITY, 3, 2),
    "approval-denied": Kind(API_ACTIVITY, 3, 2),
    "approval-used": Kind(API_ACTIVITY, 3),
    "legal-hold-added": Kind(API_ACTIVITY, 1, 2),
    "legal-hold-released": Kind(API_ACTIVITY, 4, 3),
    "deleted": Kind(API_ACTIVITY, 4, 2),
    "key-added": Kind(API_ACTIVITY, 1, 3),
    "key-gone": Kind(API_ACTIVITY, 4, 3),
    "redaction-asked": Kind(API_ACTIVITY, 3, 3),
    "redacted": Kind(API_ACTIVITY, 3, 3),
    "record-redacted": Kind(API_ACTIVITY, 3, 3),
    "quota-warning": Kind(API_ACTIVITY, _OTHER, 3),
    "retention-applied": Kind(API_ACTIVITY, 4, 3),
}
"""Every action that the gateway enters; what is not here counts as another API activity."""

UNLISTED: Final = Kind(API_ACTIVITY, _OTHER)


def severity(event: AuditEvent) -> int:
    """How much an event matters, as its `severity_id` says."""
    return ACTIONS.get(event.action, UNLISTED).severity


def ocsf(event: AuditEvent, version: str) -> dict[str, Any]:
    """An event in the form of its class; `version` is the gateway's."""
    kind = ACTIONS.get(event.action, UNLISTED)
    user = {"name": event.actor or event.object, "uid": event.actor or event.object}
    said: dict[str, Any] = {
        "category_uid": _CATEGORIES[kind.of],
        "class_uid": kind.of,
        "activity_id": kind.activity,
        "type_uid": kind.of * 100 + kind.activity,
        "time": event.at // 1000,
        "severity_id": kind.severity,
        "status_id": kind.status,
        "message": f"{event.actor or 'somebody'}: {event.action} {event.object}".strip(),
        "metadata": {
            "version": SCHEMA,
            "uid": str(event.id),
            "event_code": event.action,
            "log_name": "audit",
            "product": {"name": "Bodycam", "vendor_name": "Bodycam", "version": version},
        },
        "unmapped": {
            "detail": dict(event.detail),
            "ledger_leaf": event.leaf,
            "ledger_salt": None if event.salt is None else event.salt.hex(),
        },
    }
    if kind.activity == _OTHER:
        said["activity_name"] = event.action
    match kind.of:
        case 3001:
            said["actor"] = {"user": user}
            said["user"] = {"name": event.object, "uid": event.object}
        case 3002:
            said["user"] = user
            said["src_endpoint"] = {"ip": str(event.detail.get("address", ""))}
        case _:
            said["actor"] = {"user": user}
            said["api"] = {"operation": event.action}
            said["resources"] = [{"uid": event.object}]
    return said


def line(event: AuditEvent, version: str) -> bytes:
    """The same as one line of JSON, without its end."""
    return json.dumps(ocsf(event, version), ensure_ascii=False, separators=(",", ":")).encode()
