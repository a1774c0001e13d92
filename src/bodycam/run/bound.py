"""The bindings that a gateway's listeners allow, made for one run."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack

from bodycam.config.types import HostPort
from bodycam.run.binding import Binding, Situation
from bodycam.run.environment import BINDINGS
from bodycam.run.failure import RunFailure
from bodycam.run.gateway import Gateway, Listener, Reachable
from bodycam.run.private_folder import PrivateFolder
from bodycam.run.relay import Relay

CHOOSING = frozenset(one.protocol for one in BINDINGS if one.chooses)
"""The protocols whose clients open one target by default."""

_HOME = "home"


def bindings_of(gateway: Gateway, chosen: Mapping[str, Reachable]) -> list[Binding]:
    """The bindings for which there is a listener and, where one is needed, a target.

    Raises:
        RunFailure: there is none, so that nothing of the child's would be recorded.
    """
    found = [
        one
        for one in BINDINGS
        if one.protocol in gateway.listeners and (one.protocol in chosen or not one.chooses)
    ]
    if not found:
        protocols = sorted({target.protocol for target in gateway.targets})
        raise RunFailure(
            f"no client can be bound: the gateway has no listener for {', '.join(protocols)}",
            hint="`listen` in the gateway's settings says where it listens",
        )
    return found


def reachable(binding: Binding, gateway: Gateway, until: ExitStack) -> Listener:
    """Where this binding's clients connect to: the gateway's listener, or a relay to it in this process.

    A listener on this machine takes them without TLS as well; the relay ends with `until`.
    """
    listener = gateway.listeners[binding.protocol]
    if not binding.plain or not listener.tls or HostPort(listener.host, listener.port).loopback:
        return listener
    return until.enter_context(Relay(listener, gateway.ca_pem)).listener


def private_home(folder: PrivateFolder, made: Sequence[tuple[Binding, Situation]]) -> Mapping[str, str]:
    """A HOME with the bindings' files and nothing else, and the variable that names it."""
    home = folder.path / _HOME
    home.mkdir(mode=0o700)
    for binding, situation in made:
        for name, text in binding.home(situation).items():
            folder.write(f"{_HOME}/{name}", text)
    return {"HOME": str(home)}
