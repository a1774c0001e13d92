"""Make the golden files of one format version: `python -m tests.golden.make_recordings FOLDER`.

Files are made once, when a version is decided, and never again: the test reads them for ever. The keys are
fixed and worth nothing.
"""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import cbor2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bodycam.archive.format import v1
from bodycam.archive.format.container import MAGIC, Place, footer
from bodycam.archive.keystore import KeyStore
from bodycam.archive.ledger import Leaf, Ledger
from bodycam.archive.store.local import LocalStore
from bodycam.model import ids
from bodycam.model.event import Flavor, Kind

SIGNING = Ed25519PrivateKey.from_private_bytes(b"golden signing key, worth nothing"[:32])
WRAPPING = b"golden wrapping key, worth nothing"[:32]
WORKER = bytes.fromhex("00112233445566778899aabbccddeeff")
OPENED = {
    "run": "run_aaaaaaaaaaaaaaaa",
    "principal": {"issuer": "bodycam", "subject": "ci", "kind": "service", "groups": ["payments-dev"]},
    "agent": "billing-bot",
    "target": {"name": "orders", "protocol": "postgres", "labels": {"env": "prod"}},
    "database": "orders",
    "grade": "advisory",
    "labels": {"ticket": "PAY-1"},
    "trace": None,
    "address": "127.0.0.1:50000",
    "claims": {"application_name": "psql"},
    "worker": WORKER,
    "started": 1_790_000_000_000_000,
    "policy": "p1",
    "version": "0.1.0",
}
COLUMNS = bytes.fromhex("54000000 21 0001 69640000000000000000000017 0004 ffffffff 0000".replace(" ", ""))
ROW = bytes.fromhex("44 0000000c 0001 00000002 3432".replace(" ", ""))

TOTALS = {"exchanges": 3, "rows": 2, "bytes_to_client": 106, "bytes_to_target": 36}
Made = Callable[[str, int], list[list[object]]]
"""The events of a session, by its name and opening number."""


def one_of_each(session: str, opening: int) -> list[list[object]]:
    """Every kind of event, with the shapes that its body can have."""
    return [
        [Kind.OPENED, 0, 0, {**OPENED, "session": session, "opening": opening}],
        [
            Kind.REQUEST,
            1500,
            1,
            ["query", "select id from orders", [], {"statements": 1}, "statement", None, 0],
        ],
        [Kind.TO_CLIENT, 2600, 1, [Flavor.COLUMNS, 0, COLUMNS]],
        [Kind.TO_CLIENT, 2700, 1, [Flavor.ROWS, 2, ROW * 2]],
        [Kind.FINISH, 2800, 1, ["ok", 2, 26, 27, "SELECT 2", None]],
        [
            Kind.REQUEST,
            3_000_000,
            2,
            [
                "execute",
                "delete from orders where id = $1",
                [[23, 1, b"\0\0\0*"], [25, 0, None]],
                {},
                "statement",
                ["deny", "no-deletes", "p1", "deleting is not allowed"],
                1,
            ],
        ],
        [
            Kind.FINISH,
            3_000_100,
            2,
            [
                "denied",
                0,
                80,
                0,
                None,
                {"code": "42501", "message": "deleting is not allowed", "hint": "ask"},
            ],
        ],
        [Kind.REQUEST, 4_000_000, 3, ["copy", "copy orders from stdin", [], {}, "aside", None, 0]],
        [Kind.TO_TARGET, 4_000_010, 3, [Flavor.CHUNK, 0, b"d\0\0\0\x08" + b"1\t2\n"]],
        [Kind.TO_CLIENT, 4_000_020, 3, [Flavor.FRAMES, 0, "ünïcode".encode()]],
        [Kind.FINISH, 4_100_000, 3, ["unknown", 0, 0, 9, None, None]],
        [Kind.NOTE, 4_100_000, 0, {"note": "interrupted", "reason": "the gateway's worker died"}],
        [
            Kind.CLOSED,
            4_100_000,
            0,
            {"outcome": "interrupted", "reason": "died", "unsent_to_client": 7, "unsent_to_target": 0},
        ],
    ]


def make(folder: Path, made: Made = one_of_each, totals: Mapping[str, int] = TOTALS) -> None:
    """Two containers with three sessions, the ledger that tells of them, and what they have to say."""
    store, keystore = LocalStore(folder / "recordings"), KeyStore(folder / "keystore" / "keys.db", WRAPPING)
    ledger = Ledger(folder / "ledger", SIGNING)
    expected = []
    for container, numbers in ((1, (1, 2)), (2, (3,))):
        data, places = MAGIC, []
        for number in numbers:
            raw, key = bytes([number]) * 16, bytes([number + 100]) * 32
            events = made(ids.session_id(raw), number)
            body, root, chain = _session(raw, key, number, events, totals)
            keystore.put([(raw, key)])
            ledger.append([Leaf.OPENED, raw, WORKER, number])
            ledger.append([Leaf.HEAD, raw, 2, chain])
            places.append(Place(raw, len(data), len(body), root))
            data += body
            expected.append({"session": ids.session_id(raw), "key": key.hex(), "events": _shown(events)})
        ledger.commit()
        store.put(f"2026/09/21/rec_golden{container}.bcr", [data, footer(places)])
        for place in places:
            ledger.append([Leaf.SEALED, place.session, place.root])
        ledger.append([Leaf.ADMIN, bytes(range(32))])
    ledger.append([Leaf.VIEWED, b"\1" * 16, bytes(range(32))])
    ledger.commit()
    (folder / "kept_head.json").write_text(json.dumps(ledger.head().to_plain(), indent=1) + "\n")
    ledger.append([Leaf.DELETED, b"\3" * 16, bytes(range(32))])
    keystore.destroy(b"\3" * 16)
    ledger.close()
    keystore.close()
    (folder / "signing.hex").write_text(SIGNING.public_key().public_bytes_raw().hex() + "\n")
    (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    for derived in (folder / "ledger" / "lock", folder / "ledger" / "tree", *folder.rglob("*-journal")):
        derived.unlink()
    (folder / "recordings" / ".partial").rmdir()


def _session(
    raw: bytes, key: bytes, number: int, events: list[list[object]], totals: Mapping[str, int]
) -> tuple[bytes, bytes, bytes]:
    """A session's bytes, its root, and the chain after its second block."""
    writer = v1.SessionWriter(raw, key, created=1_790_000_000)
    body = writer.header
    for begin in range(0, len(events), 4):
        block = events[begin : begin + 4]
        encoded = b"".join(map(cbor2.dumps, block))
        body += writer.block(encoded, len(block), int(str(block[0][1])), int(str(block[-1][1])))
    tail, root = writer.finish(
        SIGNING,
        totals=dict(totals),
        outcome="interrupted",
        markers=["interrupted"],
        worker=WORKER,
        opening=number,
        sealed=1_790_000_010_000,
    )
    return body + tail, root, writer.entries[1].chain


def _shown(value: object) -> object:
    """As JSON keeps it: bytes in hexadecimal under a key of their own."""
    match value:
        case bytes():
            return {"hex": value.hex()}
        case list():
            return [_shown(one) for one in value]
        case dict():
            return {key: _shown(one) for key, one in value.items()}
        case _:
            return value


if __name__ == "__main__":
    make(Path(sys.argv[1]))
