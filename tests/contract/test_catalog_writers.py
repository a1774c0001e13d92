"""Two processes write one catalog: nobody fails, nothing is lost."""

import subprocess
import sys

from sqlalchemy import Engine

from bodycam.catalog import deletion
from bodycam.catalog.engine import reading

WRITER = """
import sys
from bodycam.catalog.engine import make_engine
from tests.contract.catalog_cases import add_session, exchange, write
url, name = sys.argv[1:]
engine = make_engine(url)
keys = add_session(engine, "ses_" + name, run="run_" + name)
for batch in range(20):
    assert write(engine, [exchange(keys, batch * 20 + n, f"SELECT {name} {n}") for n in range(1, 21)]) == 20
engine.dispose()
"""


def test_two_processes_write(catalog: Engine, catalog_url: str) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, catalog_url, name], stderr=subprocess.PIPE)
        for name in ("one", "two")
    ]
    for writer in writers:
        try:
            _, said = writer.communicate(timeout=60)
        finally:
            writer.kill()
        assert writer.returncode == 0, said.decode()
    with reading(catalog) as connection:
        counts = deletion.counts(connection)
    assert (counts["sessions"], counts["exchanges"], counts["statements"]) == (2, 800, 40)
