"""The gateway's own login at a target, without I/O: one message in, at most one out, until ReadyForQuery.

https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-START-UP
"""

import hashlib
from collections.abc import Mapping

from bodycam.model.target import ChannelBinding, Dial
from bodycam.protocols.postgres import backend, frontend
from bodycam.protocols.postgres.backend import Auth
from bodycam.protocols.postgres.codec import ProtocolViolation
from bodycam.protocols.postgres.target_failure import TargetLoginFailed
from bodycam.protocols.postgres.target_scram import OTHER_CHARACTERS, WITHOUT_BINDING, Channel, Scram

_STATUS_MOST = 1024 * 1024
"""Bytes of ParameterStatus and notices that are kept until the login is over."""

_SASL = frozenset({Auth.SASL, Auth.SASL_CONTINUE, Auth.SASL_FINAL})


class TargetLogin:
    """One login; `parameters` go into the startup message beside user and database."""

    def __init__(self, dial: Dial, parameters: Mapping[str, str], channel: Channel | None = None) -> None:
        self._dial, self._parameters, self._channel = dial, parameters, channel or Channel()
        self._scram: Scram | None = None
        self._asked = False
        self._proved = False
        self._accepted = False
        self.ready = False
        self.status = ord("I")
        self.cancel_key: bytes | None = None
        self.status_messages: list[bytes] = []
        self._status_size = 0

    @property
    def backend_pid(self) -> int | None:
        """The process number of the server's side, as its own log names it."""
        return None if self.cancel_key is None else int.from_bytes(self.cancel_key[:4], "big")

    def start(self) -> bytes:
        """The startup message."""
        dial = self._dial
        return frontend.startup_message({"user": dial.user, "database": dial.database, **self._parameters})

    def receive(self, raw: bytes) -> bytes | None:
        """Take one message of the server; returns what to send back.

        `status_messages` collects ParameterStatus and notices as they came, for the client.

        Raises:
            TargetLoginFailed: the server refused, asked for what we can't give, or broke the protocol.
        """
        try:
            return self._receive(raw)
        except ProtocolViolation as error:
            raise TargetLoginFailed("08P01", f"the server's login makes no sense: {error}") from error

    def _receive(self, raw: bytes) -> bytes | None:
        match raw[:1]:
            case b"R":
                self._asked = True
                return self._authentication(*backend.authentication(raw))
            case b"E":
                said = backend.error_map(raw)
                raise TargetLoginFailed(
                    said["code"],
                    said["message"],
                    said.get("hint") or "Check the target's user, password and database in the settings.",
                    outright=not self._asked,
                )
            case b"S" | b"N":
                self._status_size += len(raw)
                if self._status_size > _STATUS_MOST:
                    raise TargetLoginFailed("54000", "the server says more in its login than is kept")
                self.status_messages.append(raw)
            case b"K":
                self.cancel_key = backend.backend_key(raw)
            case b"Z":
                if not self._accepted:
                    raise TargetLoginFailed("08P01", "the server is ready before it let anybody in")
                self.status = backend.ready_for_query(raw)
                self.ready = True
            case b"v":
                pass  # it speaks an older minor version than 3.0: there is none
            case tag:
                raise TargetLoginFailed("08P01", f"the server sent {tag!r} in the middle of its login")
        return None

    def _authentication(self, kind: int, data: bytes) -> bytes | None:
        if self._accepted:
            raise TargetLoginFailed("08P01", "the server goes on asking after it let the gateway in")
        if self._dial.channel_binding is ChannelBinding.REQUIRE:
            self._insist_on_binding(kind)
        match kind:
            case Auth.OK:
                if self._scram is not None and not self._proved:
                    # a server that skips its own proof may be somebody else
                    raise TargetLoginFailed("28000", "the server did not prove that it knows the password")
                self._accepted = True
                return None
            case Auth.CLEARTEXT:
                return self._cleartext()
            case Auth.MD5:
                return frontend.password_message(self._md5(data))
            case Auth.SASL:
                return self._sasl(backend.sasl_mechanisms(data))
            case Auth.SASL_CONTINUE | Auth.SASL_FINAL:
                return self._scram_step(kind, data)
            case _:
                try:
                    name = Auth(kind).name
                except ValueError:
                    name = f"number {kind}"
                raise TargetLoginFailed(
                    "0A000",
                    f"the server asks for an authentication that the gateway doesn't have: {name}",
                    "Let the gateway's user log in by scram-sha-256 in the server's pg_hba.conf.",
                )

    def _insist_on_binding(self, kind: int) -> None:
        """No other way of asking may get the password, and no other way in is the server that was meant."""
        if kind == Auth.OK and self._scram is not None and self._scram.bound:
            return
        if kind not in _SASL:
            raise TargetLoginFailed(
                "28000",
                "channel binding is required, and the server goes without it: "
                + ("it let the gateway in" if kind == Auth.OK else "it asks for another proof"),
                WITHOUT_BINDING,
            )

    def _sasl(self, mechanisms: list[str]) -> bytes:
        if self._scram is not None:
            raise TargetLoginFailed("08P01", "the server begins a second SASL exchange")
        self._scram = Scram(mechanisms, self._password(), self._channel, self._dial.channel_binding)
        return frontend.sasl_initial_message(self._scram.mechanism, self._scram.first())

    def _scram_step(self, kind: int, data: bytes) -> bytes | None:
        if self._scram is None:
            raise TargetLoginFailed("08P01", "the server goes on with a SASL exchange that did not begin")
        if kind == Auth.SASL_CONTINUE:
            return frontend.sasl_message(self._scram.final(data))
        self._scram.finish(data)
        self._proved = True
        return None

    def _cleartext(self) -> bytes:
        try:
            return frontend.password_message(self._password())
        except ValueError as error:
            raise TargetLoginFailed(
                "28P01", f"the password can't be sent: {error}", OTHER_CHARACTERS
            ) from error

    def _password(self) -> str:
        if self._dial.password is None:
            raise TargetLoginFailed(
                "28P01",
                "the server asks for a password and the settings give none",
                "Set the target's `password` to {env: NAME}, {file: PATH} or {command: [...]}.",
            )
        return self._dial.password

    def _md5(self, salt: bytes) -> str:
        if len(salt) != 4:
            raise ProtocolViolation("08P01", "a request for an MD5 password without its four bytes of salt")
        # the server chose it: https://www.postgresql.org/docs/current/auth-password.html
        inner = hashlib.md5((self._password() + self._dial.user).encode(), usedforsecurity=False).hexdigest()
        return "md5" + hashlib.md5(inner.encode() + salt, usedforsecurity=False).hexdigest()
