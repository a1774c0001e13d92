"""Runs of those who log in with a provider's token itself: one run for each token and agent.

However many connections show the same token, at whichever worker, they are of one run, because its id follows
from the token. The token itself is kept nowhere.
"""

import asyncio
import hashlib
import hmac
import time
from collections.abc import Callable
from typing import Protocol

from bodycam.config.settings import Settings
from bodycam.identity.oidc.failure import Reason, TokenRefused
from bodycam.identity.oidc.providers import ProvedToken, Providers
from bodycam.identity.oidc.tokens import PREFIX
from bodycam.identity.proof import KnownRun
from bodycam.model.identity import Run
from bodycam.model.ids import RUN, encode
from bodycam.policy.access import AccessPolicy
from bodycam.session import refusals
from bodycam.session.grant import Refusal

USER = "token"
"""The user name that chooses cleartext; `token/AGENT` names the agent too."""

_SEPARATOR = "/"
_ID_BYTES = 10


def is_token_user(name: str) -> bool:
    """Whether a claimed name says that a token will prove who it is."""
    return name == USER or names_agent(name)


def names_agent(name: str) -> bool:
    """Whether it is the name of somebody who comes with a provider's token and says for which agent."""
    return name.startswith(USER + _SEPARATOR)


class TokenLoginRefused(Exception):
    """A token that starts no run: `reason` and `name` are for the audit, `refusal` for the client."""

    def __init__(self, reason: str, name: str, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.reason, self.name, self.refusal = reason, name, refusal


class TokenRunStore(Protocol):
    """Where such runs are kept."""

    async def started(self, run: Run) -> KnownRun:
        """The run as it is kept; it is added unless one with its id is there."""
        ...


class TokenRuns:
    """Takes providers' tokens as proofs of a login. For one event loop; `wall` gives Unix seconds.

    `key` makes the runs' ids, which nobody can foresee without it.
    """

    prefix = PREFIX

    def __init__(
        self,
        providers: Providers,
        store: TokenRunStore,
        key: bytes,
        *,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._providers, self._store, self._key, self._wall = providers, store, key, wall
        self._starting: dict[str, asyncio.Task[KnownRun]] = {}

    async def prove(self, text: str, user: str, settings: Settings, access: AccessPolicy) -> KnownRun:
        """The run of a token that was shown under a user name, whatever the run's state.

        Raises:
            TokenLoginRefused: it proves nobody, or nobody who may start that agent.
        """
        try:
            proved = await self._providers.verify(text)
        except TokenRefused as error:
            said = refusals.bad_token(str(error), error.hint, away=error.reason is Reason.PROVIDER_AWAY)
            raise TokenLoginRefused(error.reason, error.provider, said) from error
        agent = self._agent(proved, user, access)
        expires = min(proved.expires, self._wall() + settings.identity.max_run_ttl)
        run = Run(self._id(proved, agent), proved.principal, agent, expires)
        known = await self._started(run)
        if _who(known.run) != _who(run):
            # what an identifier of 80 bits leaves to chance must not lend anybody another's name
            raise TokenLoginRefused("run-mismatch", proved.provider, refusals.bad_credential())
        return known

    def _agent(self, proved: ProvedToken, user: str, access: AccessPolicy) -> str:
        _, _, named = user.partition(_SEPARATOR)
        agent = named or proved.agent
        if agent is None:
            raise TokenLoginRefused("token-no-agent", proved.provider, refusals.no_agent(proved.principal))
        if proved.agent not in (None, agent) or not access.may_start(proved.principal, agent):
            raise TokenLoginRefused(
                "may-not-start", proved.provider, refusals.may_not_start(proved.principal, agent)
            )
        return agent

    def _id(self, proved: ProvedToken, agent: str) -> str:
        digest = hmac.digest(self._key, b"run of a token" + proved.digest + agent.encode(), hashlib.sha256)
        return f"{RUN}_{encode(digest[:_ID_BYTES])}"

    async def _started(self, run: Run) -> KnownRun:
        task = self._starting.get(run.id)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._store.started(run))
            self._starting[run.id] = task
            task.add_done_callback(lambda _: self._starting.pop(run.id, None))
        # whoever gives up waiting must not take the others' answer away
        return await asyncio.shield(task)


def _who(run: Run) -> tuple[str, ...]:
    # not their groups: those are what the settings made of the token when the run began
    return run.principal.issuer, run.principal.subject, run.principal.kind.value, run.agent
