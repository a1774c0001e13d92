from pathlib import Path

import pytest

from bodycam.archive import keys
from bodycam.archive.keys import KeysUnusable

PRIVATE = ("journal.pem", "signing.pem", "wrapping.key")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    keys.generate(tmp_path / "keys")
    return tmp_path / "keys"


def test_what_is_made_is_for_the_owner_alone(folder: Path) -> None:
    assert (folder / "archivist").stat().st_mode & 0o777 == 0o700
    for name in PRIVATE:
        assert (folder / "archivist" / name).stat().st_mode & 0o777 == 0o600


def test_private_and_public_halves_fit(folder: Path) -> None:
    private, public = keys.load_archivist(folder), keys.load_public(folder)
    public.signing.verify(private.signing.sign(b"x"), b"x")
    assert private.journal.public_key().public_bytes_raw() == public.archivist.public_bytes_raw()
    assert len(private.wrapping) == 32


def test_the_private_keys_never_show(folder: Path) -> None:
    private = keys.load_archivist(folder)
    assert repr(private) == "ArchivistKeys()"


def test_made_again_nothing_is_overwritten(folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert keys.generate(folder) == []
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_lost_public_half_is_made_again(folder: Path) -> None:
    before = (folder / "public" / "signing.pem").read_bytes()
    (folder / "public" / "signing.pem").unlink()
    assert keys.generate(folder) == ["public/signing.pem"]
    assert (folder / "public" / "signing.pem").read_bytes() == before


@pytest.mark.parametrize("name", ["journal.pem", "signing.pem"])
def test_a_lost_private_half_is_never_replaced(folder: Path, name: str) -> None:
    (folder / "archivist" / name).unlink()
    with pytest.raises(KeysUnusable, match="restore it from a backup"):
        keys.generate(folder)
    assert not (folder / "archivist" / name).exists()


@pytest.mark.parametrize("name", PRIVATE)
def test_a_file_open_to_others_is_refused(folder: Path, name: str) -> None:
    (folder / "archivist" / name).chmod(0o640)
    with pytest.raises(KeysUnusable, match=r"open to others \(mode 0640\); run: chmod 600"):
        keys.load_archivist(folder)


def test_so_is_the_folder(folder: Path) -> None:
    (folder / "archivist").chmod(0o755)
    with pytest.raises(KeysUnusable, match="run: chmod 700"):
        keys.load_archivist(folder)


@pytest.mark.parametrize("name", PRIVATE)
def test_a_missing_file_says_what_to_do(folder: Path, name: str) -> None:
    (folder / "archivist" / name).unlink()
    with pytest.raises(KeysUnusable, match=rf"{name} can't be read: .*bodycam init"):
        keys.load_archivist(folder)


@pytest.mark.parametrize("name", PRIVATE)
def test_a_file_that_is_no_key_is_named(folder: Path, name: str) -> None:
    (folder / "archivist" / name).write_bytes(b"hello")
    with pytest.raises(KeysUnusable, match=name):
        keys.load_archivist(folder)


def test_a_key_of_another_kind_is_named(folder: Path) -> None:
    own = folder / "archivist"
    (own / "signing.pem").write_bytes((own / "journal.pem").read_bytes())
    with pytest.raises(KeysUnusable, match=r"signing.pem is a key of another kind"):
        keys.load_archivist(folder)


def test_a_public_half_of_another_key_is_named(folder: Path, tmp_path: Path) -> None:
    keys.generate(tmp_path / "other")
    (folder / "public" / "archivist.pem").write_bytes(
        (tmp_path / "other" / "public" / "archivist.pem").read_bytes()
    )
    with pytest.raises(KeysUnusable, match=r"archivist.pem is not the public half"):
        keys.load_archivist(folder)


@pytest.mark.parametrize(
    ("content", "told"), [(None, "can't be read"), (b"hello", "not a public key in PEM")]
)
def test_public_keys_are_checked_too(folder: Path, content: bytes | None, told: str) -> None:
    file = folder / "public" / "signing.pem"
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(KeysUnusable, match=told):
        keys.load_signing_public(file)


def test_the_journal_key_is_read_alone_and_only_from_a_file_of_its_own(folder: Path) -> None:
    file = folder / "archivist" / "journal.pem"
    journal = keys.load_archivist(folder).journal
    (folder / "archivist" / "signing.pem").unlink()
    assert keys.load_journal(folder).private_bytes_raw() == journal.private_bytes_raw()
    file.chmod(0o644)
    with pytest.raises(KeysUnusable, match="open to others"):
        keys.load_journal(folder)
    file.unlink()
    with pytest.raises(KeysUnusable, match="can't be read"):
        keys.load_journal(folder)
