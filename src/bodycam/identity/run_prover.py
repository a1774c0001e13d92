"""Proves a run by the text of its credential, as a password or bearer token carries it."""

from bodycam.identity import run_credentials
from bodycam.identity.proof import KnownRun, RunStore


class RunProver:
    """Takes run credentials, `bcr_...`."""

    prefix = run_credentials.PREFIX

    def __init__(self, store: RunStore) -> None:
        self._store = store

    async def prove(self, text: str) -> KnownRun | None:
        """The run whose secret `text` is, whatever its state."""
        name = run_credentials.run_of(text)
        if name is None:
            return None
        known = await self._store.known_run(name)
        if known is None or known.verifier is None:
            return None
        return known if run_credentials.matches(text, known.verifier) else None
