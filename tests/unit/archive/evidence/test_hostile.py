"""Files that pose as bundles: refused with a reason, in bounded memory, whatever they claim."""

import gzip
import io
import json
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bodycam.archive.evidence import bundle, dsse, opened, statement
from bodycam.archive.findings import Verified
from bodycam.archive.format import v1
from bodycam.model import ids
from tests.unit.archive.evidence.made import told, verified

MEMORY = 160 << 20
KEY = Ed25519PrivateKey.generate()
PEM = KEY.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)
MAGIC = bundle.whole(bundle.MAGIC_NAME, bundle.MAGIC)


def tar(*members: tarfile.TarInfo, form: int = tarfile.GNU_FORMAT) -> bytes:
    data = b"".join(
        one.tobuf(form) + bytes(one.size) + bundle.padding(one.size) for one in members if one.size < 1 << 20
    )
    return MAGIC + data + bundle.END


def member(name: str, **more: object) -> tarfile.TarInfo:
    one = tarfile.TarInfo(name)
    one.mode = bundle.MODE
    for key, value in more.items():
        setattr(one, key, value)
    return one


def zipped() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", bytes(50_000_000))
    return made.getvalue()


FORMS: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "text": lambda: b"hello\n",
    "zeros": lambda: bytes(4096),
    "a compressed one": lambda: gzip.compress(MAGIC + bundle.END),
    "a zip bomb": zipped,
    "no magic": lambda: bundle.whole("run.json", b"{}") + bundle.END,
    "the magic of another version": lambda: (
        bundle.whole(bundle.MAGIC_NAME, b"bodycam evidence v2\n") + bundle.END
    ),
    "a path upwards": lambda: tar(member("../../etc/cron.d/x")),
    "a path upwards within": lambda: tar(member("sessions/../x")),
    "an absolute path": lambda: tar(member("/etc/passwd")),
    "a name with a line feed": lambda: tar(member("a\nb")),
    "a name of capitals": lambda: tar(member("RUN.json")),
    "a long name": lambda: tar(member("a" * 90 + "/" + "b" * 90)),
    "a symbolic link": lambda: tar(member("run.json", type=tarfile.SYMTYPE, linkname="/etc/passwd")),
    "a hard link": lambda: tar(member("run.json", type=tarfile.LNKTYPE, linkname="keys.jsonl")),
    "a folder": lambda: tar(member("sessions", type=tarfile.DIRTYPE)),
    "a device": lambda: tar(member("run.json", type=tarfile.CHRTYPE)),
    "a sparse file": lambda: tar(member("run.json", type=tarfile.GNUTYPE_SPARSE)),
    "an owner": lambda: tar(member("run.json", uid=1000, uname="me")),
    "a time": lambda: tar(member("run.json", mtime=1)),
    "another mode": lambda: tar(member("run.json", mode=0o4755)),
    "extended headers": lambda: tar(member("run.json", pax_headers={"path": "x"}), form=tarfile.PAX_FORMAT),
    "another form": lambda: tar(member("run.json"), form=tarfile.USTAR_FORMAT),
    "a member twice": lambda: tar(member("run.json"), member("run.json")),
    "a member larger than the file": lambda: MAGIC + bundle.header("run.json", 1 << 60) + bundle.END,
    "a negative size": lambda: MAGIC + bundle.header("run.json", -5) + bundle.END,
    "bytes between members": lambda: MAGIC[:-1] + b"x" + bundle.END,
    "bytes behind the end": lambda: MAGIC + bundle.END + b"x" * 512,
    "no end": lambda: MAGIC,
}


@pytest.mark.parametrize("form", FORMS)
def test_a_file_that_is_no_bundle(tmp_path: Path, form: str) -> None:
    file = tmp_path / "b.tar"
    file.write_bytes(FORMS[form]())
    report = verified(file, KEY.public_key())
    assert report.state is Verified.BROKEN
    assert told(report)[0].startswith("the bundle: ")
    if form not in ("no magic", "the magic of another version"):
        assert "offset" in told(report)[0]


def signed(*members: tuple[str, bytes]) -> bytes:
    """A bundle of somebody who made a key of their own for it."""
    whole = [(bundle.MAGIC_NAME, bundle.MAGIC), *members, (bundle.SIGNING, PEM)]
    named = [(name, dsse.hashlib.sha256(data).hexdigest()) for name, data in whole]
    payload = statement.encode(named, {"run": "run_a", "made": 1, "version": "0.1.0", "log": "", "size": 0})
    whole.append((bundle.MANIFEST, dsse.signed(dsse.IN_TOTO, payload, KEY)))
    return b"".join(bundle.whole(name, data) for name, data in whole) + bundle.END


