import secrets
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bodycam.archive.keystore import KeyGone, KeyStore

KEK = bytes(range(32))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[KeyStore]:
    store = KeyStore(tmp_path / "keystore" / "keys.db", KEK)
    yield store
    store.close()


def fresh(count: int) -> list[tuple[bytes, bytes]]:
    return [(secrets.token_bytes(16), secrets.token_bytes(32)) for _ in range(count)]


def test_keys_come_back(store: KeyStore, tmp_path: Path) -> None:
    keys = fresh(100)
    store.put(keys)
    assert [store.get(session) for session, _ in keys] == [key for _, key in keys]
    assert (tmp_path / "keystore" / "keys.db").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "keystore").stat().st_mode & 0o777 == 0o700


def test_and_after_opening_again(tmp_path: Path) -> None:
    ((session, key),) = fresh(1)
    first = KeyStore(tmp_path / "keys.db", KEK)
    first.put([(session, key)])
    first.close()
    again = KeyStore(tmp_path / "keys.db", KEK)
    assert again.get(session) == key
    again.close()


def test_a_key_that_is_there_stays(store: KeyStore) -> None:
    ((session, key),) = fresh(1)
    store.put([(session, key)])
    store.put([(session, bytes(32))])
    assert store.get(session) == key


def test_nothing_is_kept_in_the_clear(store: KeyStore, tmp_path: Path) -> None:
    ((session, key),) = fresh(1)
    store.put([(session, key)])
    assert key not in (tmp_path / "keystore" / "keys.db").read_bytes()


def test_a_destroyed_key_is_in_no_file(store: KeyStore, tmp_path: Path) -> None:
    keys = fresh(300)
    store.put(keys[:200])
    store.put(keys[200:])  # the rollback journal now holds pages with keys of the first batch
    database = sqlite3.connect(tmp_path / "keystore" / "keys.db")
    wrapped = dict(database.execute("SELECT session, wrapped FROM keys").fetchall())
    database.close()
    for session, _ in keys[::7]:
        assert store.destroy(session)
        assert not store.destroy(session)
        with pytest.raises(KeyGone, match="is gone"):
            store.get(session)
    left = b"".join(file.read_bytes() for file in (tmp_path / "keystore").iterdir())
    for number, (session, key) in enumerate(keys):
        if number % 7:
            assert store.get(session) == key
            assert wrapped[session] in left
        else:
            assert wrapped[session][12:28] not in left


def test_a_key_moved_to_another_session_does_not_open(store: KeyStore, tmp_path: Path) -> None:
    (one, _), (two, _) = keys = fresh(2)
    store.put(keys)
    database = sqlite3.connect(tmp_path / "keystore" / "keys.db")
    with database:
        database.execute(
            "UPDATE keys SET wrapped = (SELECT wrapped FROM keys WHERE session = ?) WHERE session = ?",
            (one, two),
        )
    database.close()
    with pytest.raises(KeyGone, match="does not open"):
        store.get(two)


def test_another_key_encryption_key_opens_nothing(store: KeyStore, tmp_path: Path) -> None:
    ((session, key),) = fresh(1)
    store.put([(session, key)])
    other = KeyStore(tmp_path / "keystore" / "keys.db", bytes(32))
    with pytest.raises(KeyGone, match="can't be unwrapped: the key-encryption key"):
        other.get(session)
    other.close()


def test_many_threads(store: KeyStore) -> None:
    batches = [fresh(20) for _ in range(8)]
    failures: list[BaseException] = []

    def work(keys: list[tuple[bytes, bytes]]) -> None:
        try:
            for pair in keys:
                store.put([pair])
                assert store.get(pair[0]) == pair[1]
            assert store.destroy(keys[0][0])
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(keys,)) for keys in batches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
