from pathlib import Path

import pytest

from bodycam.run import authorities
from bodycam.run.authorities import bundle, certificates_of, system_authorities


def pem(body: str, label: str = "CERTIFICATE") -> str:
    return f"-----BEGIN {label}-----\n{body}\n-----END {label}-----\n"


def test_a_bundle_has_each_certificate_once_in_the_order_given() -> None:
    assert bundle([pem("bbbb"), f"# company\n{pem('aaaa')}junk{pem('bbbb')}"]) == pem("bbbb") + pem("aaaa")
    assert bundle([pem("aaaa").replace("\n", "\r\n"), pem("aaaa")]) == pem("aaaa")
    assert bundle(["", "no certificate"]) == ""


def test_of_a_file_its_certificates_are_taken_and_its_private_key_is_not(tmp_path: Path) -> None:
    file = tmp_path / "both.pem"
    file.write_bytes(b"\xff" + (pem("kkkk", "PRIVATE KEY") + pem("aaaa")).encode())
    assert certificates_of(file) == pem("aaaa")
    assert certificates_of(tmp_path / "missing.pem") == certificates_of(tmp_path) == ""


def test_where_openssl_lists_none_a_distributions_file_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "system.pem").write_text(pem("ssss"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    monkeypatch.setattr(
        authorities, "SYSTEM_BUNDLES", (str(tmp_path / "missing.pem"), str(tmp_path / "system.pem"))
    )
    assert system_authorities() == pem("ssss")
