"""TLS with a client that is connected already, in the name of a host: what `AskUpgrade` asks for."""

import asyncio
import contextlib
import ssl
from typing import Final, final

from bodycam.gateway.control import NoLeaf
from bodycam.gateway.interception import Interception
from bodycam.gateway.link import ProxyLink
from bodycam.gateway.side import Side
from bodycam.net.handshake import Handshake
from bodycam.session.link import AskUpgrade, Upgraded, UpgradeFailed

LINGER: Final = 1.0
"""Seconds that a client has for reading why its handshake has failed."""

_DISTRUST: Final = frozenset(
    {
        "TLSV1_ALERT_UNKNOWN_CA",
        "SSLV3_ALERT_BAD_CERTIFICATE",
        "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
        "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
        "SSLV3_ALERT_CERTIFICATE_EXPIRED",
    }
)
_NO_TLS: Final = frozenset(
    {
        "HTTP_REQUEST",
        "HTTPS_PROXY_REQUEST",
        "WRONG_VERSION_NUMBER",
        "UNKNOWN_PROTOCOL",
        "PACKET_LENGTH_TOO_LONG",
        "BAD_RECORD_TYPE",
        "UNEXPECTED_MESSAGE",
        "NOT_SSL_RECORD_HEADER",
    }
)


async def upgrade(
    link: ProxyLink, need: AskUpgrade, interception: Interception, timeout: float
) -> Upgraded | UpgradeFailed:
    """Let what is queued for the client go, then shake hands with it, all within `timeout` seconds.

    After a handshake that failed the client's connection is over, and the link hears of it; when none began
    for want of a certificate the connection still stands, in the clear.
    """
    deadline = asyncio.get_running_loop().time() + timeout
    try:
        async with asyncio.timeout_at(deadline):
            context = await interception.context(need.host, need.alpn)
            await link.client_box_empty()
    except NoLeaf as error:
        return UpgradeFailed(str(error))
    except TimeoutError:
        return UpgradeFailed(f"TLS with the client could not begin within {timeout:g} s")
    lent = link.lend_client()
    if lent is None:
        return UpgradeFailed("the client left before TLS began")
    step = _Doorstep()
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout_at(deadline) as patience:
            handshake = Handshake(lambda: _hasten(patience, min(deadline, loop.time() + LINGER)))
            with context.expecting(handshake):
                transport = await loop.start_tls(
                    lent, step, context, server_side=True, ssl_handshake_timeout=timeout
                )
    except (OSError, RuntimeError) as error:
        link.swap.lost()
        return UpgradeFailed(_why(handshake, error, timeout))
    met = None if transport is None else transport.get_extra_info("ssl_object")
    if transport is None or met is None:
        # the loops say nothing when the connection ended in order in the middle of it
        link.swap.lost()
        return UpgradeFailed(_why(handshake, None, timeout))
    side = Side(link, "client")
    transport.set_protocol(side)
    side.connection_made(transport)
    link.swap.early, link.swap.ended = bytes(step.data), step.ended
    return Upgraded(alpn=met.selected_alpn_protocol() or "", server_name=handshake.server_name)


@final
class _Doorstep(asyncio.Protocol):
    """The client's side between the end of its handshake and the moment when the link knows of it.

    The loops differ in whether bytes that came with the handshake's end arrive here; it is one read at most.
    """

    def __init__(self) -> None:
        self.data = bytearray()
        self.ended = False

    def data_received(self, data: bytes) -> None:
        self.data += data

    def eof_received(self) -> bool:
        self.ended = True
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = True


def _why(handshake: Handshake, error: Exception | None, timeout: float) -> str:
    """What has failed, in words for people."""
    failure = handshake.failure or (error if isinstance(error, ssl.SSLError) else None)
    if failure is None:
        if isinstance(error, TimeoutError | ConnectionAbortedError):
            return f"the client did not finish its TLS handshake within {timeout:g} s"
        return "the client left in its TLS handshake; it may not trust the gateway's interception CA"
    reason = failure.reason or ""
    said = reason.lower().replace("_", " ") or "no reason given"
    if reason in _DISTRUST:
        return f"the client does not trust the certificate of the gateway's interception CA ({said})"
    if reason in _NO_TLS:
        return f"the client sent something that is no TLS ({said})"
    if reason == "CALLBACK_FAILED":
        asked = handshake.server_name
        if not asked:
            return "the client asked for a server in TLS by something that is no name"
        return f"the client asked for another server in TLS, {asked!r}, than it had asked to reach"
    return f"TLS with the client failed: {said}"


def _hasten(patience: asyncio.Timeout, when: float) -> None:
    with contextlib.suppress(RuntimeError):  # it is over in this very moment
        patience.reschedule(when)
