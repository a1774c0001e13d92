"""Checks between sections: names that must exist elsewhere, and doors that must not stand open."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from bodycam.config.people import ANY
from bodycam.config.retention import called, contradictions
from bodycam.config.settings import Settings
from bodycam.config.viewing import OWN
from bodycam.model.hosts import HostPattern

Path = tuple[str | int, ...]
Finding = tuple[Path, str]

_RESERVED = ("secrets", "pii", "column", "json", "unread")


def _agents_exist(settings: Settings) -> Iterator[Finding]:
    for number, entry in enumerate(settings.access):
        for place, agent in enumerate(entry.agents or ()):
            if agent not in settings.agents:
                yield (
                    ("access", number, "agents", place),
                    f"expected a declared agent: {_names(settings.agents)}",
                )


def _workloads_agents_exist(settings: Settings) -> Iterator[Finding]:
    for number, provider in enumerate(settings.identity.providers):
        for place, workload in enumerate(provider.workloads):
            if workload.agent not in settings.agents:
                path = ("identity", "providers", number, "workloads", place, "agent")
                yield path, f"expected a declared agent: {_names(settings.agents)}"


def _targets_exist(settings: Settings) -> Iterator[Finding]:
    for number, entry in enumerate(settings.access):
        for place, target in enumerate(entry.targets.names):
            if target != ANY and target not in settings.targets:
                path = ("access", number, "targets", "names", place)
                yield path, f"expected a declared target: {_names(settings.targets)}"


def _grants_apart(settings: Settings) -> Iterator[Finding]:
    first: dict[str, int] = {}
    for number, grant in enumerate(settings.viewing):
        if first.setdefault(grant.name, number) != number:
            yield ("viewing", number, "name"), "expected a name that no other grant has"
        reviewers = settings.roles.reviewer
        if grant.name != OWN and not (reviewers.groups or reviewers.subjects):
            yield (
                ("viewing", number),
                "expected somebody in roles.reviewer: grants count for those who have that role",
            )


def _rules_exist(settings: Settings) -> Iterator[Finding]:
    first: dict[str, int] = {}
    for number, rule in enumerate(settings.rules):
        if rule.name is not None and first.setdefault(rule.name, number) != number:
            yield ("rules", number, "name"), "expected a name that no other rule has"
        for place, agent in enumerate(rule.agents or ()):
            if agent not in settings.agents:
                yield (
                    ("rules", number, "agents", place),
                    f"expected a declared agent: {_names(settings.agents)}",
                )
        for place, target in enumerate(() if rule.targets is None else rule.targets.names):
            if target != ANY and target not in settings.targets:
                path = ("rules", number, "targets", "names", place)
                yield path, f"expected a declared target: {_names(settings.targets)}"


def _doors(settings: Settings) -> Iterator[Finding]:
    addresses = {"control": settings.listen.control, **settings.listen.protocols}
    named = bool(settings.tls.names) or settings.tls.certificate is not None
    taken: dict[str, str] = {}
    for name, address in addresses.items():
        if address.port and (other := taken.setdefault(str(address), name)) != name:
            yield ("listen", name), f"expected an address of its own; listen.{other} has this one"
        if address.loopback:
            continue
        if not settings.tls.enabled:
            yield (
                ("listen", name),
                "expected a loopback address: a listener that other machines reach does not start while "
                "tls.enabled is false",
            )
        elif not named:
            yield (
                ("listen", name),
                "expected a loopback address, or the names by which clients reach this machine in tls.names, "
                "or tls.certificate and tls.key",
            )


def _hosts_apart(settings: Settings) -> Iterator[Finding]:
    first: dict[tuple[str, HostPattern], str] = {}
    for name, target in settings.targets.items():
        for place, pattern in enumerate(target.hosts or ()):
            other = first.setdefault((target.protocol, pattern), name)
            if other != name:
                yield ("targets", name, "hosts", place), f"expected hosts that targets.{other} doesn't have"


def _masked_targets_exist(settings: Settings) -> Iterator[Finding]:
    for number, entry in enumerate(settings.masking):
        unless = entry.unless.targets if entry.unless is not None else None
        for path, selector in ((("targets",), entry.targets), (("unless", "targets"), unless)):
            for place, target in enumerate(selector.names if selector is not None else ()):
                if target != ANY and target not in settings.targets:
                    yield (
                        ("masking", number, *path, "names", place),
                        f"expected a declared target: {_names(settings.targets)}",
                    )


def _own_detectors(settings: Settings) -> Iterator[Finding]:
    for name in settings.detectors:
        if (wrong := reserved(name)) is not None:
            yield ("detectors", name), wrong


def reserved(name: str) -> str | None:
    """What is wrong with the name of a detector of one's own; None if it may be one."""
    if name.partition(".")[0] in _RESERVED:
        return f"expected a name that doesn't begin with {', '.join(_RESERVED)}"
    return None


def _retention_agrees(settings: Settings) -> Iterator[Finding]:
    rules, first = settings.retention, dict[str, int]()
    for number, name in enumerate(called(rules)):
        if first.setdefault(name, number) != number:
            yield ("retention", number, "name"), "expected a name that no other rule has"
    for number, key, message in contradictions(rules):
        yield ("retention", number, key), message


def _names(declared: Mapping[str, Any]) -> str:
    return ", ".join(sorted(declared)) or "none is declared"


_CHECKS: tuple[tuple[frozenset[str], Callable[[Settings], Iterator[Finding]]], ...] = (
    (frozenset({"access", "agents"}), _agents_exist),
    (frozenset({"identity", "agents"}), _workloads_agents_exist),
    (frozenset({"access", "targets"}), _targets_exist),
    (frozenset({"rules", "agents", "targets"}), _rules_exist),
    (frozenset({"viewing", "roles"}), _grants_apart),
    (frozenset({"listen", "tls"}), _doors),
    (frozenset({"targets"}), _hosts_apart),
    (frozenset({"masking", "targets"}), _masked_targets_exist),
    (frozenset({"detectors"}), _own_detectors),
    (frozenset({"retention"}), _retention_agrees),
)


def findings(settings: Settings, broken: frozenset[str] = frozenset()) -> Iterator[Finding]:
    """What does not fit together; checks that read a section in `broken` are left out."""
    for sections, check in _CHECKS:
        if not sections & broken:
            yield from check(settings)
