"""/v1/service-accounts: the gateway's own accounts, of services and of people, and their API keys."""

import time
from typing import Annotated

from fastapi import APIRouter
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy import Connection

from bodycam.api.caller import Admin, In, Reader
from bodycam.api.catalog_calls import read, write
from bodycam.api.context import Control
from bodycam.api.errors import ApiError, not_found
from bodycam.api.fresh import must_be_fresh
from bodycam.api.listing import maybe_seconds, micros, now_micros, seconds
from bodycam.api.nul import WITHOUT_NUL
from bodycam.api.scopes import issuable
from bodycam.catalog import accounts as catalog
from bodycam.catalog import runs
from bodycam.config.types import NAME
from bodycam.identity import api_keys
from bodycam.identity.accounts import ISSUER
from bodycam.identity.scopes import Scopes, checked, scopes_of
from bodycam.model.identity import PrincipalKind
from bodycam.model.ids import SERVICE_ACCOUNT, new_id

router = APIRouter()

MAX_GROUPS = 100
MAX_SCOPES = 100
MAX_OVERLAP = 7 * 86_400.0
"""The longest, in seconds, that an API key is good beside the one that replaces it."""

Group = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=WITHOUT_NUL)]

ScopeText = Annotated[str, StringConstraints(max_length=100), AfterValidator(checked)]


class AccountIn(BaseModel):
    """An account to make; `human` is for a person, who alone may decide on approvals."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=NAME)
    groups: list[Group] = Field(default_factory=list, max_length=MAX_GROUPS)
    kind: PrincipalKind = PrincipalKind.SERVICE


class KeyOut(BaseModel):
    """An API key without its secret; `last_used` is to within a minute or so, null if it never was.

    `scopes` are what it may be used for; null is whatever its account may.
    """

    id: str
    created: float
    expires: float | None
    revoked: float | None
    last_used: float | None
    scopes: list[str] | None


class AccountOut(BaseModel):
    """An account with its keys."""

    name: str
    kind: PrincipalKind
    groups: list[str]
    created: float
    disabled: float | None
    keys: list[KeyOut]


class AccountsOut(BaseModel):
    """All service accounts by name."""

    accounts: list[AccountOut]


class KeyIn(BaseModel):
    """A key to issue; one that `replaces` another lets that one be good for `overlap` seconds more.

    Without `scopes` it has those of the key that it replaces, or else may do whatever its account may.
    """

    model_config = ConfigDict(extra="forbid")

    replaces: str | None = Field(default=None, max_length=64)
    overlap: float = Field(default=3600.0, ge=0, le=MAX_OVERLAP, allow_inf_nan=False)
    scopes: list[ScopeText] | None = Field(default=None, min_length=1, max_length=MAX_SCOPES)


class NewKeyOut(BaseModel):
    """A new API key; `key` is shown this once."""

    id: str
    key: str
    expires: float | None
    scopes: list[str] | None


class RevokedKeyOut(BaseModel):
    """A revoked API key, and the runs started with it that were revoked now."""

    id: str
    revoked: list[str]


class DisabledOut(BaseModel):
    """A disabled account, and its runs that were revoked with it."""

    name: str
    revoked: list[str]


@router.post("/v1/service-accounts", status_code=201)
async def add_account(body: AccountIn, context: In, who: Admin) -> AccountOut:
    """Make an account, without a key yet."""
    if await read(context.catalog, catalog.account_by_name, body.name) is not None:
        raise _exists(body.name)
    detail = {"groups": sorted(set(body.groups)), "kind": body.kind.value}
    await context.trail.before("account-added", str(who.principal), body.name, detail)
    try:
        made = await write(
            context.catalog,
            catalog.add_account,
            id=new_id(SERVICE_ACCOUNT),
            name=body.name,
            groups=body.groups,
            now=now_micros(),
            kind=body.kind,
        )
    except catalog.AccountExists as error:
        raise _exists(body.name) from error
    return _shown(made, ())


@router.get("/v1/service-accounts")
async def list_accounts(context: In, who: Reader) -> AccountsOut:
    """All service accounts with their keys' ids."""

    def both(connection: Connection) -> list[AccountOut]:
        return [_shown(one, catalog.keys_of(connection, one.id)) for one in catalog.accounts(connection)]

    return AccountsOut(accounts=await read(context.catalog, both))


