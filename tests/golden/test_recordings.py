"""Recordings and ledgers that were once written are read for ever.

A folder `recordings_v<N>` holds what version N wrote. These files are never made anew; when one of these
tests fails, the code is wrong.
"""

import json
import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from bodycam.archive.findings import Verified
from bodycam.archive.format.container import SessionReader, read_footer
from bodycam.archive.kept import KeptHead
from bodycam.archive.keystore import KeyGone, KeyStore
from bodycam.archive.ledger import Head, Ledger
from bodycam.archive.store.local import LocalStore
from bodycam.archive.verify import Verifier
from bodycam.model import ids
from tests.golden.make_recordings import SIGNING, WRAPPING, _shown, make

FOLDERS = sorted(Path(__file__).parent.glob("recordings_v*"))


@pytest.fixture(params=FOLDERS, ids=lambda folder: folder.name)
def golden(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy, because opening a ledger or a key store writes beside it."""
    return Path(shutil.copytree(request.param, tmp_path / "golden"))


def sessions(folder: Path) -> dict[str, SessionReader]:
    store, found = LocalStore(folder / "recordings"), {}
    for name in sorted(store.list()):
        data = store.get(name)
        places, _ = read_footer(lambda at, size, data=data: data[at : at + size], len(data))  # type: ignore[misc]
        for place in places:
            found[ids.session_id(place.session)] = SessionReader(
                lambda at, size, data=data: data[at : at + size],  # type: ignore[misc]
                place.offset,
                place.length,
            )
    return found


def test_there_are_golden_files() -> None:
    assert [folder.name for folder in FOLDERS] == ["recordings_v1", "recordings_v1_programs"]


def test_every_event_is_read_as_it_was_written(golden: Path) -> None:
    expected = json.loads((golden / "expected.json").read_text())
    found = sessions(golden)
    assert sorted(found) == sorted(one["session"] for one in expected)
    for one in expected:
        reader, key = found[one["session"]], bytes.fromhex(one["key"])
        assert [_shown(event) for event in reader.events(key)] == one["events"]
        late = [event for event in one["events"] if event[1] >= 3_000_000]
        assert [_shown(event) for event in reader.events(key, 3_000_000) if event[1] >= 3_000_000] == late
        assert reader.manifest().events == len(one["events"])


def test_keys_are_unwrapped_and_the_destroyed_one_is_gone(golden: Path) -> None:
    store = KeyStore(golden / "keystore" / "keys.db", WRAPPING)
    *kept, gone = json.loads((golden / "expected.json").read_text())
    for one in kept:
        assert store.get(ids.raw(one["session"])).hex() == one["key"]
    with pytest.raises(KeyGone):
        store.get(ids.raw(gone["session"]))
    store.close()


def test_it_verifies_with_its_kept_head(golden: Path) -> None:
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex((golden / "signing.hex").read_text()))
    kept = Head.from_plain(json.loads((golden / "kept_head.json").read_text()))
    report = Verifier(
        golden / "ledger",
        LocalStore(golden / "recordings"),
        key,
        pinned=True,
        kept=[KeptHead("kept_head.json", kept)],
    ).run()
    assert report.findings == ()
    assert report.state is Verified.AUTHENTIC
    assert (report.counts["sealed"], report.counts["deleted"]) == (3, 1)


def test_the_ledger_goes_on(golden: Path) -> None:
    kept = Head.from_plain(json.loads((golden / "kept_head.json").read_text()))
    ledger = Ledger(golden / "ledger", SIGNING)
    assert ledger.size == kept.size + 1
    assert [leaf[0] for leaf in ledger.leaves()] == [1, 2, 1, 2, 3, 3, 4, 1, 2, 3, 4, 6, 5]
    ledger.close()


def test_what_is_written_today_is_the_newest_version(tmp_path: Path) -> None:
    make(tmp_path)
    now, then = sessions(tmp_path), sessions(Path(__file__).parent / "recordings_v1")
    for session, reader in now.items():
        old, new = then[session].manifest(), reader.manifest()
        assert (new.header_hash, new.events, new.blocks) == (old.header_hash, old.events, old.blocks)
        assert (new.totals, new.markers, new.outcome) == (old.totals, old.markers, old.outcome)
