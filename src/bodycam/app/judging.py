"""From the settings to the decision point that a worker asks."""

from pathlib import Path

from bodycam import config
from bodycam.config import Settings
from bodycam.config.rules import Unknown
from bodycam.policy.allowing import allow_lists
from bodycam.policy.decision import DecisionPoint, OriginsOf
from bodycam.policy.detectors.known import check_detectors
from bodycam.policy.rules.compiling import check_rules, compile_rules
from bodycam.policy.viewing import check_viewing
from bodycam.registry import LANGUAGES, PROTOCOLS, REQUESTS, WANTS


def load_settings(file: Path) -> Settings:
    """Read a settings file, its rules and detectors included.

    Raises:
        SettingsError: the file can't be read or is wrong, with every problem in it.
    """
    return config.load(file, protocols=WANTS, checks=(check_rules, check_detectors, check_viewing))


def decision_point(settings: Settings, origins: OriginsOf | None = None) -> DecisionPoint:
    """What judges operations by these settings; `origins` knows the columns that are masked by name."""
    analyses = {name: make() for name, make in LANGUAGES.items()}
    point = DecisionPoint(
        languages={
            name: analyses[protocol.language]
            for name, protocol in PROTOCOLS.items()
            if protocol.language in analyses
        },
        requests=REQUESTS,
        origins=origins,
    )
    adopt(point, settings)
    return point


def adopt(point: DecisionPoint, settings: Settings) -> None:
    """Judge by these settings from here on, in open sessions too."""
    point.adopt(
        compile_rules(settings),
        config.policy_version(settings),
        deny_unknown=settings.judging.unknown is Unknown.DENY,
        masks=bool(settings.masking),
        allowed=allow_lists(settings, WANTS),
    )
