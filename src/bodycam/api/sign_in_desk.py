"""Where sign-ins in the browser are made and ended, between a provider's answer and the token for it."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

from sqlalchemy import Connection, Engine

from bodycam.api.catalog_calls import read, write
from bodycam.api.settings_in_use import SettingsInUse
from bodycam.api.trail import Trail
from bodycam.catalog import sign_ins as catalog
from bodycam.catalog.sign_ins import SignIn, Use
from bodycam.config.providers import Provider
from bodycam.config.settings import Settings
from bodycam.identity import sign_ins
from bodycam.identity.attempts import Attempts
from bodycam.identity.flows import Flow, Flows, relay_of
from bodycam.identity.oidc.code_flow import CodeFlow
from bodycam.identity.oidc.providers import ProvedToken
from bodycam.identity.saml.assertions import Asserted
from bodycam.identity.saml.failure import Reason, SamlRefused
from bodycam.identity.saml.providers import SamlProviders
from bodycam.identity.saml.requests import NameId
from bodycam.identity.sign_ins import ProvedSignIn
from bodycam.model.identity import Principal
from bodycam.net.openid import challenge_of

P = ParamSpec("P")
T = TypeVar("T")

OUTCOME_SECONDS = 120.0
CODE_SECONDS = 60.0
MESSAGE_SECONDS = 3600.0
"""How long a provider's message is remembered: longer than any is taken."""

