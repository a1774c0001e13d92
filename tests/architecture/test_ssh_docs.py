"""docs/security.md names the algorithms of SSH that are spoken, and docs/ssh.md the bounds and kinds, and no others."""

import re
from pathlib import Path

import pytest

from bodycam.protocols.ssh import algorithms, asking, client
from bodycam.protocols.ssh.answers import DENIED_STATUS, FAILED_STATUS
from bodycam.protocols.ssh.approvals import MOST_WAITING
from bodycam.protocols.ssh.files.bounds import HANDLES_MOST, WAITING_MOST
from bodycam.protocols.ssh.place import JUMP, OWN_ACCOUNT
from bodycam.protocols.ssh.protocol import PROTOCOL

DOCS = Path(__file__).parents[2] / "docs"
TABLE = (DOCS / "security.md").read_text().split("### Algorithms of SSH")[1].split("\n#")[0]
PAGE = (DOCS / "ssh.md").read_text()


@pytest.mark.parametrize(
    ("row", "spoken"),
    [
        ("key exchange", algorithms.KEX),
        ("encryption", algorithms.ENCRYPTION),
        ("MAC, for CTR", algorithms.MAC),
        ("signatures", algorithms.SIGNATURES),
    ],
)
def test_the_algorithms_are_those_of_the_code(row: str, spoken: tuple[str, ...]) -> None:
    [cells] = re.findall(rf"^\| {row} \| (.*) \|$", TABLE, re.MULTILINE)
    assert tuple(re.findall(r"`([^`]+)`", cells)) == spoken


@pytest.mark.parametrize(
    "told",
    [
        f"| channels of a connection | {client.CHANNELS_MOST} at a time |",
        f"| proofs at a login | {client.PROOFS_MOST};",
        f"| a password or token | {client.PASSWORD_MOST >> 10} KiB |",
        f"that OpenSSH's client sends | {client.OPENSSH_LONGEST} bytes:",
        f"that are recorded | {asking.ENV_MOST}, of {asking.ENV_LONGEST >> 10} KiB each;",
        f"open at once on a channel of SFTP | {HANDLES_MOST} |",
        f"wait for people | {MOST_WAITING} of a connection, {WAITING_MOST} of a channel of SFTP |",
        f"ends with the status {DENIED_STATUS},",
        f"can't carry out ends with {FAILED_STATUS},",
        f"can be called `{JUMP}`, and no account `{OWN_ACCOUNT}`",
    ],
)
def test_the_bounds_are_those_of_the_code(told: str) -> None:
    assert told in PAGE


def test_what_is_let_through_without_an_allow_is_what_the_code_lets_through() -> None:
    rows = re.findall(r"^\| .* \| `([A-Z-]+)` \| (let through|denied) \|$", PAGE, re.MULTILINE)
    assert {kind for kind, said in rows if said == "let through"} == PROTOCOL.settings.allows
    assert {kind for kind, _ in rows} == {
        *(kind.value.upper() for kind in asking.Kind), "FORWARD", "SOCKET-FORWARD"
    }  # fmt: skip
