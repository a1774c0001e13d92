"""The person of the demo who approves: looks at what waits, and lets the one deletion through."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from bodycam.cli.demo.gateway import APPROVERS, Gateway
from bodycam.cli.failure import Failure
from bodycam.cli.printing import tell

PERSON = "ann"
WAIT_SECONDS = 90.0
_LOOK = 0.5


@contextmanager
def approver(gateway: Gateway) -> Iterator[list[Mapping[str, Any]]]:
    """Somebody who approves what waits while the block lasts; gives what they approved."""
    gateway.command("accounts", "create", PERSON, "--human", "--group", APPROVERS)
    key = gateway.command("accounts", "key", PERSON).stdout.strip()
    approved: list[Mapping[str, Any]] = []
    over = threading.Event()

    def look() -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while not over.is_set() and time.monotonic() < deadline and not approved:
            try:
                waiting = gateway.ask("approvals", "list", "--state", "pending", key=key)["approvals"]
                for one in waiting:
                    tell(f"{PERSON} looks at {one['id']} and approves: {one['text']}")
                    reason = "those crumbs may go"
                    approved.append(
                        gateway.ask("approvals", "approve", one["id"], "--reason", reason, key=key)
                    )
            except Failure as error:
                tell(f"{PERSON} could not decide: {error.message}")
            over.wait(_LOOK)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield approved
    finally:
        over.set()
        thread.join(WAIT_SECONDS)
