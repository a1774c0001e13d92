"""Which target a client means: by its name, or by the host and port that it wants to reach."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from bodycam.config.targets import TargetSettings
from bodycam.model.hosts import BadHost, host_name, host_port, is_address, together
from bodycam.session.grant import Wanted


@dataclass(frozen=True, slots=True)
class Found:
    """The target that is meant, if there is one; host and port, in their one form, if a host was named."""

    name: str
    declared: TargetSettings | None
    host: tuple[str, int] | None = None
    fault: str = ""  # why the text that was to name a host names none


def find(targets: Mapping[str, TargetSettings], wanted: Wanted) -> Found:
    """The target of the wanted protocol, by its name or by the host that is wanted, or both.

    A host's target is the first whose address it is, else the one with the narrowest pattern that matches.
    Where a client names both, they have to be of one another. A host that is none's may be a target's name
    where the protocol's clients write one for the other.
    """
    if not wanted.host:
        declared = targets.get(wanted.target)
        return Found(wanted.target, declared if _of(declared, wanted) else None)
    try:
        host = host_port(wanted.host)
    except BadHost as error:
        return Found(wanted.target, None, None, str(error))
    ours = {name: one for name, one in targets.items() if _of(one, wanted)}
    named = {wanted.target: ours[wanted.target]} if wanted.target in ours else {}
    # several targets may have one address, so that a name can choose; a host's own target is never gone round
    name = _by_address(named, host) or _by_address(ours, host) or _by_pattern(ours, host)
    if not name and wanted.named and host[0] in ours:
        name = host[0]
    if wanted.target and name != wanted.target:
        return Found(wanted.target, None, host)
    return Found(name, ours.get(name), host)


def served_at(targets: Mapping[str, TargetSettings], where: str, seen_from: str) -> tuple[str, str]:
    """Protocol and address of the target that is at `host:port`, as `seen_from` has it; two "" for none's.

    `seen_from` is the host from which it would be reached, as the settings name it: an address of loopback
    there is that host itself.
    """
    try:
        host, port = host_port(where)
        if _itself(host):
            host = host_name(seen_from)
    except BadHost:
        return "", ""
    for target in targets.values():
        at = target.address
        if at is not None and at.port == port and (_same(at.host, host) or _here(at.host, host)):
            return target.protocol, together(at.host, port)
    return "", ""


def _of(declared: TargetSettings | None, wanted: Wanted) -> bool:
    return declared is not None and declared.protocol == wanted.protocol


def _by_address(targets: Mapping[str, TargetSettings], host: tuple[str, int]) -> str:
    for name, target in targets.items():
        at = target.address
        if at is not None and at.port == host[1] and _same(at.host, host[0]):
            return name
    return ""


def _itself(host: str) -> bool:
    """Whether a host in its one form means whoever says it, as Linux takes the unspecified address too."""
    return host == "localhost" or (
        is_address(host) and (ip_address(host).is_loopback or ip_address(host).is_unspecified)
    )


def _here(written: str, host: str) -> bool:
    try:
        return _itself(host) and _itself(host_name(written))
    except BadHost:
        return False


def _same(written: str, host: str) -> bool:
    try:
        return host_name(written) == host
    except BadHost:
        return False


def _by_pattern(targets: Mapping[str, TargetSettings], host: tuple[str, int]) -> str:
    found = [
        (pattern.rank, name)
        for name, target in targets.items()
        for pattern in target.hosts or ()
        if pattern.matches(*host)
    ]
    return max(found)[1] if found else ""
