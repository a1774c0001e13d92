import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bodycam.archive import merkle
from bodycam.archive.head import Head
from bodycam.cli.main import build, invoke
from tests.unit.cli.fake_control import FakeControl, fake_control

LEAVES = [hashlib.sha256(bytes([number])).digest() for number in range(7)]
KEY = Ed25519PrivateKey.generate()


def head(size: int, leaves: list[bytes] = LEAVES, log: bytes = bytes(16)) -> dict[str, Any]:
    return Head.sign(KEY, log, size, merkle.root(leaves[:size]), 1).to_plain()


def verify(
    control: FakeControl, kept: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch, *options: str
) -> int:
    heads = folder / "bodycam" / "heads"
    heads.mkdir(parents=True, exist_ok=True)
    (heads / "run_x.json").write_text(json.dumps({"gateway": control.url, "head": kept}))
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    monkeypatch.setenv("BODYCAM_URL", control.url)
    monkeypatch.setenv("BODYCAM_API_KEY", "k")
    pinned = folder / "signing.pem"
    encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    pinned.write_bytes(KEY.public_key().public_bytes(encoding, form))
    return invoke(build(only="verify"), ["verify", "--json", "--key", str(pinned), *options])


def routes(leaves: list[bytes] = LEAVES) -> dict[str, Any]:
    def consistency(query: Any, _body: Any) -> tuple[int, Any]:
        proof = merkle.consistency_proof(int(query["first"]), int(query["second"]), merkle.subtrees(leaves))
        return 200, {"proof": [one.hex() for one in proof]}

    report = {"state": "self-consistent", "ok": True, "findings": [], "counts": {"sessions": 2}, "open": []}
    return {
        "POST /v1/verify": report,
        "GET /v1/ledger/head": head(len(leaves), leaves),
        "GET /v1/ledger/consistency": consistency,
    }


@pytest.mark.parametrize("size", [1, 2, 3, 4, 6, 7])
def test_a_ledger_that_grew_extends_the_kept_head(
    size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with fake_control(routes()) as control:
        assert verify(control, head(size), tmp_path, monkeypatch) == 0
    report = json.loads(capsys.readouterr().out)
    assert [one["ok"] for one in report["kept_heads"]] == [True]


@pytest.mark.parametrize(
    ("kept", "what"),
    [
        (head(3, [b"x" * 32, *LEAVES[1:]]), "rewritten"),
        (head(7, [b"x" * 32, *LEAVES[1:]]), "another root"),
        (head(3, log=b"y" * 16), "another ledger"),
        ({**head(3), "signature": "00" * 64}, "not signed"),
        ({**head(3), "size": 9}, "not signed"),
    ],
)
def test_a_ledger_that_was_rewritten_is_broken(
    kept: dict[str, Any],
    what: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with fake_control(routes()) as control:
        assert verify(control, kept, tmp_path, monkeypatch) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["state"] == "broken"
    assert what in report["findings"][0]["what"]


def test_a_ledger_that_shrank_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with fake_control(routes(LEAVES[:4])) as control:
        assert verify(control, head(6), tmp_path, monkeypatch) == 1
    assert "had 6 leaves and has 4 now" in capsys.readouterr().out


def test_a_head_given_by_hand_and_one_that_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "kept.json"
    file.write_text(json.dumps(head(2)))
    with fake_control(routes()) as control:
        assert verify(control, head(3), tmp_path, monkeypatch, "--head", str(file)) == 0
        assert len(json.loads(capsys.readouterr().out)["kept_heads"]) == 2
        file.write_text("[]")
        assert verify(control, head(3), tmp_path, monkeypatch, "--head", str(file)) == 2
