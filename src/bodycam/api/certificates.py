"""A run's client certificate, as the API gives it for a request of the client's own making."""

import time
from typing import Annotated

from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, StringConstraints

from bodycam.api.context import Control
from bodycam.api.errors import ApiError
from bodycam.model.identity import Run
from bodycam.net.authority import AuthorityError
from bodycam.net.ssh_authority import LINE_MOST, BadPublicKey

CSR_MOST = 8 * 1024

Csr = Annotated[str, StringConstraints(min_length=1, max_length=CSR_MOST)]
"""A certificate request in PEM, for an elliptic curve key; its names are not looked at."""


SshPublicKey = Annotated[str, StringConstraints(min_length=1, max_length=LINE_MOST)]
"""A public key's line in OpenSSH's format, `TYPE BASE64 [COMMENT]`: Ed25519, ECDSA, or RSA of 2048 bits."""


class CertificateOut(BaseModel):
    """A run's client certificate, in PEM, and its end: that of the lease."""

    pem: str
    expires: float


class SshCertificateOut(BaseModel):
    """A run's SSH certificate, as a line in OpenSSH's format, and its end: that of the lease."""

    line: str
    expires: float


async def certified(context: Control, run: Run, csr: str | None) -> CertificateOut | None:
    """The certificate for a request, or None where none was made.

    Raises:
        ApiError: the request can't be used, or this gateway gives no certificates.
    """
    if csr is None:
        return None
    if context.certificates is None:
        raise ApiError(
            422,
            "no-certificates",
            "this gateway gives runs no certificates, because its listeners have no TLS",
            "Leave the request out, as GET /v1/gateway says; the run's password is good.",
        )
    try:
        issued = await run_in_threadpool(context.certificates.issue, run, csr.encode())
    except AuthorityError as error:
        raise ApiError(
            422, "bad-request-for-certificate", str(error), "Send a PEM request for an elliptic curve key."
        ) from error
    return CertificateOut(pem=issued.pem, expires=issued.expires)


async def ssh_certified(context: Control, run: Run, line: str | None) -> SshCertificateOut | None:
    """The SSH certificate for a public key's line, or None where none was given.

    Raises:
        ApiError: the line holds no key that will do, or this gateway gives no SSH certificates.
    """
    if line is None:
        return None
    if context.ssh_certificates is None:
        raise ApiError(
            422,
            "no-certificates",
            "this gateway gives runs no SSH certificates, because it has no listener that takes them",
            "Leave the public key out, as GET /v1/gateway says.",
        )
    try:
        made = await run_in_threadpool(context.ssh_certificates.issue, run, line, now=time.time())
    except BadPublicKey as error:
        raise ApiError(
            422,
            "bad-public-key",
            str(error),
            "Send the one line of a .pub file, as `ssh-keygen -t ed25519` makes it.",
        ) from error
    return SshCertificateOut(line=made, expires=float(int(run.expires)))
