"""After a deletion no byte of the deleted text is in any of SQLite's files."""

from pathlib import Path

from bodycam.catalog import deletion
from bodycam.catalog.engine import make_engine
from bodycam.catalog.schema import migrate
from tests.contract.catalog_cases import add_session, exchange, write


def _holds(folder: Path, text: bytes) -> bool:
    return any(text in path.read_bytes() for path in folder.glob("catalog.db*"))


def test_deleted_text_is_gone_from_the_files(tmp_path: Path) -> None:
    engine = make_engine(f"sqlite:///{tmp_path / 'catalog.db'}")
    migrate(engine)
    gone, kept = add_session(engine, "ses_gone"), add_session(engine, "ses_kept")
    for batch in range(10):
        numbers = range(batch * 50 + 1, batch * 50 + 51)
        write(
            engine,
            [exchange(gone, n, f"SELECT zebra{n}", values=f"giraffe{n}", error="okapi") for n in numbers],
        )
        write(engine, [exchange(kept, n, f"SELECT horse{n}", values=f"donkey{n}") for n in numbers])
    assert _holds(tmp_path, b"zebra7") or _holds(tmp_path, b"zebra")
    assert deletion.forget_session(engine, "ses_gone")
    deletion.scrub(engine)
    for text in (b"zebra", b"giraffe", b"okapi"):
        assert not _holds(tmp_path, text), text
    assert _holds(tmp_path, b"donkey")
    engine.dispose()
