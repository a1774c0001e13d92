"""What can go wrong with a journal."""

from pathlib import Path


class JournalUnwritable(Exception):
    """The journal can't take what must be recorded, so what waits for it may not happen (law 2).

    A writer that raised this once raises it for good: its worker has to be replaced.
    """


class JournalDamaged(Exception):
    """Something inside a journal is bad although sound records follow it: damage, and no torn tail."""

    def __init__(self, path: Path, offset: int, reason: str) -> None:
        super().__init__(f"{path}, byte {offset}: {reason}")
        self.path, self.offset, self.reason = path, offset, reason
