"""The channel binding tls-server-end-point: a hash of the certificate that a TLS server showed (RFC 5929).

A proof that is bound to it can't be carried on by somebody in between who has another certificate.
"""

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes

TYPE = "tls-server-end-point"


class NoEndPoint(Exception):
    """The binding is not defined for this certificate; the text says why."""


def server_end_point(certificate: bytes) -> bytes:
    """The binding's data for a server's certificate, in DER.

    The hash is that of the certificate's signature, but SHA-256 in place of MD5 and SHA-1 (section 4.1).

    Raises:
        NoEndPoint: the signature has no hash of its own, as Ed25519 has none, or this is no certificate.
    """
    try:
        algorithm = x509.load_der_x509_certificate(certificate).signature_hash_algorithm
    except (ValueError, UnsupportedAlgorithm) as error:
        raise NoEndPoint(f"the server's certificate can't be read: {error}") from error
    if algorithm is None:
        raise NoEndPoint("the signature of the server's certificate has no hash")
    if algorithm.name in ("md5", "sha1"):
        algorithm = hashes.SHA256()
    digest = hashes.Hash(algorithm)
    digest.update(certificate)
    return digest.finalize()
