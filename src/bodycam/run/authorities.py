"""The CA certificates that a child's clients are to trust, as one bundle in PEM."""

import re
import ssl
from collections.abc import Iterable
from pathlib import Path

SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""Where distributions keep theirs (Debian and Arch, Fedora, openSUSE, RHEL, Alpine)."""

BUNDLE_LIMIT = 8 * 1024 * 1024
"""Bytes of one bundle file that are read; the whole list of Mozilla is a fortieth of it."""

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----\s[A-Za-z0-9+/=\s]+?-----END CERTIFICATE-----")


def system_authorities() -> str:
    """The system's CA certificates in PEM, "" where there are none."""
    loaded = ssl.create_default_context().get_ca_certs(binary_form=True)
    if loaded:
        return "".join(ssl.DER_cert_to_PEM_cert(one) for one in loaded)
    # OpenSSL reads a folder of certificates one by one as they are needed, and then lists none
    return next(filter(None, (certificates_of(Path(file)) for file in SYSTEM_BUNDLES)), "")


def certificates_of(file: Path) -> str:
    """The certificates in a PEM file and nothing else of it, a private key least of all.

    A file that can't be read has none: its own client could not have used it either.
    """
    try:
        with file.open("rb") as opened:
            return bundle([opened.read(BUNDLE_LIMIT).decode("ascii", "replace")])
    except OSError:
        return ""


def bundle(texts: Iterable[str]) -> str:
    """All certificates of these PEM texts, in their order, each once."""
    found = dict.fromkeys(
        match.group().replace("\r", "") for text in texts for match in _CERTIFICATE.finditer(text)
    )
    return "".join(f"{one}\n" for one in found)
