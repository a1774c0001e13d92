"""What is wrong with a message, and the status that its sender is answered with."""


class BadMessage(Exception):
    """A message that can't be taken: forwarded, it might be read in two ways, or it breaks the protocol.

    Attributes:
        status: the status code of the answer (RFC 9110, section 15).
        reason: what is wrong, for people; it repeats nothing of the message but names.
    """

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.reason, self.status = reason, status
