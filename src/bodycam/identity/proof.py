"""What a credential proves, and the door for every further kind of credential."""

from dataclasses import dataclass
from typing import Protocol

from bodycam.catalog.runs import RunState
from bodycam.identity.run_credentials import Verifier
from bodycam.model.identity import Run


@dataclass(frozen=True, slots=True)
class KnownRun:
    """A run as the catalog keeps it, with the verifier of its credential.

    `verifier` is None for a run without a credential of its own (one recreated from a recording, one that a
    provider's token started); `credential_revoked`
    is True once the credential is, and `starter_active` False once the starter's account is disabled.
    """

    run: Run
    verifier: Verifier | None
    state: RunState = RunState.ACTIVE
    credential_revoked: bool = False
    starter_active: bool = True

    def usable(self, now: float) -> bool:
        """Whether the run may open sessions at `now`, in Unix seconds."""
        return (
            self.state is RunState.ACTIVE
            and self.starter_active
            and not self.credential_revoked
            and now < self.run.expires
        )


class RunStore(Protocol):
    """Where runs and the verifiers of their credentials are kept."""

    async def known_run(self, run: str) -> KnownRun | None:
        """The run with this id, whatever its state, or None."""
        ...


class Prover(Protocol):
    """Turns the text of one kind of credential, told by its prefix, into the run that it proves."""

    prefix: str

    async def prove(self, text: str) -> KnownRun | None:
        """The run that `text` proves, whatever its state; None when it proves nothing."""
        ...
