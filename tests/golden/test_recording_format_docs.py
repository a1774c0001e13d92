"""The program in docs/recording-format.md reads the golden recordings, and is not fooled by altered ones."""

import re
import subprocess
import sys
from pathlib import Path

import cbor2
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from bodycam.archive.format.container import END, MAGIC
from bodycam.archive.format.v1 import SIGNING_CONTEXT, Manifest
from bodycam.archive.leaf import Leaf
from bodycam.model.event import Flavor, Kind, Marker, Outcome, SessionOutcome
from tests.golden.make_recordings import OPENED, WRAPPING

PAGE = Path(__file__).parents[2] / "docs" / "recording-format.md"
GOLDEN = Path(__file__).parent / "recordings_v1"
CONTAINER = GOLDEN / "recordings/2026/09/21/rec_golden1.bcr"


@pytest.fixture
def program(tmp_path: Path) -> list[str]:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "read.py").write_text(code)
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex((GOLDEN / "signing.hex").read_text()))
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "signing.pem").write_bytes(pem)
    (tmp_path / "wrapping.key").write_bytes(WRAPPING)
    return [sys.executable, str(tmp_path / "read.py")]


def run(program: list[str], *arguments: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*program, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False
    )


def test_it_checks_and_decodes(program: list[str], tmp_path: Path) -> None:
    secrets = GOLDEN / "keystore/keys.db", tmp_path / "wrapping.key"
    done = run(program, CONTAINER, GOLDEN / "ledger/entries", tmp_path / "signing.pem", *secrets)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "01" * 16 + " interrupted 13"
    assert lines[2] == (
        "[2, 1500, 1, ['query', 'select id from orders', [], {'statements': 1}, 'statement', None, 0]]"
    )
    assert len(lines) == 28


def test_it_needs_no_secret_to_check(program: list[str], tmp_path: Path) -> None:
    done = run(program, CONTAINER, GOLDEN / "ledger/entries", tmp_path / "signing.pem")
    assert done.stdout.splitlines() == [f"0{n}" * 16 + " interrupted 13" for n in (1, 2)]


def test_an_altered_byte_is_not_believed(program: list[str], tmp_path: Path) -> None:
    data = bytearray(CONTAINER.read_bytes())
    data[300] ^= 1
    (tmp_path / "altered.bcr").write_bytes(data)
    done = run(program, tmp_path / "altered.bcr", GOLDEN / "ledger/entries", tmp_path / "signing.pem")
    assert done.returncode != 0
    assert done.stdout == ""


@pytest.mark.parametrize(
    "word",
    [
        *(f"`{name}`" for name in ["v", *Manifest.__slots__]),
        *(f"| {kind.value} | {kind.name.lower().replace('_', ' ')} |" for kind in Kind),
        *(f"| {flavor.value} | {flavor.name.lower()} |" for flavor in Flavor),
        *(f"`{one.value}`" for words in (Outcome, SessionOutcome, Marker) for one in words),
        *(f"`{name}`" for name in OPENED),
        *(f"`[{leaf.value}, ms, " for leaf in Leaf),
        MAGIC.decode().strip(),
        END.decode().strip(),
        SIGNING_CONTEXT.decode().strip("\0"),
    ],
)
def test_the_page_has_every_word_of_the_code(word: str) -> None:
    assert word in PAGE.read_text()


def test_the_golden_opening_has_every_field_of_the_page() -> None:
    (text,) = re.findall(r"\*\*opened\*\*: (.*?)\n\n", PAGE.read_text(), re.DOTALL)
    values = {"human", "service", "isolated", "separated", "advisory", "at"}
    inner = {"issuer", "subject", "kind", "groups", "name", "protocol"}
    named = set(re.findall(r"`(\w+)`", text)) - values - inner
    assert named == {*OPENED, "session", "opening"}
    assert cbor2.loads(cbor2.dumps(OPENED)) == OPENED
