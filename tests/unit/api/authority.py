"""A time-stamp authority on loopback: OpenSSL's own, with certificates made here."""

import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CONFIG = """\
[tsa]
default_tsa = one
[one]
dir = {folder}
serial = {folder}/serial
crypto_device = builtin
signer_cert = {folder}/tsa.pem
certs = {folder}/root.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha512
accuracy = secs:1
ess_cert_id_alg = sha256
"""


def certificates(folder: Path) -> Path:
    """A root and an authority's certificate under it; returns the root's file."""
    now = datetime.now(UTC)
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, one)]) for one in ("root", "tsa")]

    def made(subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(names[0]).public_key(public)
        builder = builder.serial_number(x509.random_serial_number())
        return builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=2))

    ca = x509.BasicConstraints(ca=True, path_length=None)
    root = made(names[0], root_key.public_key()).add_extension(ca, critical=True)
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
    tsa = made(names[1], key.public_key()).add_extension(usage, critical=True)
    for name, builder in (("root", root), ("tsa", tsa)):
        signed = builder.sign(root_key, hashes.SHA256())
        (folder / f"{name}.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    (folder / "tsa.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    )
    return folder / "root.pem"


@dataclass
class Authority:
    """`spoil` may change an answer; `asked` counts requests."""

    root: Path
    url: str = ""
    asked: int = 0
    spoil: Callable[[bytes], bytes] | None = None
    kinds: set[str] = field(default_factory=set)


@contextmanager
def authority(folder: Path) -> Iterator[Authority]:
    openssl = shutil.which("openssl")
    assert openssl, "openssl comes with the server that tests use"
    folder.mkdir()
    one = Authority(certificates(folder))
    (folder / "serial").write_text("01\n")
    (folder / "tsa.cnf").write_text(CONFIG.format(folder=folder))
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            one.kinds.add(self.headers["content-type"])
            with lock:
                one.asked += 1
                (folder / "query").write_bytes(body)
                command = [
                    openssl,
                    "ts",
                    "-reply",
                    "-config",
                    folder / "tsa.cnf",
                    "-queryfile",
                    folder / "query",
                ]
                done = subprocess.run(
                    [*command, "-out", folder / "answer"], capture_output=True, timeout=20, check=False
                )
                assert done.returncode == 0, done.stderr
                answer = (folder / "answer").read_bytes()
            if one.spoil is not None:
                answer = one.spoil(answer)
            self.send_response(200)
            self.send_header("content-type", "application/timestamp-reply")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    one.url = f"http://127.0.0.1:{server.server_port}/tsr"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield one
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
