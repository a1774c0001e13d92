"""What one family of clients needs to find the gateway: variables, files, and what must not go round it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bodycam.run.gateway import Listener, Reachable
from bodycam.run.private_folder import PrivateFolder
from bodycam.run.ssh_identity import SshFiles


@dataclass(frozen=True, slots=True)
class Credential:
    """The run's credential, as a user name and a secret."""

    user: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Situation:
    """All that a binding is made of.

    `target` is the one that is opened by default, None for clients that name one with each request; `ca_pem`
    is the gateway's CA and `interception_ca_pem` that of the certificates which it shows in a target's
    stead, "" when it has none; `certificate` are the files of the run's own client certificate and of its
    key; `environ` is the environment that the caller has. `targets` are all that the agent may open, of every
    protocol. `ssh` is the run's SSH identity, and `ssh_host_key` the gateway's key as OpenSSH writes it; None
    and "" where the gateway has no listener for SSH.
    """

    agent: str
    listener: Listener
    target: Reachable | None
    credential: Credential
    ca_pem: str
    folder: PrivateFolder
    certificate: tuple[Path, Path] | None = None
    interception_ca_pem: str = ""
    environ: Mapping[str, str] = field(default_factory=dict)
    targets: Sequence[Reachable] = ()
    ssh: SshFiles | None = None
    ssh_host_key: str = ""


@dataclass(frozen=True, slots=True)
class Binding:
    """One family of clients: their protocol, the variables that lead them elsewhere, and the maker.

    `home` makes the files, by their path in a private HOME, for clients that get no variable but HOME.
    `chooses` says that its clients open one target by default, which has to be chosen. `carries` are the
    schemes of URLs that its variables lead to the gateway, whatever host such a URL names. `plain` says that
    many of its clients can't speak TLS to the gateway itself.
    """

    protocol: str
    detours: Sequence[str]
    make: Callable[[Situation], Mapping[str, str]]
    home: Callable[[Situation], Mapping[str, str]]
    chooses: bool = True
    carries: frozenset[str] = frozenset()
    plain: bool = False