def bomb() -> tuple[str, bytes]:
    """A recording, signed, with a block that becomes ten gigabytes."""
    session, key = bytes(16), bytes(32)
    writer = v1.SessionWriter(session, key, created=1)
    packed = zstandard.ZstdCompressor(write_content_size=True)
    parts = packed.compressobj(size=10 << 30)
    data = b"".join(parts.compress(bytes(1 << 20)) for _ in range(4))
    head = v1.BLOCK_HEAD.pack(bytes(12), 1, 0, 0)
    aad = v1._block_aad(session, 0, writer.chain, head)
    # a frame that tells ten gigabytes and has four megabytes of them
    framed = v1.frame(
        v1.BLOCK,
        head + AESGCM(key).encrypt(bytes(12), data + parts.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK), aad),
    )
    writer._adopt(framed)
    tail, _ = writer.finish(
        KEY, totals={}, outcome="ended", markers=[], worker=bytes(16), opening=1, sealed=1
    )
    return ids.session_id(session), writer.header + framed + tail


def recording_bomb() -> bytes:
    session, data = bomb()
    lines = {"session": session, "state": "sealed"}, {"session": session, "key": "00" * 32}
    told_of, key = (json.dumps(one).encode() + b"\n" for one in lines)
    return signed(
        (bundle.recording_name(session), data),
        (bundle.RUN, b'{"id": "run_a"}'),
        (bundle.SESSIONS, told_of),
        (bundle.KEYS, key),
    )


CONTENTS: dict[str, tuple[Callable[[], bytes], str]] = {
    "a recording that is a bomb": (recording_bomb, "does not say that it is at most"),
    "a line without an end": (
        lambda: signed((bundle.TRAIL, b"[" * (40 << 20))),
        "trail.jsonl: a line of more than",
    ),
    "a map of very many": (
        lambda: signed((bundle.RUN, b"[" + b"{}," * 4_000_000 + b"{}]")),
        "run.json: more items",
    ),
    "a map that is deep": (
        lambda: signed((bundle.RUN, b"[" * 90_000 + b"]" * 90_000)),
        "run.json: nested too deep",
    ),
    "no JSON": (lambda: signed((bundle.PROOFS, b"\xff\xfe")), "ledger/proofs.json"),
    "a number without an end": (lambda: signed((bundle.RUN, b"9" * 100_000)), "run.json"),
    "very many acts": (
        lambda: signed((bundle.TRAIL, b"{}\n" * 3001)),
        "trail.jsonl: has more than 3000 lines",
    ),
    "a section of noise": (lambda: signed((bundle.SECTION, b"\xff" * 100_000)), "ledger/"),
}


@pytest.mark.parametrize("name", CONTENTS)
def test_contents_that_would_cost_too_much(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opened, "MOST_LINES", 3000)
    make, wanted = CONTENTS[name]
    file = tmp_path / "b.tar"
    file.write_bytes(make())
    tracemalloc.start()
    try:
        report = verified(file, None)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert report.state is Verified.BROKEN
    assert any(wanted in one for one in told(report)), told(report)[:5]
    assert peak < MEMORY, peak


def test_a_manifest_of_very_many(tmp_path: Path) -> None:
    payload = b'{"_type":"' + statement.STATEMENT.encode() + b'","subject":[' + b"[]," * 3_000_000 + b"[]]}"
    members = [
        (bundle.MAGIC_NAME, bundle.MAGIC),
        (bundle.SIGNING, PEM),
        (bundle.MANIFEST, dsse.signed(dsse.IN_TOTO, payload, KEY)),
    ]
    file = tmp_path / "b.tar"
    file.write_bytes(b"".join(bundle.whole(name, data) for name, data in members) + bundle.END)
    tracemalloc.start()
    try:
        report = verified(file, None)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "manifest.json: more items than there can be" in told(report)
    assert peak < MEMORY, peak


def test_a_large_member_is_not_taken_into_memory(tmp_path: Path) -> None:
    size, file = 1 << 28, tmp_path / "b.tar"
    with file.open("wb") as stream:
        stream.write(MAGIC + bundle.header(bundle.RUN, size))
        stream.truncate(stream.tell() + size)  # a hole, which costs no disk
        stream.seek(0, 2)
        stream.write(bundle.whole(bundle.SIGNING, PEM) + bundle.END)
    tracemalloc.start()
    try:
        report = verified(file, None)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert f"run.json: has {size} bytes, more than it may" in told(report)
    assert peak < MEMORY, peak
