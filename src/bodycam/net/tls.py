"""TLS contexts: the listeners' own, and the one for each of libpq's ways to meet a target.

https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-PROTECTION
"""

import os
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from bodycam.model.target import TlsMode
from bodycam.net.handshake import Outspoken, WatchedContext
from bodycam.net.host_names import is_address

SYSTEM = "system"
"""The value of a CA file that means the system's own authorities, as libpq's `sslrootcert=system` does."""


class TlsError(Exception):
    """TLS can't be set up as the settings ask; the text says what to change."""


_NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL's x509_vfy.h, which Python's ssl has no name for."""


def server_context(
    key_pem: bytes, chain_pem: bytes, *, alpn: Sequence[str] = (), clients: bytes | None = None
) -> ssl.SSLContext:
    """The context of a listener with this key and certificate chain (leaf first): TLS 1.2 or newer.

    `clients` is an authority's certificate, in PEM: clients may then show a certificate of it, and no other.
    That one may be out of date, for whoever decides about it to say so in the client's own protocol.

    Raises:
        TlsError: key and chain are no PEM or do not belong together, or `clients` is no certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _serve(context, key_pem, chain_pem, alpn)
    if clients is not None:
        _ask_for_certificates(context, clients)
    return context


def host_context(key_pem: bytes, chain_pem: bytes, host: str, *, alpn: Sequence[str] = ()) -> WatchedContext:
    """The context in which the gateway stands for `host`, as `host_names.checked` has it: TLS 1.2 or newer.

    A client that asks for another server than a `host` which is a name is refused (alert unrecognized_name,
    RFC 6066, section 3): what it wants to reach was decided by `host`. Of an address nothing can be asked.

    Raises:
        TlsError: key and chain are no PEM or do not belong together.
    """
    context = WatchedContext(ssl.PROTOCOL_TLS_SERVER)
    _serve(context, key_pem, chain_pem, alpn)
    named = not is_address(host)

    def asked(connection: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> int | None:
        waits = cast("Outspoken", connection).watching
        if waits is not None:
            waits.server_name = name or ""
        if named and name and name.lower().removesuffix(".") != host:
            return ssl.AlertDescription.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        return None

    context.sni_callback = asked
    return context


def _serve(context: ssl.SSLContext, key_pem: bytes, chain_pem: bytes, alpn: Sequence[str]) -> None:
    context.sslobject_class = Outspoken
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    _load_chain(context, key_pem, chain_pem)
    if alpn:
        context.set_alpn_protocols(list(alpn))


def _ask_for_certificates(context: ssl.SSLContext, authority: bytes) -> None:
    try:
        context.load_verify_locations(cadata=authority.decode("ascii"))
    except (ssl.SSLError, ValueError) as error:
        raise TlsError(f"the authority of the clients' certificates can't be used: {error}") from error
    context.verify_mode = ssl.CERT_OPTIONAL
    context.verify_flags |= _NO_CHECK_TIME
    # each connection proves the key anew; a ticket would stand for a proof of long ago
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0


def client_context(
    mode: TlsMode,
    ca_file: str | Path | None = None,
    *,
    alpn: Sequence[str] = (),
    own: tuple[str, str] | None = None,
) -> ssl.SSLContext:
    """The context with which a target is met, as libpq means `sslmode`.

    `verify-full` checks chain and host name, by `ca_file` or without one by the system's authorities;
    `verify-ca` checks the chain by `ca_file`. The weaker modes encrypt only, but check the chain too when a
    `ca_file` is given, as libpq does when it finds a root certificate. With a host that is an address, the
    certificate must carry that address. The caller gives the host as `server_hostname`. `own` is our key and
    certificate chain, in PEM, for a server that asks for one.

    Raises:
        TlsError: no context exists for this mode, the CA file is missing or bad, or our own key and
            certificate are not usable together.
    """
    if mode is TlsMode.DISABLE:
        raise TlsError("TLS mode disable means no TLS at all, so there is no context for it")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION
    context.check_hostname = mode is TlsMode.VERIFY_FULL
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if own is not None:
        key, chain = own
        _load_chain(context, key.encode(), chain.encode())
    if ca_file is None and mode is TlsMode.VERIFY_CA:
        raise TlsError("TLS mode verify-ca needs a ca_file; give one, or use verify-full")
    if ca_file is not None and str(ca_file) != SYSTEM:
        _load_authorities(context, Path(ca_file))
    elif mode is TlsMode.VERIFY_FULL:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        _require_some(context)
    elif ca_file is not None:
        # anyone gets a certificate from a public authority for some name, so the chain alone says nothing
        raise TlsError(f"TLS mode {mode.value} is too weak for the system's authorities; use verify-full")
    else:
        context.verify_mode = ssl.CERT_NONE
    return context


def _load_authorities(context: ssl.SSLContext, path: Path) -> None:
    try:
        context.load_verify_locations(cafile=path)
    except ssl.SSLError as error:
        raise TlsError(f"the CA file {path} holds no usable PEM certificate ({error.reason})") from error
    except OSError as error:
        raise TlsError(f"the CA file {path} can't be read: {error.strerror or error}") from error
    if not context.cert_store_stats()["x509"]:
        raise TlsError(f"the CA file {path} holds no certificate")


def _require_some(context: ssl.SSLContext) -> None:
    paths = ssl.get_default_verify_paths()
    if not context.cert_store_stats()["x509"] and not (paths.cafile or paths.capath):
        raise TlsError(
            "the system has no certificate authorities; install ca-certificates, or give a ca_file"
        )


def _load_chain(context: ssl.SSLContext, key_pem: bytes, chain_pem: bytes) -> None:
    # the standard library takes files only; an anonymous one in memory never touches a disk
    fd = os.memfd_create("bodycam-tls", os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(fd), "wb") as file:
            file.write(key_pem.rstrip() + b"\n" + chain_pem)
        context.load_cert_chain(f"/proc/self/fd/{fd}", password=_no_password)
    except ssl.SSLError as error:
        raise TlsError(
            f"the TLS key and certificate are not usable together ({error.reason or error})"
        ) from error
    finally:
        os.close(fd)


def _no_password() -> str:
    raise TlsError("the TLS key is encrypted; give it without a password")
