"""Those who never said who they are: counted, so that a flood of them is a few lines of the audit."""

from collections import Counter
from enum import StrEnum

MAX_HOSTS = 1000


class Stranger(StrEnum):
    """What somebody unknown did wrong."""

    NONSENSE = "nonsense"  # bytes that are not the protocol
    SILENT = "no-login-in-time"
    UNTRUSTED = "untrusted-certificate"  # a client certificate of another authority than ours


class Strangers:
    """Counts by what was wrong and from which host, until the control process takes the counts over.

    Hosts beyond the bound are counted together, under an empty name.
    """

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()

    def add(self, what: Stranger, address: str) -> None:
        """Count one; `address` is `host:port`, of which the host is kept."""
        key = (what.value, address.rpartition(":")[0])
        if key not in self._counts and len(self._counts) >= MAX_HOSTS:
            key = (what.value, "")
        self._counts[key] += 1

    def drain(self) -> list[tuple[str, str, int]]:
        """What, host and count of each since the last call."""
        counted = [(what, host, count) for (what, host), count in self._counts.items()]
        self._counts.clear()
        return counted
