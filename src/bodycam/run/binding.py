"""What one family of clients needs to find the gateway: variables, files, and what must not go round it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bodycam.run.gateway import Listener, Reachable
from bodycam.run.private_folder import PrivateFolder


@dataclass(frozen=True, slots=True)
class Credential:
    """The run's credential, as a user name and a secret."""

    user: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Situation:
    """All that a binding is made of.

    `ca_pem` is the gateway's CA, "" when it has none; `certificate` are the files of the run's own client
    certificate and of its key.
    """

    agent: str
    listener: Listener
    target: Reachable
    credential: Credential
    ca_pem: str
    folder: PrivateFolder
    certificate: tuple[Path, Path] | None = None


@dataclass(frozen=True, slots=True)
class Binding:
    """One family of clients: their protocol, the variables that lead them elsewhere, and the maker."""

    protocol: str
    detours: Sequence[str]
    make: Callable[[Situation], Mapping[str, str]]
