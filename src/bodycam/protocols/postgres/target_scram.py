"""SCRAM at a target, from the client's side, with channel binding as libpq means it (RFC 5802, 7677, 5929).

https://www.postgresql.org/docs/current/sasl-authentication.html
"""

from collections.abc import Sequence
from dataclasses import dataclass

from scramp import ScramClient, ScramException

from bodycam.model.target import ChannelBinding
from bodycam.net.end_point import TYPE, NoEndPoint, server_end_point
from bodycam.protocols.postgres.target_failure import TargetLoginFailed

SCRAM, SCRAM_PLUS = "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"

_USER = "user"
"""PostgreSQL takes the name of the startup message and ignores this one; SASLprep refuses some real names."""

_ITERATIONS_MOST = 1_000_000
"""Half a second of computing; a hostile target could ask for hours, in which the worker serves nobody."""

_NOT_SENT = b"\0"
"""Stands for the binding's data where the header says `y`: that we could bind, and the server can't."""

OTHER_CHARACTERS = "Give the target's user a password of printable characters."
WITHOUT_BINDING = "Set the target's tls.channel_binding to disable, if it may go without."


@dataclass(frozen=True, slots=True)
class Channel:
    """What lies under the login: whether it is TLS, and the certificate that the server showed, in DER."""

    secure: bool = False
    certificate: bytes = b""


class Scram:
    """One exchange: the mechanism is chosen, then `first`, `final` and `finish`, each once."""

    def __init__(
        self, offered: Sequence[str], password: str, channel: Channel, binding: ChannelBinding
    ) -> None:
        """Choose among the mechanisms that the server offers.

        Raises:
            TargetLoginFailed: none of them will do, or what is offered makes no sense on this channel.
        """
        self.mechanism = _chosen(offered, channel, binding)
        self.bound = self.mechanism == SCRAM_PLUS
        if self.bound:
            data: bytes | None = _end_point(channel)
        else:
            # RFC 5802, section 6: a server that does offer binding then knows that somebody took it away
            data = _NOT_SENT if channel.secure and binding is not ChannelBinding.DISABLE else None
        try:
            self._client = ScramClient(
                [self.mechanism], _USER, password, channel_binding=None if data is None else (TYPE, data)
            )
        except ScramException as error:
            # RFC 4013: SASLprep has no form for control characters and for some mixes of scripts
            raise TargetLoginFailed(
                "28P01", f"{self.mechanism} can't carry the password: {error}", OTHER_CHARACTERS
            ) from error

    def first(self) -> bytes:
        """The client's first message."""
        return str(self._client.get_client_first()).encode()

    def final(self, server_first: bytes) -> bytes:
        """The client's last message, for the server's first.

        Raises:
            TargetLoginFailed: it is no such message, or asks for too much computing.
        """
        try:
            self._client.set_server_first(server_first.decode())
            _bound_iterations(server_first)
            return str(self._client.get_client_final()).encode()
        except (ScramException, ValueError) as error:
            raise _no_proof(error) from error

    def finish(self, server_final: bytes) -> None:
        """Check the server's own proof.

        Raises:
            TargetLoginFailed: it does not hold.
        """
        try:
            self._client.set_server_final(server_final.decode())
        except (ScramException, ValueError) as error:
            raise _no_proof(error) from error


def _chosen(offered: Sequence[str], channel: Channel, binding: ChannelBinding) -> str:
    if binding is ChannelBinding.REQUIRE and not channel.secure:
        raise TargetLoginFailed(
            "28000",
            "channel binding is required, and the connection has no TLS",
            "Set the target's tls.sslmode to require or stronger.",
        )
    if SCRAM_PLUS in offered and not channel.secure:
        raise TargetLoginFailed(
            "28000",
            f"the server offers {SCRAM_PLUS} on a connection without TLS: something in between took TLS off",
            "Connect the gateway to the server itself, and set tls.sslmode to verify-full.",
        )
    if SCRAM_PLUS in offered and binding is not ChannelBinding.DISABLE:
        return SCRAM_PLUS
    if binding is ChannelBinding.REQUIRE:
        raise TargetLoginFailed(
            "28000", f"channel binding is required, and the server offers no {SCRAM_PLUS}", WITHOUT_BINDING
        )
    if SCRAM not in offered:
        raise TargetLoginFailed("0A000", f"the server offers no {SCRAM}, only {', '.join(offered)}")
    return SCRAM


def _end_point(channel: Channel) -> bytes:
    try:
        return server_end_point(channel.certificate)
    except NoEndPoint as error:
        raise TargetLoginFailed("28000", f"channel binding can't be had: {error}", WITHOUT_BINDING) from error


def _no_proof(error: Exception) -> TargetLoginFailed:
    return TargetLoginFailed("28000", f"the server's proof does not hold: {error}")


def _bound_iterations(server_first: bytes) -> None:
    """RFC 5802, section 7: the iteration count is the attribute `i` of the server's first message."""
    for attribute in server_first.split(b","):
        if attribute.startswith(b"i=") and int(attribute[2:]) > _ITERATIONS_MOST:
            raise TargetLoginFailed(
                "28000",
                f"the server asks for {int(attribute[2:])} SCRAM iterations",
                f"Set the password again with scram_iterations of at most {_ITERATIONS_MOST}.",
            )
