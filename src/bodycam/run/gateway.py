"""What the gateway says of itself to one who wants to start a run: listeners, CA, targets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bodycam.run.failure import USAGE, RunFailure


@dataclass(frozen=True, slots=True)
class Listener:
    """Where a client reaches the gateway for one protocol, and whether it speaks TLS there."""

    host: str
    port: int
    tls: bool


@dataclass(frozen=True, slots=True)
class Reachable:
    """A target that the agent may open; `hosts` are its real addresses, as host:port."""

    name: str
    protocol: str
    hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Gateway:
    """One gateway as seen by one agent; `certificates` says whether it gives runs client certificates."""

    listeners: Mapping[str, Listener]
    ca_pem: str
    targets: tuple[Reachable, ...]
    certificates: bool = False


def gateway_from(plain: Mapping[str, Any]) -> Gateway:
    """The answer of `GET /v1/gateway`.

    Raises:
        RunFailure: the answer is not what this version understands.
    """
    try:
        return Gateway(
            listeners={
                str(name): Listener(str(one["host"]), int(one["port"]), bool(one["tls"]))
                for name, one in plain["listeners"].items()
            },
            ca_pem=str(plain.get("ca_pem") or ""),
            targets=tuple(
                Reachable(str(one["name"]), str(one["protocol"]), tuple(map(str, one.get("hosts") or ())))
                for one in plain["targets"]
            ),
            certificates=plain.get("certificates") is True,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunFailure(
            f"the gateway's description of itself can't be understood: {type(error).__name__} {error}",
            hint="check that this bodycam and the gateway have the same version",
        ) from error


def choose(gateway: Gateway, agent: str, wanted: Sequence[str]) -> dict[str, Reachable]:
    """The target that each protocol's clients open when they name none, by protocol.

    Raises:
        RunFailure: a wanted target is not there, several fit and none is chosen, or there is nothing to open.
    """
    by_name = {target.name: target for target in gateway.targets}
    if not by_name:
        raise RunFailure(
            f"the agent {agent} may open no target, or not when you start it",
            hint="`bodycam targets` lists them; `access` in the settings grants them",
        )
    for name in wanted:
        if name not in by_name:
            raise RunFailure(
                f"the agent {agent} may not open a target named {name}",
                hint=f"choose one of: {', '.join(sorted(by_name))}",
                code=USAGE,
            )
    chosen: dict[str, Reachable] = {}
    for protocol in sorted({target.protocol for target in gateway.targets}):
        fitting = [target for target in gateway.targets if target.protocol == protocol]
        picked = [target for target in fitting if target.name in wanted]
        if len(picked) > 1 or (len(fitting) > 1 and not picked):
            raise RunFailure(
                f"several {protocol} targets fit: {', '.join(sorted(target.name for target in fitting))}",
                hint="choose one with --target NAME",
                code=USAGE,
            )
        chosen[protocol] = picked[0] if picked else fitting[0]
    return chosen
