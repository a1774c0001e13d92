"""A provider's token as the proof of a login: which run it is of, and that it is added once."""

import asyncio
from dataclasses import dataclass, field, replace

import pytest

from bodycam.config.providers import Provider
from bodycam.identity.oidc.keys import PublicKey, read_keys
from bodycam.identity.oidc.providers import Providers
from bodycam.identity.proof import KnownRun
from bodycam.model.identity import Run
from bodycam.policy.access import AccessPolicy
from bodycam.session.token_runs import TokenLoginRefused, TokenRuns
from tests.issuer import CLIENT, ISSUER, Issuer
from tests.unit.session.test_admission import settings

TEXT = f"""
listen: {{postgres: "127.0.0.1:0"}}
identity:
  max_run_ttl: 1h
  providers: [{{name: corp, type: oidc, issuer: '{ISSUER}', client_id: {CLIENT}, groups: groups}}]
targets: {{orders: {{protocol: postgres, address: "db:5432", user: app}}}}
agents: {{billing-bot: {{may_start: {{groups: [devs]}}}}, other-bot: {{may_start: {{groups: [devs]}}}}}}
access: [{{agents: [billing-bot], targets: {{names: ["*"]}}}}]
"""
ISSUED = Issuer()
SETTINGS = settings(TEXT)
ACCESS = AccessPolicy(SETTINGS)


@dataclass
class Store:
    kept: dict[str, KnownRun] = field(default_factory=dict)
    written: int = 0

    async def started(self, run: Run) -> KnownRun:
        self.written += 1
        await asyncio.sleep(0)
        return self.kept.setdefault(run.id, KnownRun(run, None))


async def _keys(_provider: Provider) -> tuple[PublicKey, ...]:
    return read_keys(ISSUED.jwks())


def runs(store: Store, key: bytes = bytes(32)) -> TokenRuns:
    return TokenRuns(Providers(SETTINGS, source=_keys), store, key)


async def test_the_run_follows_from_the_token_the_agent_and_a_key_of_the_gateway() -> None:
    store = Store()
    token = ISSUED.token()

    async def of(text: str, user: str = "token/billing-bot", key: bytes = bytes(32)) -> str:
        return (await runs(store, key).prove(text, user, SETTINGS, ACCESS)).run.id

    first = await of(token)
    assert await of(token) == first
    others = {
        await of(token, "token/other-bot"),
        await of(ISSUED.token(jti="2")),
        await of(token, key=b"k" * 32),
    }
    assert len({first, *others}) == 4
    # another signature of the same claims is the same token
    again = ISSUED.token(alg="PS256", exp=2e9, iat=1, auth_time=1)
    anew = ISSUED.token(alg="PS256", exp=2e9, iat=1, auth_time=1)
    assert again != anew
    assert await of(again) == await of(anew)


async def test_those_who_come_at_once_add_it_once() -> None:
    store, token = Store(), ISSUED.token()
    desk = runs(store)
    known = await asyncio.gather(
        *(desk.prove(token, "token/billing-bot", SETTINGS, ACCESS) for _ in range(20))
    )
    assert (len({one.run.id for one in known}), store.written) == (1, 1)


async def test_a_run_of_somebody_else_with_that_id_is_lent_to_nobody() -> None:
    store, token = Store(), ISSUED.token()
    known = await runs(store).prove(token, "token/billing-bot", SETTINGS, ACCESS)
    # groups are what the settings made of the token when the run began: no other one for that
    fewer = replace(known.run, principal=replace(known.run.principal, groups=frozenset()))
    store.kept[known.run.id] = replace(known, run=fewer)
    assert (await runs(store).prove(token, "token/billing-bot", SETTINGS, ACCESS)).run == fewer
    for changed in (
        replace(known.run, agent="other-bot"),
        replace(known.run, principal=replace(known.run.principal, subject="bob")),
        replace(known.run, principal=replace(known.run.principal, issuer="other")),
    ):
        store.kept[known.run.id] = replace(known, run=changed)
        with pytest.raises(TokenLoginRefused) as caught:
            await runs(store).prove(token, "token/billing-bot", SETTINGS, ACCESS)
        assert caught.value.reason == "run-mismatch"
