"""The file of a hunt: its forms, and what is wrong with it by line and key."""

from pathlib import Path

import pytest

from bodycam.config import SettingsError
from bodycam.config.hunt import load_hunt
from bodycam.config.masking import Detector


def unknown(name: str) -> str | None:
    return None if name in ("secrets", "pii") else "there is no detector of this name"


def loaded(tmp_path: Path, text: str) -> object:
    file = tmp_path / "rules.yaml"
    file.write_text(text)
    return load_hunt(file, {"employee": Detector(pattern="E[0-9]+")}, unknown)


def test_groups_own_detectors_and_those_of_the_settings(tmp_path: Path) -> None:
    rules = loaded(
        tmp_path,
        "detect: [secrets, employee, corp]\n"
        "detectors:\n  corp: {pattern: 'corp_[a-z]+', secret: true}\n  badge: {pattern: 'B[0-9]'}\n",
    )
    assert rules.detect == ("secrets", "employee", "corp")  # type: ignore[attr-defined]
    own = rules.detectors  # type: ignore[attr-defined]
    assert (own["corp"].secret, own["badge"].secret, list(own)) == (True, False, ["corp", "badge"])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "rules.yaml:1: expected a map"),
        ("detect: []\n", "expected detect, detectors or both"),
        ("detect: secrets\n", "rules.yaml:1: detect: expected a list"),
        ("detect: [pii, secrts]\n", "rules.yaml:1: detect[1]: there is no detector"),
        (
            "detect: [pii]\nmasking: []\n",
            "rules.yaml:2: masking: no such key; expected one of detect, detectors",
        ),
        ("detect: [pii]\ndetect: [secrets]\n", "rules.yaml:2: detect: this key stands here twice"),
        (
            "detectors:\n\n  a:\n    pattern: '(['\n",
            "rules.yaml:4: detectors.a.pattern: expected a regular expression of RE2",
        ),
        (
            "detectors:\n  a: {pattern: 'x*'}\n",
            "detectors.a.pattern: expected a regular expression that doesn't",
        ),
        ("detectors:\n  a: {secret: true}\n", "rules.yaml:2: detectors.a.pattern: this key is missing"),
        (
            "detectors:\n  a: {pattern: x, then: null}\n",
            "detectors.a.then: no such key; expected one of pattern, secret",
        ),
        (
            "detectors:\n  secrets.mine: {pattern: x}\n",
            "rules.yaml:2: detectors.secrets.mine: expected a name",
        ),
        ("detectors:\n  'a b': {pattern: x}\n", "rules.yaml:2: detectors.a b: expected a name of letters"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        loaded(tmp_path, text)
    assert says in str(caught.value)


def test_what_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_bytes(b"detect: [\xff]")
    for name in ("rules.yaml", "nothere.yaml", "."):
        with pytest.raises(SettingsError, match="expected a file of detectors"):
            load_hunt(tmp_path / name, {}, unknown)
