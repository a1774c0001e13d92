"""Client certificates of runs, given by an authority that nothing but the gateway trusts, for the lease.

The certificate names its run and agent, in its subject for people and as URIs for us. Who shows it in a TLS
handshake has proved that they hold its key, which never left the client; whether the run may still open
sessions is asked of the catalog each time.
"""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from bodycam.model.identity import Run
from bodycam.net.authority import Authority

RUN_URI, AGENT_URI = "urn:bodycam:run:", "urn:bodycam:agent:"
MAX_BYTES = 8 * 1024


class CertificateRefused(Exception):
    """A certificate proves nothing at this moment; the text says why, for the one who showed it."""


@dataclass(frozen=True, slots=True)
class IssuedCertificate:
    """A run's certificate, in PEM, and its end in Unix seconds."""

    pem: str = field(repr=False)
    expires: float


class RunCertificates:
    """Gives runs their certificates, and tells whose run a certificate is."""

    def __init__(self, authority: Authority) -> None:
        self._authority = authority
        self._store = Store([authority.certificate])

    def issue(self, run: Run, csr_pem: bytes, *, now: float | None = None) -> IssuedCertificate:
        """A certificate for the request's key that ends with the run's lease, to the second below.

        Raises:
            AuthorityError: the request can't be used, or the lease is over.
        """
        end = datetime.fromtimestamp(int(run.expires), UTC)
        pem = self._authority.vouch(
            csr_pem,
            name=run.id,
            unit=run.agent,
            uris=[f"{RUN_URI}{run.id}", f"{AGENT_URI}{run.agent}"],
            end=end,
            now=datetime.fromtimestamp(time.time() if now is None else now, UTC),
        )
        return IssuedCertificate(pem.decode(), end.timestamp())

    def run_of(self, certificate: bytes, now: float) -> str:
        """The id of the run that a certificate (DER) was given to; `now` is in Unix seconds.

        Raises:
            CertificateRefused: it was not given by this gateway to a run, or is over.
        """
        if len(certificate) > MAX_BYTES:
            raise CertificateRefused("the client certificate is too long to be one of this gateway's")
        try:
            shown = x509.load_der_x509_certificate(certificate)
            shown.verify_directly_issued_by(self._authority.certificate)
            names = shown.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            uris = names.get_values_for_type(x509.UniformResourceIdentifier)
        except (
            ValueError,
            TypeError,
            InvalidSignature,
            UnsupportedAlgorithm,
            x509.ExtensionNotFound,
        ) as error:
            raise _foreign() from error
        runs = [uri.removeprefix(RUN_URI) for uri in uris if uri.startswith(RUN_URI)]
        if len(runs) != 1:
            raise _foreign()
        at = datetime.fromtimestamp(now, UTC)
        if not shown.not_valid_before_utc <= at <= shown.not_valid_after_utc:
            raise CertificateRefused(
                f"the client certificate of run {runs[0]} is not valid now: it ended or ends at "
                f"{shown.not_valid_after_utc:%Y-%m-%d %H:%M:%S} UTC"
            )
        try:
            # all else that RFC 5280 asks of a client's certificate and of its authority
            PolicyBuilder().store(self._store).time(at).build_client_verifier().verify(shown, [])
        except VerificationError as error:
            raise _foreign() from error
        return runs[0]


def _foreign() -> CertificateRefused:
    return CertificateRefused("the client certificate is not one that this gateway gave to a run")
