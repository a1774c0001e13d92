"""How the archivist works, and where."""

from dataclasses import dataclass
from pathlib import Path

from bodycam.archive.blocks import MOST, BlockPlan


@dataclass(frozen=True, slots=True)
class Folders:
    """Where the archivist finds and keeps things."""

    journal: Path
    staging: Path


@dataclass(frozen=True, slots=True)
class ArchiveSettings:
    """How the archivist works; times in seconds, sizes in bytes.

    `memory` bounds what is neither staged nor sealed, over all sessions; `container` is when a container is
    full. A single read of a journal (1 MiB) and one block for each open session come on top. `block` is the
    size of a session's first blocks, `most_blocks` how many it may have.
    """

    seal_interval: float = 0.5
    checkpoint_interval: float = 2.0
    head_interval: float = 5.0
    block: int = 256 * 1024
    memory: int = 64 * 1024 * 1024
    container: int = 16 * 1024 * 1024
    most_blocks: int = MOST

    @property
    def plan(self) -> BlockPlan:
        """How sessions are cut into blocks."""
        return BlockPlan(self.block, self.most_blocks)
