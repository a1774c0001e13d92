"""Which scope of an API key each route needs; a route that is not in the table takes no key with scopes."""

from collections.abc import Mapping

from fastapi import Request

from bodycam.api.errors import ApiError
from bodycam.identity.scopes import Scope, Scopes, covered

NEEDED: Mapping[tuple[str, str], Scope | None] = {
    # who one is, and the ledger's public word, are told to every key
    ("GET", "/v1/whoami"): None,
    ("GET", "/v1/ledger/head"): None,
    ("GET", "/v1/ledger/consistency"): None,
    ("GET", "/v1/targets"): Scope.READ,
    ("GET", "/v1/agents"): Scope.READ,
    ("GET", "/v1/runs"): Scope.READ,
    ("GET", "/v1/runs/{run}"): Scope.READ,
    ("GET", "/v1/sessions"): Scope.READ,
    ("GET", "/v1/sessions/{session}"): Scope.READ,
    ("GET", "/v1/sessions/{session}/transcript"): Scope.READ,
    ("GET", "/v1/exchanges"): Scope.READ,
    ("GET", "/v1/search"): Scope.READ,
    ("GET", "/v1/leaks"): Scope.READ,
    ("GET", "/v1/leaks/sessions"): Scope.READ,
    ("GET", "/v1/tail"): Scope.READ,
    ("GET", "/v1/gateway"): Scope.RUNS,
    ("POST", "/v1/runs"): Scope.RUNS,
    ("POST", "/v1/runs/{run}/renew"): Scope.RUNS,
    ("POST", "/v1/runs/{run}/end"): Scope.RUNS,
    ("POST", "/v1/runs/{run}/revoke"): Scope.RUNS,
    ("POST", "/v1/sessions/{session}/kill"): Scope.RUNS,
    ("GET", "/v1/approvals"): Scope.APPROVE,
    ("GET", "/v1/approvals/{approval}"): Scope.APPROVE,
    ("POST", "/v1/approvals/{approval}/approve"): Scope.APPROVE,
    ("POST", "/v1/approvals/{approval}/deny"): Scope.APPROVE,
    ("GET", "/v1/service-accounts"): Scope.ACCOUNTS,
    ("POST", "/v1/service-accounts"): Scope.ACCOUNTS,
    ("POST", "/v1/service-accounts/{name}/keys"): Scope.ACCOUNTS,
    ("DELETE", "/v1/service-accounts/{name}/keys/{key}"): Scope.ACCOUNTS,
    ("POST", "/v1/service-accounts/{name}/disable"): Scope.ACCOUNTS,
    ("GET", "/v1/sign-ins"): Scope.ACCOUNTS,
    ("DELETE", "/v1/sign-ins/{sign_in}"): Scope.ACCOUNTS,
    ("GET", "/v1/audit"): Scope.AUDIT,
    ("POST", "/v1/verify"): Scope.AUDIT,
    ("POST", "/v1/hunts"): Scope.AUDIT,
    ("POST", "/v1/runs/{run}/evidence"): Scope.AUDIT,
    ("GET", "/v1/retention/plan"): Scope.RETENTION,
    ("POST", "/v1/retention/apply"): Scope.RETENTION,
    ("GET", "/v1/legal-holds"): Scope.RETENTION,
    ("POST", "/v1/legal-holds"): Scope.RETENTION,
    ("POST", "/v1/legal-holds/{hold}/release"): Scope.RETENTION,
    ("POST", "/v1/redactions"): Scope.RETENTION,
}
"""By method and path as the route has it; None is for every key, whatever its scopes."""


def route_in_scope(scopes: Scopes | None, request: Request) -> None:
    """Let a key call the request's route only if its scopes have it.

    Raises:
        ApiError: 403, they don't.
    """
    if scopes is None:
        return
    path = getattr(request.scope.get("route"), "path", None)
    asked = (request.method, str(path))
    if asked not in NEEDED:
        raise _out_of_scope(scopes, "a key without scopes")
    needed = NEEDED[asked]
    if needed is not None and not scopes.allow(needed):
        raise _out_of_scope(scopes, f"scope {needed}")


def agent_in_scope(scopes: Scopes | None, agent: str) -> None:
    """Let a key touch runs of an agent only if its scopes have it.

    Raises:
        ApiError: 403, they don't.
    """
    if scopes is not None and not scopes.allow_agent(agent):
        raise _out_of_scope(scopes, f"scope {Scope.RUNS}:{agent}")


def issuable(issuer: Scopes | None, replaced: Scopes | None, asked: Scopes | None) -> Scopes | None:
    """The scopes of a key to issue: what is asked for, else those of the key that it replaces.

    Raises:
        ApiError: 403, it would do more than the key that issues it; 422, more than the one it replaces.
    """
    scopes = replaced if asked is None else asked
    if not covered(replaced, scopes):
        assert replaced is not None
        raise ApiError(
            422,
            "scopes-wider",
            f"the key that it replaces has scopes {_text(replaced)} only",
            "Give scopes that those cover, or issue a key that replaces none.",
        )
    if not covered(issuer, scopes):
        assert issuer is not None
        raise _out_of_scope(issuer, "a key that has all the scopes of the one to issue")
    return scopes


def _out_of_scope(scopes: Scopes, needed: str) -> ApiError:
    return ApiError(
        403,
        "out-of-scope",
        f"this API key has scopes {_text(scopes)}, and this needs {needed}",
        "An admin issues keys: bodycam accounts key NAME --scope SCOPE.",
    )


def _text(scopes: Scopes) -> str:
    return ", ".join(scopes.listed()) or "none"
