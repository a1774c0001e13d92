"""What a certificate chain says of itself, for those who have no key."""

from datetime import datetime

from cryptography import x509


def end_of(chain_pem: bytes) -> datetime:
    """When the first certificate of a PEM chain ends.

    Raises:
        ValueError: it holds no certificate.
    """
    return x509.load_pem_x509_certificate(chain_pem).not_valid_after_utc