_MOST_WAITING = 10_000
_READERS = 2
_NOTE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a provider said of somebody, until the browser that began it comes for it.

    `relay` is what travelled along with it. Times are Unix seconds.
    """

    provider: str
    principal: Principal
    request: str
    relay: str
    signed_in: float | None
    ends: float | None = None
    named: NameId | None = None


@dataclass(frozen=True, slots=True)
class Given:
    """A sign-in that was made, with its token, which is given this once."""

    id: str
    principal: Principal
    expires: float
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Waiting:
    outcome: Outcome
    challenge: str
    address: str


class SignInDesk:
    """Keeps sign-ins in the catalog; `wall` gives Unix seconds. For one event loop."""

    def __init__(
        self,
        engine: Engine,
        settings: SettingsInUse,
        trail: Trail,
        flows: Flows,
        saml: SamlProviders,
        *,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine, self._settings, self._trail, self._wall = engine, settings, trail, wall
        self.flows, self.saml, self.openid = flows, saml, CodeFlow()
        self._readers = asyncio.Semaphore(_READERS)
        self._outcomes: Attempts[Outcome] = Attempts(_MOST_WAITING, OUTCOME_SECONDS, monotonic)
        self._codes: Attempts[_Waiting] = Attempts(_MOST_WAITING, CODE_SECONDS, monotonic)

    def adopt(self, settings: Settings) -> None:
        """Use these settings from here on."""
        self.saml.adopt(settings)

    async def checked(self, check: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What a check of a provider's message says, in a thread; few at once, for anybody may send one."""
        async with self._readers:
            return await asyncio.to_thread(check, *args, **kwargs)

    async def proved(self, text: str) -> ProvedSignIn | None:
        """Whom a token proves now, which counts as a use of it; None if nobody."""
        name = sign_ins.name_in(text)
        now = self._wall()
        kept = None if name is None else await read(self._engine, catalog.get_sign_in, name)
        found = sign_ins.proved(text, kept, self._settings.settings, now)
        if found is not None and now - found.used >= _NOTE_SECONDS:
            await write(self._engine, catalog.note_use, found.id, round(now * 1e6))
        return found

    async def took(self, provider: str, *identifiers: str) -> None:
        """Take a provider's message, by all that it is known by.

        Raises:
            SamlRefused: it was taken before, or nobody could tell.
        """
        digests = [sign_ins.message_digest(provider, one) for one in identifiers]
        now = self._wall()
        try:
            fresh = await write(
                self._engine,
                catalog.take_messages,
                digests,
                round((now + MESSAGE_SECONDS) * 1e6),
                round(now * 1e6),
            )
        except catalog.TooManyMessages as error:
            raise SamlRefused(Reason.REPLAYED, provider) from error
        if not fresh:
            raise SamlRefused(Reason.REPLAYED, provider)

    def asserted(self, found: Asserted, relay: str) -> str:
        """Keep what a SAML provider said; its name for the browser to come with."""
        return self._keep(
            Outcome(
                found.principal.issuer,
                found.principal,
                found.request,
                relay,
                found.signed_in,
                found.ends,
                found.name,
            )
        )

    def authorized(self, found: ProvedToken, flow: Flow) -> str:
        """Keep what an OpenID provider said in answer to a flow; its name for the browser to come with."""
        return self._keep(
            Outcome(found.provider, found.principal, flow.request, relay_of(flow), found.signed_in)
        )

    def _keep(self, outcome: Outcome) -> str:
        name = self._outcomes.begin(outcome)
        if name is None:
            raise SamlRefused(Reason.BROWSER, outcome.provider)
        return name

    def look(self, name: str, flow: Flow | None) -> tuple[Outcome, Flow]:
        """What is kept under a name, for the browser that began it.

        Raises:
            SamlRefused: nothing is, or another browser began it.
        """
        outcome = self._outcomes.look(name)
        if outcome is None or flow is None:
            raise SamlRefused(Reason.BROWSER, "" if outcome is None else outcome.provider)
        answers = (outcome.provider, outcome.request, outcome.relay)
        if answers != (flow.provider, flow.request, relay_of(flow)):
            raise SamlRefused(Reason.BROWSER, outcome.provider)
        return outcome, flow

    def take(self, name: str, flow: Flow | None) -> tuple[Outcome, Flow]:
        """As `look`, and nothing is kept under the name any more."""
        found = self.look(name, flow)
        self._outcomes.take(name)
        return found

    def code(self, outcome: Outcome, challenge: str, address: str) -> str:
        """A code for the command line, which is good once, together with what hashes to `challenge`.

        Raises:
            SamlRefused: too many wait.
        """
        made = self._codes.begin(_Waiting(outcome, challenge, address))
        if made is None:
            raise SamlRefused(Reason.BROWSER, outcome.provider)
        return made

    async def redeem(self, code: str, verifier: str) -> Given | None:
        """The sign-in for a code; None if it is not good. It is gone either way."""
        waiting = self._codes.take(code)
        if waiting is None or challenge_of(verifier) != waiting.challenge:
            return None
        return await self.sign_in(waiting.outcome, Use.COMMAND, waiting.address)

    async def sign_in(self, outcome: Outcome, use: Use, address: str) -> Given | None:
        """Make a sign-in, which is in the ledger before anybody has its token.

        None if the provider is gone from the settings, or wants no sign-in that lasts.

        Raises:
            ArchivistAway, ArchivistRefused: it can't be entered.
        """
        settings, now = self._settings.settings, self._wall()
        provider = named(settings, outcome.provider)
        expires = min(now + settings.identity.sign_ins.lasts, outcome.ends or float("inf"))
        if provider is None or expires <= now:
            return None
        issued = sign_ins.issue()
        kept = SignIn(
            issued.id,
            issued.digest,
            provider.name,
            sign_ins.terms_of(provider),
            outcome.principal.subject,
            outcome.principal.groups,
            use,
            address,
            None if outcome.signed_in is None else round(outcome.signed_in * 1e6),
            round(now * 1e6),
            round(expires * 1e6),
            round(now * 1e6),
            named=_plain(outcome.named),
            name_digest=None
            if outcome.named is None
            else sign_ins.name_digest(provider.name, outcome.named.text),
        )
        detail = {"provider": provider.name, "use": use.value, "address": address, "expires": expires}
        await self._trail.before("signed-in", str(outcome.principal), issued.id, detail)
        await write(self._engine, catalog.add_sign_in, kept)
        return Given(issued.id, outcome.principal, expires, issued.text)

    async def end(self, name: str, actor: str, reason: str) -> SignIn | None:
        """End a sign-in; None if there is none in force of that name."""

        def change(connection: Connection) -> SignIn | None:
            kept = catalog.get_sign_in(connection, name)
            return kept if catalog.end_sign_in(connection, name, reason, round(self._wall() * 1e6)) else None

        kept = await write(self._engine, change)
        if kept is not None:
            await self._entered(kept, actor, reason)
        return kept

    async def end_named(self, provider: str, name: str, sessions: frozenset[str]) -> int:
        """End the sign-ins of somebody whom a provider names, as it asks; how many those were."""
        reason = "the identity provider ended it"
        ended = await write(
            self._engine,
            catalog.end_named,
            sign_ins.name_digest(provider, name),
            sessions,
            reason,
            round(self._wall() * 1e6),
        )
        for one in ended:
            await self._entered(one, one.principal, reason)
        return len(ended)

    async def _entered(self, kept: SignIn, actor: str, reason: str) -> None:
        detail = {"principal": kept.principal, "provider": kept.provider, "reason": reason}
        await self._trail.after("signed-out", actor, kept.id, detail)


def named(settings: Settings, name: str) -> Provider | None:
    """The provider of people with that name."""
    found = (one for one in settings.identity.providers if one.name == name and one.kind.value == "people")
    return next(found, None)


def name_of(kept: SignIn) -> NameId | None:
    """How the provider calls the person of a sign-in, if it is a SAML one."""
    plain = kept.named
    if plain is None:
        return None
    return NameId(
        str(plain["text"]),
        plain.get("format"),
        plain.get("qualifier"),
        plain.get("own_qualifier"),
        plain.get("session"),
    )


def _plain(named: NameId | None) -> Mapping[str, str | None] | None:
    if named is None:
        return None
    return {
        "text": named.text,
        "format": named.format,
        "qualifier": named.qualifier,
        "own_qualifier": named.own_qualifier,
        "session": named.session,
    }
