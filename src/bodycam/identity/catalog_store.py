"""Runs, credentials and API keys out of the catalog; each look-up is one short read in a thread."""

import asyncio
import contextlib
import time

from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from bodycam.catalog import accounts, runs
from bodycam.catalog.engine import reading, writing
from bodycam.identity.accounts import ISSUER, ServiceAccount
from bodycam.identity.api_keys import StoredKey
from bodycam.identity.proof import KnownRun
from bodycam.identity.run_credentials import Verifier
from bodycam.identity.scopes import scopes_of
from bodycam.model.identity import Run


class CatalogStore:
    """The stores that admission and the control API verify credentials against."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def known_run(self, run: str) -> KnownRun | None:
        """The run with this id, whatever its state, or None."""
        return await asyncio.to_thread(self._known_run, run)

    async def started(self, run: Run) -> KnownRun:
        """The run as it is kept; it is added, without a credential, unless one with its id is there."""
        return await asyncio.to_thread(self._started, run)

    async def stored_key(self, key: str) -> StoredKey | None:
        """The API key with this id, revoked or not, or None."""
        return await asyncio.to_thread(self._stored_key, key)

    def _known_run(self, name: str) -> KnownRun | None:
        with reading(self._engine) as connection:
            record = runs.get_run(connection, name)
            if record is None:
                return None
            credential = runs.credential_of(connection, name)
            run: Run = record.run()
            account = None
            if run.principal.issuer == ISSUER:
                account = accounts.account_by_name(connection, run.principal.subject)
        return KnownRun(
            run,
            verifier=None if credential is None else _verifier(credential),
            state=_state(record),
            credential_revoked=credential is not None and credential.revoked is not None,
            starter_active=run.principal.issuer != ISSUER
            or (account is not None and account.disabled is None),
        )

    def _started(self, run: Run) -> KnownRun:
        known = self._known_run(run.id)
        if known is None:
            # somebody else may add the same one between the look and the writing
            with contextlib.suppress(IntegrityError), writing(self._engine) as connection:
                runs.add_run(connection, run, None, time.time_ns() // 1000)
            known = self._known_run(run.id)
        if known is None:
            raise LookupError(f"run {run.id} was added and can't be read back")
        return known

    def _stored_key(self, name: str) -> StoredKey | None:
        with reading(self._engine) as connection:
            found = accounts.key_with_account(connection, name)
        if found is None:
            return None
        key, account = found
        return StoredKey(
            key.id,
            key.hash,
            ServiceAccount(account.name, account.groups, account.disabled is not None, account.kind),
            expires=None if key.expires is None else key.expires / 1e6,
            revoked=key.revoked is not None,
            scopes=scopes_of(key.scopes),
        )


def _verifier(credential: runs.RunCredential) -> Verifier:
    return Verifier(
        credential.salt,
        credential.iterations,
        credential.stored_key,
        credential.server_key,
        credential.token_hash,
    )


def _state(record: runs.RunRecord) -> runs.RunState:
    # whether it is expired is asked of the run's own expiry, when it matters
    return record.state(now=0)
