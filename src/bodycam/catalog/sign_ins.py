"""Sign-ins in the browser that the gateway keeps, and which messages of providers were taken already.

Tokens are hashes here; their look is identity's affair. Times are microseconds of the Unix epoch.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from sqlalchemy import Connection, Row, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from bodycam.catalog.paging import Page, bounded, decode, encode
from bodycam.catalog.tables import sign_in_messages, sign_ins

MAX_MESSAGES = 100_000
KEPT = 7 * 86_400 * 1_000_000
"""How long a sign-in that is over can still be listed."""


class Use(StrEnum):
    """Where the token of a sign-in is: in a browser's cookie, or with the command line."""

    BROWSER = "browser"
    COMMAND = "command"


class TooManyMessages(Exception):
    """More messages were taken lately than are remembered: another could be an old one."""


@dataclass(frozen=True, slots=True)
class SignIn:
    """One sign-in; `named` is how a SAML provider calls the person, and `name_digest` what that is found by.

    `signed_in` is when the person proved themselves to the provider, or None; `terms` is a hash of the
    provider's settings then.
    """

    id: str
    digest: bytes = field(repr=False)
    provider: str
    terms: bytes
    subject: str
    groups: frozenset[str]
    use: Use
    address: str
    signed_in: int | None
    created: int
    expires: int
    used: int
    ended: int | None = None
    reason: str | None = None
    named: Mapping[str, str | None] | None = None
    name_digest: bytes | None = None

    @property
    def principal(self) -> str:
        """Who it is of."""
        return f"{self.subject}@{self.provider}"

    def live(self, now: int) -> bool:
        """Whether it is neither over nor ended at `now`; it may be idle for too long nevertheless."""
        return self.ended is None and now < self.expires


def add_sign_in(connection: Connection, one: SignIn) -> None:
    """Adds a sign-in, and forgets those that are over for long."""
    connection.execute(delete(sign_ins).where(sign_ins.c.expires < one.created - KEPT))
    connection.execute(
        insert(sign_ins).values(
            id=one.id,
            digest=one.digest,
            provider=one.provider,
            terms=one.terms,
            subject=one.subject,
            groups=sorted(one.groups),
            principal=one.principal,
            use=one.use.value,
            address=one.address,
            signed_in=one.signed_in,
            created=one.created,
            expires=one.expires,
            used=one.used,
            named=None if one.named is None else dict(one.named),
            name_digest=one.name_digest,
        )
    )


def get_sign_in(connection: Connection, name: str, *, hold: bool = False) -> SignIn | None:
    """The sign-in with that id, over or not. With `hold` nobody can end it until the transaction ends."""
    query = select(sign_ins).where(sign_ins.c.id == name)
    row = connection.execute(query.with_for_update(read=True) if hold else query).first()
    return None if row is None else _sign_in(row)


def note_use(connection: Connection, name: str, now: int) -> None:
    """Notes that a sign-in was used; an earlier use than the noted one changes nothing."""
    own = (sign_ins.c.id == name) & (sign_ins.c.used < now)
    connection.execute(update(sign_ins).where(own).values(used=now))


def end_sign_in(connection: Connection, name: str, reason: str, now: int) -> bool:
    """Ends a sign-in; False if it is over already, or there is none."""
    own = (sign_ins.c.id == name) & sign_ins.c.ended.is_(None) & (sign_ins.c.expires > now)
    return connection.execute(update(sign_ins).where(own).values(ended=now, reason=reason)).rowcount > 0


def end_named(
    connection: Connection, name_digest: bytes, sessions: Collection[str], reason: str, now: int
) -> tuple[SignIn, ...]:
    """Ends the sign-ins of somebody whom a provider names, those of its `sessions` only if any are given."""
    own = (sign_ins.c.name_digest == name_digest) & sign_ins.c.ended.is_(None) & (sign_ins.c.expires > now)
    found = [_sign_in(row) for row in connection.execute(select(sign_ins).where(own))]
    ended = [
        one for one in found if not sessions or one.named is None or one.named.get("session") in sessions
    ]
    return tuple(one for one in ended if end_sign_in(connection, one.id, reason, now))


def list_sign_ins(
    connection: Connection,
    *,
    principal: str | None,
    ended: bool,
    now: int,
    limit: int = 100,
    cursor: str | None = None,
) -> Page[SignIn]:
    """Sign-ins that are in force, newest first; with `ended` also those that are over.

    Raises:
        BadCursor: `cursor` is not one of this listing.
    """
    key = sign_ins.c.key
    asked = select(sign_ins).order_by(key.desc())
    if principal is not None:
        asked = asked.where(sign_ins.c.principal == principal)
    if not ended:
        asked = asked.where(sign_ins.c.ended.is_(None), sign_ins.c.expires > now)
    if cursor is not None:
        asked = asked.where(key < decode(cursor, 1)[0])
    size = bounded(limit)
    rows = connection.execute(asked.limit(size + 1)).all()
    following = encode(rows[size - 1].key) if len(rows) > size else None
    return Page(tuple(_sign_in(row) for row in rows[:size]), following)


def take_messages(connection: Connection, digests: Collection[bytes], until: int, now: int) -> bool:
    """Takes messages, each known by a digest; False if any of them was taken before. They are kept `until`.

    Raises:
        TooManyMessages: nothing more can be remembered.
    """
    connection.execute(delete(sign_in_messages).where(sign_in_messages.c.until <= now))
    kept = connection.execute(select(func.count()).select_from(sign_in_messages)).scalar_one()
    if kept + len(digests) > MAX_MESSAGES:
        raise TooManyMessages(f"{kept} messages are remembered already")
    try:
        with connection.begin_nested():
            connection.execute(
                insert(sign_in_messages), [{"digest": digest, "until": until} for digest in digests]
            )
    except IntegrityError:
        return False
    return True


def _sign_in(row: Row[tuple[object, ...]]) -> SignIn:
    return SignIn(
        row.id,
        row.digest,
        row.provider,
        row.terms,
        row.subject,
        frozenset(row.groups),
        Use(row.use),
        row.address,
        row.signed_in,
        row.created,
        row.expires,
        row.used,
        row.ended,
        row.reason,
        row.named,
        row.name_digest,
    )