@router.post("/v1/service-accounts/{name}/keys", status_code=201)
async def add_key(name: str, context: In, who: Admin, body: KeyIn | None = None) -> NewKeyOut:
    """Issue an API key, in the place of another one if it says so."""
    wanted = body or KeyIn()
    must_be_fresh(context, who)
    account = await _account(context, name)
    if account.disabled is not None:
        raise ApiError(409, "account-disabled", f"service account {name!r} is disabled", "Make another one.")
    issued = api_keys.issue(time.time(), context.settings.settings.identity.api_keys.lifetime)
    detail: dict[str, object] = {"key": issued.id}
    replaced: Scopes | None = None
    if wanted.replaces is not None:
        keys = {one.id: one for one in await read(context.catalog, catalog.keys_of, account.id)}
        if wanted.replaces not in keys:
            raise not_found("API key", wanted.replaces)
        replaced = scopes_of(keys[wanted.replaces].scopes)
        detail |= {"replaces": wanted.replaces, "overlap": wanted.overlap}
    scopes = issuable(who.scopes, replaced, scopes_of(wanted.scopes))
    listed = None if scopes is None else scopes.listed()
    if listed is not None:
        detail["scopes"] = listed
    await context.trail.before("key-issued", str(who.principal), name, detail)

    def add(connection: Connection) -> None:
        now = now_micros()
        if wanted.replaces is not None:
            until = now + round(wanted.overlap * 1e6)
            if not catalog.end_key(connection, account.id, wanted.replaces, until, now):
                raise ApiError(
                    409,
                    "key-over",
                    f"API key {wanted.replaces} is revoked or has expired",
                    "Issue a new one without replacing it.",
                )
        catalog.add_key(
            connection,
            id=issued.id,
            account=account.id,
            hash=issued.digest,
            now=now,
            expires=micros(issued.expires),
            scopes=listed,
        )

    await write(context.catalog, add)
    return NewKeyOut(id=issued.id, key=issued.text, expires=issued.expires, scopes=listed)


@router.delete("/v1/service-accounts/{name}/keys/{key}")
async def revoke_key(name: str, key: str, context: In, who: Admin) -> RevokedKeyOut:
    """Revoke an API key and the runs that were started with it; their sessions are cut. Twice is once."""
    account = await _account(context, name)
    reason = "the API key that it was started with was revoked"

    def change(connection: Connection) -> tuple[str, ...]:
        now = now_micros()
        if not catalog.revoke_key(connection, account.id, key, now):
            raise not_found("API key", key)
        return runs.revoke_runs_of_key(connection, key, reason, now)

    revoked = list(await write(context.catalog, change))
    for run in revoked:
        context.workers.stop_run(run, reason)
    await context.trail.after("key-revoked", str(who.principal), name, {"key": key, "revoked": revoked})
    return RevokedKeyOut(id=key, revoked=revoked)


@router.post("/v1/service-accounts/{name}/disable")
async def disable_account(name: str, context: In, who: Admin) -> DisabledOut:
    """Disable an account: its keys are refused, its runs are revoked and their sessions cut."""
    await _account(context, name)
    reason = "its service account was disabled"

    def change(connection: Connection) -> list[str]:
        now = now_micros()
        catalog.disable_account(connection, name, now)
        principal = f"{name}@{ISSUER}"
        active = [run.id for run in runs.live_runs(connection, now) if str(run.principal) == principal]
        return [run for run in active if runs.revoke_run(connection, run, reason, now)]

    revoked = await write(context.catalog, change)
    for run in revoked:
        context.workers.stop_run(run, reason)
    await context.trail.after("account-disabled", str(who.principal), name, {"revoked": revoked})
    return DisabledOut(name=name, revoked=revoked)


async def _account(context: Control, name: str) -> catalog.ServiceAccount:
    account = await read(context.catalog, catalog.account_by_name, name)
    if account is None:
        raise not_found("service account", name)
    return account


def _exists(name: str) -> ApiError:
    return ApiError(
        409, "account-exists", f"there is a service account {name!r} already", "Choose another name."
    )


def _shown(account: catalog.ServiceAccount, keys: tuple[catalog.ApiKey, ...]) -> AccountOut:
    return AccountOut(
        name=account.name,
        kind=account.kind,
        groups=sorted(account.groups),
        created=seconds(account.created),
        disabled=maybe_seconds(account.disabled),
        keys=[
            KeyOut(
                id=key.id,
                created=seconds(key.created),
                expires=maybe_seconds(key.expires),
                revoked=maybe_seconds(key.revoked),
                last_used=maybe_seconds(key.last_used),
                scopes=None if key.scopes is None else list(key.scopes),
            )
            for key in keys
        ],
    )
