"""How an operation that waits for people is asked about, while others of its channel go on."""

from collections.abc import Callable
from typing import Protocol

from bodycam.model.operation import Operation
from bodycam.session.session import Exchange

Then = Callable[[bool, str, str], None]
"""Gets the answer, once: whether the operation may go on now, else why not, and what to do about it."""


class Approver(Protocol):
    """Asks people about operations whose verdict is `pending`, several side by side."""

    def ask(self, exchange: Exchange, operation: Operation, then: Then) -> Callable[[], None]:
        """Ask about one; `then` is called later or at once.

        What is given back gives up waiting: then nobody is told.
        """
