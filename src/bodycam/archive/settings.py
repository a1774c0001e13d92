"""How the archivist works."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ArchiveSettings:
    """How the archivist works; times in seconds, sizes in bytes.

    `memory` bounds what is neither staged nor sealed, over all sessions; `container` is when a container is
    full. A single read of a journal (1 MiB) and one block for each open session come on top.
    """

    seal_interval: float = 0.5
    checkpoint_interval: float = 2.0
    head_interval: float = 5.0
    block: int = 256 * 1024
    memory: int = 64 * 1024 * 1024
    container: int = 16 * 1024 * 1024
