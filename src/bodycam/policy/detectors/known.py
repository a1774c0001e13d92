"""Whether a name is one of a detector, for settings that are only checked: nothing is compiled."""

import difflib
from collections.abc import Iterator
from functools import cache

from bodycam.config.settings import Settings
from bodycam.policy.detectors import pii, secrets
from bodycam.policy.detectors.national import ANYWHERE

_GROUPS = (secrets.GROUP, pii.GROUP, ANYWHERE)


def unknown(name: str) -> str | None:
    """What is wrong with a name in the settings that is none of theirs; None if there is such a detector.

    Raises:
        RulesUnreadable: the installed rules can't be read; they are asked only about single secrets.
    """
    if name in _GROUPS:
        return None
    installed = _personal() if name.partition(".")[0] == pii.GROUP else _everything()
    if chosen(name, installed):
        return None
    near = difflib.get_close_matches(name, hints(_everything()), n=3)
    said = f"did you mean {' or '.join(near)}?" if near else f"expected {', '.join(_GROUPS)} or one of theirs"
    return f"there is no detector of this name; {said}"


def check_detectors(settings: Settings) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """The names in `masking` that are none of a detector (`config.load.Check`)."""
    for number, entry in enumerate(settings.masking):
        for place, name in enumerate(entry.detect):
            if name not in settings.detectors and (wrong := unknown(name)) is not None:
                yield ("masking", number, "detect", place), wrong


def chosen(name: str, detectors: frozenset[str]) -> list[str]:
    """The detectors that a name chooses: itself, or all of which it is the beginning."""
    return [one for one in detectors if chooses(name, one)]


def chooses(name: str, detector: str) -> bool:
    """Whether a name chooses a detector: `secrets.aws` is all of `secrets.aws-...`."""
    if detector == name:
        return True
    if name == pii.GROUP and detector.startswith(f"{ANYWHERE}."):
        # most of the whole cost for numbers of a few countries: only if asked for
        return False
    return detector.startswith(f"{name}.") or ("." in name and detector.startswith(f"{name}-"))


def hints(detectors: frozenset[str]) -> list[str]:
    """Names to propose: detectors, groups, and what names of secrets begin with."""
    return sorted({*_GROUPS, *detectors, *(one.partition("-")[0] for one in detectors)})


def _personal() -> frozenset[str]:
    return frozenset(rule.name for rule in pii.RULES)


@cache
def _everything() -> frozenset[str]:
    return _personal() | frozenset(rule.name for rule in secrets.rules(secrets.listed()))
