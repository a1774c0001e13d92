"""Key-encryption keys: names, generations, commands that fail, and wrapping anew."""

import os
import secrets
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bodycam.archive import kms, rotation
from bodycam.archive.kek import KeyAway
from bodycam.archive.keyring import Keyring
from bodycam.archive.keys import KeysUnusable
from bodycam.archive.keystore import KeyGone, KeyStore
from bodycam.archive.kms import KeyCommand
from bodycam.archive.rotation import NotRetired


class House:
    """A keys folder with a team's key and one of a command, and a key store."""

    def __init__(self, root: Path) -> None:
        self.keys, self.file, self.kms = root / "keys", root / "keys.db", root / "kms"
        self.kms.mkdir()
        (self.kms / "master").write_bytes(os.urandom(32))
        command = (sys.executable, str(Path(__file__).parents[2] / "interop" / "kms.py"), str(self.kms))
        self.command = KeyCommand((*command, "wrap"), (*command, "unwrap"), timeout=2, cache=60)
        self.now = 1000.0
        rotation.make_missing(self.keys, ["team", "vault"], {"vault": self.command})
        self.ring = Keyring(self.keys / "archivist", {"vault": self.command}, lambda: self.now)
        self.store = KeyStore(self.file, self.ring)

    def mode(self, mode: str) -> None:
        (self.kms / "mode").write_text(mode)

    def calls(self) -> list[str]:
        return (self.kms / "calls").read_text().split()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    house.store.close()


def fresh(name: str, count: int = 3) -> list[tuple[bytes, bytes, str]]:
    return [(secrets.token_bytes(16), secrets.token_bytes(32), name) for _ in range(count)]


def test_a_rotation_wraps_anew_and_only_then_lets_the_old_key_go(house: House) -> None:
    kept = fresh("default", 5) + fresh("team", 4)
    house.store.put(kept)
    (old,) = [one for one in house.ring.files() if one.name == "default"]
    rotation.rotate_kek(house.keys, "default", {})
    assert house.store.rewrap_left() == 5
    assert [house.store.get(session) for session, _, _ in kept] == [key for _, key, _ in kept]
    (older,) = [one for one in house.ring.files() if one.id == old.id]
    with pytest.raises(NotRetired, match="5 data keys"):
        rotation.retire_kek(older, house.store.wrapped_by())
    assert [house.store.rewrap(2) for _ in range(4)] == [2, 2, 1, 0]
    assert house.store.rewrap_left() == 0
    rotation.retire_kek(older, house.store.wrapped_by())
    assert [house.store.get(session) for session, _, _ in kept] == [key for _, key, _ in kept]
    with pytest.raises(NotRetired, match="newest"):
        rotation.retire_kek(house.ring.files()[0], {})


