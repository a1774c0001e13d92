"""What goes to the target in the place of what was denied: messages that the server itself refuses.

A denial must leave transaction, pipeline and rollback exactly as a server's error does, and the way to that
is a server's error. So each message that asks for something is replaced by one of its own type that can't
succeed and says nothing of the original; the error that comes back is told to the client as ours.
https://www.postgresql.org/docs/current/protocol-flow.html
"""

import secrets
import struct
from typing import Final

from bodycam.protocols.postgres.reading import message, text

REFUSED: Final = frozenset({"42601", "26000", "34000", "42883", "25P02"})
"""How a server refuses them: syntax error, no such statement, portal or function; or, in a transaction that
failed already, anything at all."""

# an identifier begins no statement; the database's own log shows why it was sent
_TEXT: Final = 'denied by bodycam: rule "{rule}"'


def query(rule: str) -> bytes:
    """A Query that is a syntax error; like any, it does away with the unnamed statement."""
    return message(b"Q", text(_TEXT.format(rule=rule)))


def parse(name: str, rule: str) -> bytes:
    """A Parse that is a syntax error, for the statement of that name."""
    return message(b"P", text(name), text(_TEXT.format(rule=rule)), struct.pack(">H", 0))


def bind() -> bytes:
    """A Bind of a statement that nobody can have prepared."""
    return message(b"B", text(""), text(_nobodys_name()), struct.pack(">HHH", 0, 0, 0))


def execute() -> bytes:
    """An Execute of a portal that nobody can have bound."""
    return message(b"E", text(_nobodys_name()), struct.pack(">i", 0))


def function_call() -> bytes:
    """A FunctionCall of function 0, which there is not."""
    return message(b"F", struct.pack(">IHHH", 0, 0, 0, 0))


def _nobodys_name() -> str:
    return f"denied by bodycam {secrets.token_hex(16)}"
