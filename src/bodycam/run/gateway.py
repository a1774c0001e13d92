"""What the gateway says of itself to one who wants to start a run: listeners, CA, targets."""

from collections.abc import Collection, Mapping, Sequence
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
    """One gateway as seen by one agent; `certificates` says whether it gives runs client certificates.

    `ca_pem` vouches for the listeners, `interception_ca_pem` for the certificates that the gateway shows in
    a target's stead; each is "" where there is none. `ssh_host_key` is the key that it shows to SSH clients,
    as OpenSSH writes it, "" where it has no listener for SSH.
    """

    listeners: Mapping[str, Listener]
    ca_pem: str
    targets: tuple[Reachable, ...]
    certificates: bool = False
    interception_ca_pem: str = ""
    ssh_host_key: str = ""


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
            interception_ca_pem=str(plain.get("interception_ca_pem") or ""),
            ssh_host_key=_host_key(plain) if "ssh" in plain["listeners"] else "",
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunFailure(
            f"the gateway's description of itself can't be understood: {type(error).__name__} {error}",
            hint="check that this bodycam and the gateway have the same version",
        ) from error


def _host_key(plain: Mapping[str, Any]) -> str:
    fields = str(plain.get("ssh_host_key") or "").split()
    if len(fields) < 2:
        raise ValueError("it listens for SSH and tells no ssh_host_key")
    return " ".join(fields[:2])  # a comment may follow


def choose(
    gateway: Gateway, agent: str, wanted: Sequence[str], protocols: Collection[str]
) -> dict[str, Reachable]:
    """The target that the clients of each of these protocols open when they name none, by protocol.

    Clients of other protocols name one with each request, so that there is nothing to choose.

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
    for protocol in sorted({target.protocol for target in gateway.targets}.intersection(protocols)):
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
