"""The detectors, compiled once for all tests: hundreds of patterns take seconds."""

from pathlib import Path

import pytest

from bodycam.policy.detectors.matcher import Matcher
from bodycam.policy.detectors.patterns import Patterns

OWN = {"employee": r"\bE[0-9]{6}\b", "pin": r"pin=(\d{4})", "whole": r"\AW-[0-9]{4}\z"}
NAMES = ["secrets", "pii", *OWN]


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("detectors")


@pytest.fixture(scope="session")
def patterns(cache: Path) -> Patterns:
    return Patterns.open(cache, OWN)


@pytest.fixture(scope="session")
def matcher(patterns: Patterns) -> Matcher:
    """Everything that `secrets` and `pii` choose, and the detectors of one's own."""
    return patterns.matcher(NAMES)


@pytest.fixture(scope="session")
def placed(cache: Path) -> Matcher:
    """The same, and it tells where in a text something may be."""
    return Patterns.open(cache, OWN).matcher(NAMES, placed=True)
