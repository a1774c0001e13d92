"""Where and as whom the command line calls, when what it was given is wrong."""

from pathlib import Path

import pytest

from bodycam.net.control_access import ControlAccess, InClear, NoAccess, find_access
from bodycam.net.control_client import ControlClient

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


IN_CLEAR = [
    "http://gateway.example:7888",
    "http://10.0.0.1",
    "HTTP://192.168.1.1:7888/",
    "http://[fd00::1]:7888",
    "http://0.0.0.0:7888",
    "http://127.0.0.1@gateway.example:7888",
    "http://localhost.example",
    "http://127.1",
    "http://2130706433",
]
PRIVATE = [
    "http://localhost:7888",
    "http://LOCALHOST:7888",
    "http://127.0.0.1:7888",
    "http://127.8.9.1",
    "http://[::1]:7888",
    "https://gateway.example",
    "https://10.0.0.1:7888",
]


@pytest.mark.parametrize("url", IN_CLEAR)
@pytest.mark.parametrize("by_option", [True, False])
def test_plain_http_to_another_machine_is_refused_before_the_key_is_read(
    tmp_path: Path, url: str, by_option: bool
) -> None:
    # a file that is not there: to read it would be another error
    environ = {"BODYCAM_KEY_FILE": str(tmp_path / "absent")}
    with pytest.raises(InClear, match="would go there in clear") as caught:
        find_access(
            environ if by_option else {**environ, "BODYCAM_URL": url},
            url=url if by_option else None,
            folder=tmp_path,
        )
    assert "https://" in caught.value.hint
    assert "@" not in caught.value.message


@pytest.mark.parametrize("url", IN_CLEAR)
def test_a_client_with_a_key_is_not_made_for_plain_http_to_another_machine(url: str) -> None:
    with pytest.raises(InClear, match="would go there in clear"):
        ControlClient(ControlAccess(url, "bca_key"))


@pytest.mark.parametrize("url", PRIVATE)
def test_loopback_and_https_are_called(tmp_path: Path, url: str) -> None:
    access = find_access({"BODYCAM_URL": url, "BODYCAM_API_KEY": "bca_key"}, folder=tmp_path)
    ControlClient(access).close()
