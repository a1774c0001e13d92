"""Bundles of evidence that were once written are verified for ever.

`evidence_v<N>` holds what version N of the format wrote. These files are never made anew; when one of these
tests fails, the code is wrong.
"""

import hashlib
import json
import re
from pathlib import Path

import pytest

from bodycam.archive.evidence import bundle, dsse, statement
from bodycam.archive.evidence.checking import BundleVerifier
from bodycam.archive.findings import Verified
from bodycam.archive.kept import read_kept
from bodycam.archive.keys import load_signing_public
from bodycam.registry import TRANSCRIPTS

FOLDERS = sorted(Path(__file__).parent.glob("evidence_v*"))
PAGE = Path(__file__).parents[2] / "docs" / "evidence.md"


@pytest.fixture(params=FOLDERS, ids=lambda folder: folder.name)
def golden(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


def test_there_is_one() -> None:
    assert FOLDERS


def test_it_is_as_authentic_as_it_was(golden: Path) -> None:
    key, kept = load_signing_public(golden / "signing.pem"), read_kept(golden / "kept_head.json")
    report = BundleVerifier(golden / "bundle.tar", key=key, kept=kept, transcripts=TRANSCRIPTS).run()
    assert (report.findings, report.state) == ((), Verified.AUTHENTIC)
    said, expected = report.to_plain(), json.loads((golden / "expected.json").read_text())
    assert {name: said[name] for name in expected} == expected


def test_the_page_describes_its_members(golden: Path) -> None:
    """docs/evidence.md has each member of a bundle, in order, and no other."""
    with (golden / "bundle.tar").open("rb") as stream:
        names = [one.name for one in bundle.members(stream)]
    text = PAGE.read_text().split("## The bundle")[1].split("| `state` |")[0]
    described = re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)
    forms = [
        re.escape(one).replace("<session>", "ses_[a-z0-9]+").replace("<page>", "[0-9]{5,}")
        for one in described
    ]
    places = [next((at for at, form in enumerate(forms) if re.fullmatch(form, name)), None) for name in names]
    assert None not in places
    assert set(places) == set(range(len(forms)))
    fixed = [place for place, name in zip(places, names, strict=True) if not name.startswith("sessions/")]
    assert fixed == sorted(fixed)


def test_other_tools_can_check_the_manifest(golden: Path) -> None:
    """With nothing of ours: DSSE as its specification has it, and SHA-256 of each member."""
    import base64
    import tarfile

    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    with tarfile.open(golden / "bundle.tar") as archive:
        content = {one.name: archive.extractfile(one).read() for one in archive}  # type: ignore[union-attr]
    envelope = json.loads(content.pop("manifest.json"))
    payload, kind = base64.b64decode(envelope["payload"]), envelope["payloadType"]
    key = serialization.load_pem_public_key((golden / "signing.pem").read_bytes())
    assert isinstance(key, Ed25519PublicKey)
    signed = b"DSSEv1 %d %b %d %b" % (len(kind), kind.encode(), len(payload), payload)
    key.verify(base64.b64decode(envelope["signatures"][0]["sig"]), signed)
    subjects = {one["name"]: one["digest"]["sha256"] for one in json.loads(payload)["subject"]}
    assert subjects == {name: hashlib.sha256(data).hexdigest() for name, data in content.items()}
    assert (kind, json.loads(payload)["_type"]) == (dsse.IN_TOTO, statement.STATEMENT)
