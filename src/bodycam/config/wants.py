"""What each protocol makes of its targets' settings, held against those that are there."""

from collections.abc import Iterator, Mapping

from bodycam.config.settings import Settings
from bodycam.config.targets import TargetSettings
from bodycam.model.target import TargetWants

Finding = tuple[tuple[str | int, ...], str]

_EVERYBODY = frozenset({"protocol", "labels", "tls", "capture"})


def unwanted(settings: Settings, wants: Mapping[str, TargetWants]) -> Iterator[Finding]:
    """The keys of targets that are missing or of no use, by what their protocols want."""
    for name, target in settings.targets.items():
        wanted = wants.get(target.protocol)
        if wanted is None:
            continue
        there = frozenset(key for key in target.model_fields_set if getattr(target, key) is not None)
        for key in sorted(wanted.needs - there):
            yield ("targets", name, key), "this key is missing and has no default"
        for key in sorted(there - wanted.needs - wanted.takes - _EVERYBODY):
            yield ("targets", name, key), f"a target of protocol {target.protocol} has no use for this key"
        yield from _tls(name, target, wanted)
        yield from _reserved(name, target, wanted)
        if wanted.host_keys and target.known_hosts is None and target.host_keys is None:
            yield ("targets", name), _unproved(target)


def _reserved(name: str, target: TargetSettings, wanted: TargetWants) -> Iterator[Finding]:
    clients = f"to clients of protocol {target.protocol}"
    if name in wanted.reserved_targets:
        yield ("targets", name), f"the name {name} means something else {clients}: call the target otherwise"
    accounts: list[tuple[tuple[str | int, ...], str | None]] = [(("user",), target.user)]
    accounts += [(("users", at), user) for at, user in enumerate(target.users or ())]
    for key, account in accounts:
        if account in wanted.reserved_accounts:
            yield (
                ("targets", name, *key),
                f"the account {account} means something else {clients}: give the gateway another one there",
            )


def _unproved(target: TargetSettings) -> str:
    at = target.address
    where = "HOST" if at is None else f"-p {at.port} {at.host}"
    return (
        "expected host_keys or known_hosts, by which the gateway knows the target from others: "
        f"`ssh-keyscan {where}` shows its keys; compare them with /etc/ssh/*.pub on the target itself"
    )


def _tls(name: str, target: TargetSettings, wanted: TargetWants) -> Iterator[Finding]:
    mode = target.tls.sslmode
    if mode is not None and mode not in wanted.sslmodes:
        modes = ", ".join(sorted(one.value for one in wanted.sslmodes))
        yield ("targets", name, "tls", "sslmode"), f"expected one of {modes} for protocol {target.protocol}"
