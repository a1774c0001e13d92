"""The gateway's own accounts, of services and of people, and their API keys.

Keys are hashes here; their look is identity's affair.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Row, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from bodycam.catalog.tables import api_keys, service_accounts
from bodycam.model.identity import PrincipalKind


class AccountExists(Exception):
    """A service account of that name is there already."""


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """A workload's or a person's identity; `disabled` is when it was, or None."""

    id: str
    name: str
    groups: frozenset[str]
    created: int
    disabled: int | None
    kind: PrincipalKind = PrincipalKind.SERVICE


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One key of a service account, without its secret; `hash` is what identity made of the secret.

    `scopes` are what it may be used for, as identity writes them; None is whatever its account may.
    """

    id: str
    account: str
    hash: bytes
    created: int
    expires: int | None
    revoked: int | None
    last_used: int | None = None
    scopes: tuple[str, ...] | None = None

    def usable(self, now: int) -> bool:
        """Whether the key itself is good at `now`; its account may be disabled nevertheless."""
        return self.revoked is None and (self.expires is None or now < self.expires)


def add_account(
    connection: Connection,
    *,
    id: str,  # noqa: A002
    name: str,
    groups: Iterable[str],
    now: int,
    kind: PrincipalKind = PrincipalKind.SERVICE,
) -> ServiceAccount:
    """Adds an account.

    Raises:
        AccountExists: the name is taken.
    """
    if account_by_name(connection, name) is not None:
        raise AccountExists(f"there is a service account named {name!r} already")
    try:
        with connection.begin_nested():
            values = {"groups": sorted(set(groups)), "created": now, "kind": kind.value}
            connection.execute(insert(service_accounts).values(id=id, name=name, **values))
    except IntegrityError as error:
        raise AccountExists(f"there is a service account named {name!r} already") from error
    return ServiceAccount(id, name, frozenset(groups), now, None, kind)


def set_groups(connection: Connection, name: str, groups: Iterable[str]) -> bool:
    """Replaces an account's groups; False if there is no such account."""
    change = update(service_accounts).where(service_accounts.c.name == name)
    return connection.execute(change.values(groups=sorted(set(groups)))).rowcount > 0


def disable_account(connection: Connection, name: str, now: int) -> bool:
    """Disables an account, and so all its keys; False if there is no such account. Twice is once."""
    found = account_by_name(connection, name)
    if found is None:
        return False
    if found.disabled is None:
        connection.execute(
            update(service_accounts).where(service_accounts.c.id == found.id).values(disabled=now)
        )
    return True


def account_by_name(connection: Connection, name: str) -> ServiceAccount | None:
    """The account of that name."""
    row = connection.execute(select(service_accounts).where(service_accounts.c.name == name)).first()
    return None if row is None else _account(row)


def accounts(connection: Connection) -> tuple[ServiceAccount, ...]:
    """All service accounts by name."""
    rows = connection.execute(select(service_accounts).order_by(service_accounts.c.name))
    return tuple(_account(row) for row in rows)


def add_key(
    connection: Connection,
    *,
    id: str,  # noqa: A002
    account: str,
    hash: bytes,  # noqa: A002
    now: int,
    expires: int | None = None,
    scopes: Sequence[str] | None = None,
) -> ApiKey:
    """Adds a key to the account of that id."""
    kept = None if scopes is None else list(scopes)
    values = {"account": account, "hash": hash, "created": now, "expires": expires, "scopes": kept}
    connection.execute(insert(api_keys).values(id=id, **values))
    return ApiKey(id, account, hash, now, expires, None, scopes=None if scopes is None else tuple(scopes))


def key_with_account(
    connection: Connection, key: str, *, hold: bool = False
) -> tuple[ApiKey, ServiceAccount] | None:
    """A key by its id, revoked or not, with the account it belongs to: one query, for authentication.

    With `hold` nobody can revoke the key or disable the account until the transaction ends.
    """
    own, owner = api_keys.c, service_accounts.c
    query = (
        select(
            api_keys,
            owner.name,
            owner.groups,
            owner.created.label("account_created"),
            owner.disabled,
            owner.kind,
        )
        .join(service_accounts, owner.id == own.account)
        .where(own.id == key)
    )
    if hold:
        query = query.with_for_update(read=True)
    row = connection.execute(query).first()
    if row is None:
        return None
    account = ServiceAccount(
        row.account,
        row.name,
        frozenset(row.groups),
        row.account_created,
        row.disabled,
        PrincipalKind(row.kind),
    )
    return _key(row), account


def keys_of(connection: Connection, account: str) -> tuple[ApiKey, ...]:
    """All keys of the account of that id, oldest first."""
    query = select(api_keys).where(api_keys.c.account == account).order_by(api_keys.c.created, api_keys.c.id)
    return tuple(_key(row) for row in connection.execute(query))


def revoke_key(connection: Connection, account: str, key: str, now: int) -> bool:
    """Revokes a key of the account of that id; False if it has no such key. Twice is once."""
    own = (api_keys.c.id == key) & (api_keys.c.account == account)
    if connection.execute(select(api_keys.c.id).where(own)).first() is None:
        return False
    connection.execute(update(api_keys).where(own, api_keys.c.revoked.is_(None)).values(revoked=now))
    return True


def end_key(connection: Connection, account: str, key: str, at: int, now: int) -> bool:
    """Lets a key of the account of that id be good until `at` and no longer; False if none such is good now.

    A key that ends before that keeps its end.
    """
    own = (api_keys.c.id == key) & (api_keys.c.account == account) & api_keys.c.revoked.is_(None)
    row = connection.execute(select(api_keys.c.expires).where(own)).first()
    if row is None or (row.expires is not None and row.expires <= now):
        return False
    if row.expires is None or row.expires > at:
        connection.execute(update(api_keys).where(own).values(expires=at))
    return True


def keys_used(connection: Connection, uses: Mapping[str, int]) -> None:
    """Notes when keys were used last; an earlier use than the noted one changes nothing."""
    for key, at in uses.items():
        earlier = or_(api_keys.c.last_used.is_(None), api_keys.c.last_used < at)
        connection.execute(update(api_keys).where(api_keys.c.id == key, earlier).values(last_used=at))


def usable_keys(connection: Connection, now: int) -> int:
    """How many keys would be accepted at `now`; 0 means that nobody can administer the gateway."""
    query = (
        select(api_keys.c.id)
        .join(service_accounts, service_accounts.c.id == api_keys.c.account)
        .where(api_keys.c.revoked.is_(None), service_accounts.c.disabled.is_(None))
        .where(or_(api_keys.c.expires.is_(None), api_keys.c.expires > now))
    )
    return len(connection.execute(query).all())


def _account(row: Row[tuple[object, ...]]) -> ServiceAccount:
    kind = PrincipalKind(row.kind)
    return ServiceAccount(row.id, row.name, frozenset(row.groups), row.created, row.disabled, kind)


def _key(row: Row[tuple[object, ...]]) -> ApiKey:
    scopes = None if row.scopes is None else tuple(row.scopes)
    return ApiKey(row.id, row.account, row.hash, row.created, row.expires, row.revoked, row.last_used, scopes)
