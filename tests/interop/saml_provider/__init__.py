"""A real SAML identity provider (pysaml2's), started by the test."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests import stage
from tests.saml import self_signed

SERVE = Path(__file__).parent / "serve.py"
GROUPS = "urn:oid:1.3.6.1.4.1.5923.1.5.1.1"


class Unavailable(Exception):
    """The provider can't be had on this machine; the text says what is missing."""


def installed() -> None:
    """Make sure that xmlsec1, by which pysaml2 signs, is there.

    Raises:
        Unavailable: it is not.
    """
    if shutil.which("xmlsec1") is None:
        raise Unavailable("the package xmlsec1 is not installed; ./dev test installs it")


def key_pair(folder: Path, name: str) -> tuple[Path, Path]:
    """A key and its certificate, as files."""
    key = rsa.generate_private_key(65537, 2048)
    key_file, certificate_file = folder / f"{name}.key", folder / f"{name}.pem"
    key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    certificate_file.write_bytes(self_signed(key, name).public_bytes(Encoding.PEM))
    return key_file, certificate_file


class SamlProvider:
    """The provider as a process."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, stage.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "provider.log"
        key, certificate = key_pair(folder, "provider")
        self._settings = folder / "provider.json"
        self._settings.write_text(
            json.dumps(
                {"port": self.port, "key": str(key), "certificate": str(certificate), "folder": str(folder)}
            )
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(SERVE), str(self._settings)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 30
        while True:
            assert self._process.poll() is None, self.log.read_text()
            try:
                assert httpx.get(f"{self.url}/metadata", trust_env=False, timeout=5).status_code == 200
            except httpx.HTTPError:
                assert time.monotonic() < deadline, self.log.read_text()
                time.sleep(0.1)
            else:
                return

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)
            self._process = None

    def meets(self, gateway: stage.Gateway, name: str) -> None:
        """Tell the provider of the gateway, by the gateway's own metadata."""
        document = gateway.api("GET", f"/sign-in/saml/{name}/metadata", key=False)
        assert document.status_code == 200, document.text
        self._told("gateway", document.content)

    def answers(self, **how: Any) -> None:
        """How to answer from now on: `assertion` and `response` signed, `encrypt`, `lasts` seconds."""
        self._told("answers", json.dumps(how).encode())

    def _told(self, what: str, body: bytes) -> None:
        answer = httpx.post(f"{self.url}/test/{what}", content=body, trust_env=False, timeout=20)
        assert answer.status_code == 200, self.log.read_text()
