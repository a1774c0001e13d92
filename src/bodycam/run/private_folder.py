"""The folder of a run's binding files: readable by its owner only, and gone when the run is over."""

import os
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self


class PrivateFolder:
    """A fresh folder of mode 0700 in the system's temporary folder; it lives as long as the `with` block."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="bodycam-run-"))  # mkdtemp makes it 0700

    def write(self, name: str, text: str, mode: int = 0o600) -> Path:
        """A new file with this content, in folders of mode 0700."""
        path = self.path / name
        for folder in reversed([one for one in path.parents if one.is_relative_to(self.path)]):
            folder.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def replace(self, name: str, text: str) -> Path:
        """The file with this content instead of the one it had, never half of either."""
        path = Path(name)
        partial = str(path.with_name(f".{path.name}.new"))
        (self.path / partial).unlink(missing_ok=True)
        return self.write(partial, text).replace(self.path / path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # the child may be writing into it still; what is left then holds no credential that is good any more
        shutil.rmtree(self.path, ignore_errors=True)
