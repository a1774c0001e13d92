"""Replaced keys and recordings, as the first version of these forms wrote them."""

import json
import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from bodycam.archive.format.container import SessionReader, read_footer
from bodycam.archive.head import Head
from bodycam.archive.kept import KeptHead
from bodycam.archive.keystore import KeyStore
from bodycam.archive.ledger import Ledger
from bodycam.archive.store.local import LocalStore
from bodycam.archive.verify import Verifier
from bodycam.model.event import Kind
from tests.golden.make_recordings import WRAPPING
from tests.golden.make_successors import NEW, OLD, SESSION, SUCCESSOR


@pytest.fixture
def golden(tmp_path: Path) -> Path:
    shutil.copytree(Path(__file__).parent / "successors_v1", tmp_path / "golden")
    return tmp_path / "golden"


@pytest.mark.parametrize("pinned", ["signing.hex", "successor.hex"])
def test_either_key_leads_to_the_whole(pinned: str, golden: Path) -> None:
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex((golden / pinned).read_text()))
    head = Head.from_plain(json.loads((golden / "kept_head.json").read_text()))
    kept = [KeptHead("the head", head)]
    report = Verifier(golden / "ledger", LocalStore(golden / "recordings"), key, pinned=True, kept=kept).run()
    assert (report.findings, report.state.value) == ((), "authentic")
    assert [one["new"] for one in report.successions] == [(golden / "successor.hex").read_text().strip()]
    (told,) = report.redactions["told"]
    assert (told["reason"], told["old_object"], told["new_object"]) == ("golden", OLD, NEW)


def test_the_redacted_recording_reads_as_it_was_written(golden: Path) -> None:
    expected = json.loads((golden / "redacted.json").read_text())
    keystore = KeyStore(golden / "keystore" / "keys.db", WRAPPING)
    assert keystore.get(SESSION).hex() == expected["key"]
    data = (golden / "recordings" / NEW).read_bytes()
    (place,), _ = read_footer(lambda at, size: data[at : at + size], len(data))
    assert place.root.hex() == expected["new"]
    reader = SessionReader(lambda at, size: data[at : at + size], place.offset, place.length)
    *events, note, last = list(reader.events(keystore.get(SESSION)))
    assert events[1][3][1] == "[redacted]***********"
    assert note[3] == {"note": "redacted", "values": expected["values"], "fingerprint": "0" * 32}
    assert last[0] == Kind.CLOSED
    keystore.close()


def test_the_ledger_goes_on_under_the_new_key(golden: Path) -> None:
    ledger = Ledger(golden / "ledger", SUCCESSOR)
    assert [leaf[0] for leaf in ledger.leaves()][-2:] == [7, 8]
    ledger.close()
