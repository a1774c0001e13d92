"""Where and as whom the command line calls, when what it was given is wrong."""

from pathlib import Path

import pytest

from bodycam.net.control_access import NoAccess, find_access

URL = "https://gateway.example:7888"


@pytest.mark.parametrize(
    "url",
    ["http://[::1", "https://", "https://:7888", "http://h:port", "http://h:99999", "http://h:0", "ftp://h"],
)
def test_what_is_no_url_is_named(tmp_path: Path, url: str) -> None:
    with pytest.raises(NoAccess, match="is not a URL of a control API") as caught:
        find_access({"BODYCAM_URL": url, "BODYCAM_API_KEY": "bca_key"}, folder=tmp_path)
    assert "BODYCAM_URL" in caught.value.hint


@pytest.mark.parametrize("key", ["bca_first\nsecond", "bca_schl\u00fcssel", "bca_one two", "bca_\x00"])
def test_a_key_that_no_header_takes_is_refused_and_not_shown(tmp_path: Path, key: str) -> None:
    with pytest.raises(NoAccess, match="characters that no API key has") as caught:
        find_access({"BODYCAM_URL": URL, "BODYCAM_API_KEY": key}, folder=tmp_path)
    assert key not in f"{caught.value}{caught.value.hint}"
    file = tmp_path / "key"
    file.write_text(key)
    file.chmod(0o600)
    with pytest.raises(NoAccess, match="characters that no API key has"):
        find_access({"BODYCAM_URL": URL, "BODYCAM_KEY_FILE": str(file)}, folder=tmp_path)


def test_line_ends_around_a_key_are_no_part_of_it(tmp_path: Path) -> None:
    access = find_access({"BODYCAM_URL": f"{URL}/", "BODYCAM_API_KEY": "bca_key\n"}, folder=tmp_path)
    assert (access.url, access.key) == (URL, "bca_key")
