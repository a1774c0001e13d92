"""Time stamps of ledger heads (RFC 3161): what is stamped, and whether a stamp holds.

A stamp says that a head was there at a moment, by the word of an authority that the gateway has no part in.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from rfc3161_client import (
    TimestampRequestBuilder,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)
from rfc3161_client.base import HashAlgorithm

from bodycam.archive.der import with_sorted_certificates
from bodycam.archive.head import Head

MOST: Final = 64 * 1024
"""Bytes that an authority's answer may have."""


class StampRefused(Exception):
    """The answer is no time stamp of that head by that authority; the text says why."""


def stamped_bytes(head: Head) -> bytes:
    """What is stamped of a head: the bytes that its signature is over, and the signature."""
    return head.signed() + head.signature


def request(head: Head) -> tuple[bytes, int]:
    """A request for a stamp of a head, in DER, and its nonce."""
    made = TimestampRequestBuilder().data(stamped_bytes(head)).hash_algorithm(HashAlgorithm.SHA256).build()
    assert made.nonce is not None
    return made.as_bytes(), made.nonce


def read_authority(file: Path) -> list[x509.Certificate]:
    """The certificates that an authority's own has to lead to.

    Raises:
        OSError: the file can't be read.
        ValueError: it holds no certificate in PEM.
    """
    return x509.load_pem_x509_certificates(file.read_bytes())


def check(
    answer: bytes, head: Head, authority: Sequence[x509.Certificate], nonce: int | None = None
) -> datetime:
    """The moment at which an authority saw a head, by its answer in DER, which is checked offline.

    Raises:
        StampRefused: it is no stamp, of something else, or not of that authority.
    """
    if len(answer) > MOST:
        raise StampRefused(f"has more than {MOST} bytes")
    try:
        response = decode_timestamp_response(with_sorted_certificates(answer))
        builder = VerifierBuilder(nonce=nonce)
        for certificate in authority:
            builder = builder.add_root_certificate(certificate)
        if not builder.build().verify_message(response, stamped_bytes(head)):
            raise StampRefused("does not hold")
        return response.tst_info.gen_time
    except VerificationError as error:
        raise StampRefused(f"does not hold: {error}") from error
    except StampRefused:
        raise
    except Exception as error:  # a decoder of hostile bytes: whatever it trips over, they are no stamp
        raise StampRefused(f"is no time stamp: {error}") from error