def test_what_an_older_version_wrapped_is_read_and_wrapped_anew(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    house, session, key, nonce = House(tmp_path), os.urandom(16), os.urandom(32), os.urandom(12)
    house.store.close()
    house.file.unlink()
    kek = (house.keys / "archivist" / "wrapping.key").read_bytes()
    wrapped = nonce + AESGCM(kek).encrypt(nonce, key, b"bodycam data key v1" + session)
    with sqlite3.connect(house.file) as database:
        database.execute(
            "CREATE TABLE keys (session BLOB PRIMARY KEY, wrapped BLOB NOT NULL, made INTEGER NOT NULL)"
        )
        database.execute("INSERT INTO keys VALUES (?, ?, 0)", (session, wrapped))
        database.execute("INSERT INTO keys VALUES (?, ?, 0)", (bytes(16), bytes(60)))
    database.close()
    rotation.rotate_kek(house.keys, "default", {})
    house.store = KeyStore(house.file, house.ring)
    assert house.store.get(session) == key
    assert [house.store.rewrap(10), house.store.rewrap(10)] == [1, 0]
    assert house.store.get(session) == key
    with pytest.raises(KeyGone):
        house.store.get(bytes(16))
    house.store.close()


def test_a_lost_key_costs_only_what_it_wraps(house: House) -> None:
    ((mine, key, _),), ((team, _, _),) = fresh("default", 1), fresh("team", 1)
    house.store.put([(mine, key), (team, os.urandom(32), "team")])
    (house.keys / "archivist" / "wrapping-team.key").unlink()
    assert house.store.get(mine) == key
    with pytest.raises(KeyGone, match="is not in"):
        house.store.get(team)
    with pytest.raises(KeyAway, match="the key-encryption key team is not in"):
        house.store.put(fresh("team"))
    assert house.ring.without({"default", "team"}).keys() == {"team"}
    assert house.store.rewrap(10) == 0


def test_a_command_is_asked_once_for_many_keys_and_again_in_time(house: House) -> None:
    house.ring.tend()
    kept = fresh("vault", 20)
    house.store.put(kept)
    assert [house.store.get(session) for session, _, _ in kept] == [key for _, key, _ in kept]
    assert house.calls() == ["wrap", "unwrap"]
    house.now += 31
    house.ring.tend()
    assert house.calls() == ["wrap", "unwrap", "unwrap"]
    house.now += 61
    assert house.ring.away() == ["vault"]
    assert house.store.get(kept[0][0]) == kept[0][1], "who reads waits for the command"
    plain = (house.keys / "archivist" / "wrapping-vault.key").read_bytes()
    assert house.ring.current("vault").secret not in plain


@pytest.mark.parametrize(
    ("mode", "says"),
    [
        ("fail", "failed with exit code 7"),
        ("hang", "did not answer in time"),
        ("flood", "said more than 65536 bytes"),
        ("wrong", "did not give back the key vault"),
    ],
)
def test_a_command_that_goes_wrong_is_named_and_leaks_nothing(mode: str, says: str, house: House) -> None:
    house.mode(mode)
    house.ring.tend()
    with pytest.raises(KeyAway, match=says) as caught:
        house.ring.current("vault")
    assert str(house.kms) not in str(caught.value), "arguments may hold what nobody should read"
    asked = len(house.calls())
    with pytest.raises(KeyAway, match=says):
        house.ring.opening(next(one.id for one in house.ring.files() if one.name == "vault"))
    assert len(house.calls()) == asked, "it is left alone for a while"
    house.mode("")
    house.now += 60
    house.ring.tend()
    assert house.ring.away() == []


def test_a_command_that_is_not_there(house: House) -> None:
    with pytest.raises(KeyAway, match="key command none can't be started"):
        kms.ask(["/nowhere/none", "secret-argument"], b"x", 1)
    with pytest.raises(KeyAway, match="said nothing"):
        kms.ask([sys.executable, "-c", "pass"], b"x" * 100_000, 5)
    with pytest.raises(KeyAway, match="did not e"):
        kms.ask([sys.executable, "-c", "import os, time; os.close(1); time.sleep(60)"], b"x", 1)


def test_a_key_of_a_command_rotates_through_it(house: House) -> None:
    house.ring.tend()
    kept = fresh("vault", 3)
    house.store.put(kept)
    rotation.rotate_kek(house.keys, "vault", {"vault": house.command})
    house.ring.tend()
    assert house.store.rewrap(10) == 3
    assert [house.store.get(session) for session, _, _ in kept] == [key for _, key, _ in kept]
    house.mode("fail")
    before = sorted((house.keys / "archivist").rglob("*.key"))
    with pytest.raises(KeyAway):
        rotation.rotate_kek(house.keys, "vault", {"vault": house.command})
    assert sorted((house.keys / "archivist").rglob("*.key")) == before


def test_files_that_are_no_keys_are_named_and_cost_nothing_else(house: House) -> None:
    own = house.keys / "archivist"
    (own / "wrapping-odd.key").write_bytes(b"short")
    (own / "wrapping-odd.key").chmod(0o600)
    (own / "wrapping-open.key").write_bytes(os.urandom(32))
    (own / "wrapping-open.key").chmod(0o644)
    assert {one.name for one in house.ring.files()} == {"default", "team", "vault"}
    assert len(house.ring.faults()) == 2
    with pytest.raises(KeysUnusable, match="5 bytes"):
        rotation.rotate_kek(house.keys, "odd", {})
