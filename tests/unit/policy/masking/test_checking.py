"""Masks that can't be kept are refused by name."""

from pathlib import Path

import pytest

from bodycam.app.judging import load_settings
from bodycam.config import SettingsError


@pytest.mark.parametrize(
    ("entry", "key"),
    [
        ("{columns: [customers.ssn]}", "masking[0].columns"),
        ("{detect: [pii.card], unless: {columns: [a.b]}}", "masking[0].unless.columns"),
    ],
)
def test_masks_by_column_are_not_in_this_version(tmp_path: Path, entry: str, key: str) -> None:
    file = tmp_path / "bodycam.yaml"
    file.write_text(f"masking:\n  - {entry}\n")

    with pytest.raises(SettingsError, match="masks by column are not in this version") as caught:
        load_settings(file)
    assert f"{file}:2: {key}" in str(caught.value)


def test_detectors_are_fine(tmp_path: Path) -> None:
    file = tmp_path / "bodycam.yaml"
    file.write_text("masking:\n  - {detect: [secrets, pii]}\n")

    assert len(load_settings(file).masking) == 1
