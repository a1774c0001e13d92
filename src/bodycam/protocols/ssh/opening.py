"""What comes before SSH's own messages: nothing. Both sides greet at once (RFC 4253, section 4.2)."""

from bodycam.net.opening import Begin, Fail, Look, TargetLook, Tls


class Opening:
    """The server greets first: no byte of the client is looked at."""

    def look(self, peeked: bytes) -> Look:
        """Begin, whatever came."""
        return Begin()


class TargetOpening:
    """No TLS: SSH proves its host and encrypts by itself."""

    def first(self) -> bytes | Tls | None:
        """Nothing is asked."""
        return None

    def answered(self, byte: bytes) -> TargetLook:
        """Nothing was asked."""
        return Fail("the target spoke before it was asked")

    def refused(self) -> TargetLook:
        """There is no other way."""
        return Fail("the connection failed")
