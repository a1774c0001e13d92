"""The file of deletions, as the first version of its form wrote it."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from bodycam.archive import deletions
from bodycam.archive.findings import Report
from bodycam.archive.keystore import KeyGone, KeyStore
from bodycam.archive.store.local import LocalStore
from bodycam.archive.verify import Verifier
from tests.golden.make_deletions import ABANDONED, DELETED, SESSION
from tests.golden.make_recordings import WRAPPING


@pytest.fixture
def golden(tmp_path: Path) -> Path:
    shutil.copytree(Path(__file__).parent / "deletions_v1", tmp_path / "golden")
    return tmp_path / "golden"


def verified(golden: Path) -> Report:
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex((golden / "signing.hex").read_text()))
    return Verifier(golden / "ledger", LocalStore(golden / "recordings"), key, pinned=True).run()


def test_each_record_reads_as_it_was_written(golden: Path) -> None:
    assert [one for _, one in deletions.read(golden / "ledger")] == [DELETED, ABANDONED]


def test_the_same_is_still_written(golden: Path, tmp_path: Path) -> None:
    file = deletions.DeletionFile(tmp_path)
    file.add([DELETED, ABANDONED])
    file.close()
    assert (tmp_path / deletions.FILE).read_bytes() == (golden / "ledger" / deletions.FILE).read_bytes()


def test_verification_says_what_was_deleted_by_which_rule(golden: Path) -> None:
    report = verified(golden)
    assert (report.findings, report.counts["deleted"]) == ((), 2)
    # the first golden files have one already, of which nothing tells
    assert report.deletions == {"by_rule": {"short": 1}, "unknown": 1}
    keystore = KeyStore(golden / "keystore" / "keys.db", WRAPPING)
    with pytest.raises(KeyGone):
        keystore.get(SESSION)
    keystore.close()


def test_another_rule_is_not_what_the_tombstone_is_the_hash_of(golden: Path) -> None:
    (golden / "ledger" / deletions.FILE).unlink()
    file = deletions.DeletionFile(golden / "ledger")
    file.add([replace(DELETED, rule="long")])
    file.close()
    assert any("is the hash of" in one.what for one in verified(golden).findings)
