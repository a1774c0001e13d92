import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.api.world import World, living


@pytest.fixture
async def world() -> AsyncIterator[World]:
    folder = Path(tempfile.mkdtemp(prefix="api"))
    try:
        async with living(folder) as one:
            yield one
    finally:
        shutil.rmtree(folder)
