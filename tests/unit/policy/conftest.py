"""The detectors, compiled once for all tests: hundreds of patterns take seconds."""

import pytest

from bodycam.policy.detectors.matcher import Matcher
from bodycam.policy.detectors.patterns import Patterns


@pytest.fixture(scope="session")
def patterns(tmp_path_factory: pytest.TempPathFactory) -> Patterns:
    return Patterns.open(
        tmp_path_factory.mktemp("detectors"),
        {"employee": r"\bE[0-9]{6}\b", "pin": r"pin=(\d{4})", "whole": r"\AW-[0-9]{4}\z"},
    )


@pytest.fixture(scope="session")
def matcher(patterns: Patterns) -> Matcher:
    """Everything that `secrets` and `pii` choose."""
    return patterns.matcher(["secrets", "pii", "employee", "pin", "whole"])
