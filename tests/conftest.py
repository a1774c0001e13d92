"""Which hot path is tested: the sources, or what was compiled of them. And a server that several folders need."""

from collections.abc import Iterator

import pytest

from bodycam.protocols.postgres import codec
from tests import openssh


def pytest_report_header() -> str:
    state = "compiled" if codec.__file__.endswith(".so") else "interpreted"
    return f"hot path: {state}"


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[openssh.OpenSsh]:
    """A real OpenSSH server that lets in one key."""
    with openssh.sshd(tmp_path_factory.mktemp("openssh") / "server") as running:
        yield running
