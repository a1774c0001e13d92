"""SSH certificates of runs, given by an authority that nothing but the gateway trusts, for the lease.

Such a certificate names its run, as its identity and as its only principal. Who proves by SSH to hold its key
is that run; whether it may still open sessions is asked of the catalog each time.
"""

from datetime import UTC, datetime
from typing import final

from bodycam.identity.run_certificates import CertificateRefused
from bodycam.model.identity import Run
from bodycam.model.ids import RUN
from bodycam.net.authority import SKEW
from bodycam.net.ssh_authority import BadPublicKey, NotOurs, SshAuthority, public_key

MAX_BYTES = 8 * 1024


@final
class RunSshCertificates:
    """Gives runs their SSH certificates, and tells whose run one is."""

    def __init__(self, authority: SshAuthority) -> None:
        self._authority = authority

    def issue(self, run: Run, line: str, *, now: float) -> str:
        """A certificate's line for a public key's line, good until the lease's end, to the second below.

        `now` is in Unix seconds; it is good from a little before, for clocks that are behind.

        Raises:
            BadPublicKey: the line holds no key that will do, or the lease is over.
        """
        if now >= run.expires:
            raise BadPublicKey("the lease that the certificate is asked for has ended")
        return self._authority.vouch(
            public_key(line),
            key_id=run.id,
            principals=[run.id],
            begins=now - SKEW.total_seconds(),
            ends=run.expires,
        )

    def run_of(self, certificate: bytes, now: float) -> str:
        """The id of the run that a certificate (its blob) was given to; `now` is in Unix seconds.

        Raises:
            CertificateRefused: it was not given by this gateway to a run, or is not good now.
        """
        if len(certificate) > MAX_BYTES:
            raise CertificateRefused("the SSH certificate is too long to be one of this gateway's")
        try:
            vouched = self._authority.read(certificate)
        except NotOurs as error:
            raise _foreign() from error
        if vouched.principals != (vouched.key_id,) or not vouched.key_id.startswith(f"{RUN}_"):
            raise _foreign()
        # as OpenSSH counts: good from the first second on, and not any more at the last
        if not vouched.begins <= now < vouched.ends:
            raise CertificateRefused(
                f"the SSH certificate of run {vouched.key_id} is not valid now: it ended or ends at "
                f"{datetime.fromtimestamp(vouched.ends, UTC):%Y-%m-%d %H:%M:%S} UTC"
            )
        return vouched.key_id


def _foreign() -> CertificateRefused:
    return CertificateRefused("the SSH certificate is not one that this gateway gave to a run")
