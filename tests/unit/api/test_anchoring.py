"""Ledger heads on their way out: to a file, a webhook, a time-stamp authority."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bodycam.api.anchoring import Anchoring
from bodycam.api.settings_in_use import SettingsInUse
from bodycam.archive import stamps
from bodycam.archive.head import Head
from bodycam.archive.kept import read_kept
from bodycam.config import parse
from tests.unit.api.authority import Authority, authority
from tests.unit.api.hook import SECRET, receiver, verified
from tests.unit.api.world import PlayedArchivist

KEY = Ed25519PrivateKey.generate()


def head(size: int, log: bytes = bytes(16), root: bytes | None = None) -> Head:
    return Head.sign(KEY, log, size, root or size.to_bytes(32, "big"), 1000 + size)


class Played:
    """Anchors of these settings over an archivist whose head the test sets; `crash` forgets all but the files."""

    def __init__(self, folder: Path, *anchors: dict[str, Any]) -> None:
        self.folder, self.archivist = folder, PlayedArchivist()
        for one in anchors:
            one.setdefault("interval", "1s")
        text = json.dumps({"ledger": {"anchors": list(anchors)}})
        self.settings = SettingsInUse(parse(text, file="t", folder=folder))
        self.now = 0.0
        self.grown(1)
        self.start()

    def start(self) -> None:
        self.anchoring = Anchoring(
            self.archivist,
            self.settings,
            self.folder / "anchors",
            clock=lambda: self.now,
            interval=0.01,
            first_pause=0.01,
        )
        self.task = asyncio.create_task(self.anchoring.run())

    def grown(self, size: int, **more: Any) -> Head:
        made = head(size, **more)
        self.archivist.signed = made.to_plain()
        return made

    async def crash(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def until(self, found: Callable[[], bool], what: str) -> None:
        for _ in range(1000):
            if found():
                return
            await asyncio.sleep(0.01)
        raise AssertionError(what)


def sizes(file: Path) -> list[int]:
    return [one.head.size for one in read_kept(file)] if file.exists() and file.stat().st_size else []


async def test_a_file_gets_a_changed_head_in_time_and_a_grown_one_at_once(tmp_path: Path) -> None:
    file = tmp_path / "heads.jsonl"
    played = Played(tmp_path, {"name": "f", "type": "file", "path": str(file), "leaves": 10})
    try:
        await played.until(lambda: played.anchoring.told.sent == 1, "the first head")
        played.grown(5)
        await played.until(lambda: played.anchoring.most_behind == 4, "it lacks four")
        assert sizes(file) == [1], "four leaves wait for the interval"
        played.grown(11)
        await played.until(lambda: played.anchoring.told.sent == 2, "ten leaves go at once")
        assert sizes(file) == [1, 11]
        played.grown(12)
        played.now += 1.1
        await played.until(lambda: played.anchoring.told.sent == 3, "one leaf goes in time")
        played.now += 5
        await asyncio.sleep(0.05)
        assert sizes(file) == [1, 11, 12], "an unchanged head is not put there again"
        assert all(one.head.holds(KEY.public_key()) for one in read_kept(file))
        assert file.stat().st_mode & 0o777 == 0o600
        assert (played.anchoring.told.sent, played.anchoring.most_behind) == (3, 0)
    finally:
        await played.crash()


async def test_who_dies_in_between_puts_it_there_again(tmp_path: Path) -> None:
    file = tmp_path / "heads.jsonl"
    played = Played(tmp_path, {"name": "f", "type": "file", "path": str(file)})
    await played.until(lambda: played.anchoring.told.sent == 1, "the first head")
    await played.crash()
    (tmp_path / "anchors" / "f.json").unlink()  # as if the head had gone out and this had not been written
    with file.open("ab") as stream:
        stream.write(b'{"type":"led')  # and as if a line had been cut
    played.start()
    try:
        await played.until(lambda: played.anchoring.told.sent == 1, "the same head again")
        assert sizes(file) == [1, 1]
        await played.crash()
        played.start()
        await asyncio.sleep(0.1)
        assert sizes(file) == [1, 1], "what is known to be there is not put there again"
    finally:
        await played.crash()


async def test_a_ledger_that_went_back_is_said_and_anchored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "heads.jsonl"
    played = Played(tmp_path, {"name": "f", "type": "file", "path": str(file)})
    try:
        played.grown(50)
        played.now += 2
        await played.until(lambda: 50 in sizes(file), "fifty leaves")
        played.grown(40)
        await played.until(lambda: sizes(file)[-1] == 40, "the older copy")
        played.grown(40, root=bytes(32))
        await played.until(
            lambda: len(sizes(file)) >= 3 and read_kept(file)[-1].head.root == bytes(32), "a fork"
        )
    finally:
        await played.crash()
    assert capsys.readouterr().out.count("the ledger is not the one that was anchored") == 2


async def test_a_webhook_gets_it_signed_and_again_until_it_takes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK", SECRET)
    with receiver([500, 302, 204]) as hook:
        played = Played(
            tmp_path, {"name": "w", "type": "webhook", "url": hook.url, "secret": {"env": "HOOK"}}
        )
        try:
            await played.until(lambda: played.anchoring.told.sent == 1, "the head")
        finally:
            await played.crash()
    assert [verified(one) for one in hook.received] == [True] * 3
    assert len({one.headers["webhook-id"] for one in hook.received}) == 1, (
        "a receiver can tell that it is the same"
    )
    saved = tmp_path / "body.json"
    saved.write_bytes(hook.received[-1].body)
    assert [one.head for one in read_kept(saved)] == [head(1)]
    assert (played.anchoring.told.failed, played.anchoring.failures) == (2, {})


@contextmanager
def stamping(folder: Path) -> Iterator[tuple[Authority, Path, dict[str, Any]]]:
    with authority(folder / "tsa") as one:
        file = folder / "stamps.jsonl"
        anchor = {
            "name": "t",
            "type": "rfc3161",
            "path": str(file),
            "authority_url": one.url,
            "authority": str(one.root),
        }
        yield one, file, anchor


async def test_an_authority_stamps_it_and_the_stamp_is_verified_without_it(tmp_path: Path) -> None:
    with stamping(tmp_path) as (one, file, anchor):
        played = Played(tmp_path, anchor)
        try:
            await played.until(lambda: sizes(file) == [1], "a stamped head")
        finally:
            await played.crash()
        assert one.kinds == {"application/timestamp-query"}
    (kept,) = read_kept(file)
    assert kept.stamp is not None
    trusted = stamps.read_authority(one.root)
    assert stamps.check(kept.stamp, kept.head, trusted).year >= 2024
    with authority(tmp_path / "other") as other:
        stranger = stamps.read_authority(other.root)
    flipped = bytearray(kept.stamp)
    flipped[-10] ^= 1
    for stamp, of, by in (
        (kept.stamp, head(2), trusted),
        (kept.stamp, kept.head, stranger),
        (bytes(flipped), kept.head, trusted),
        (kept.stamp[:-1], kept.head, trusted),
        (b"", kept.head, trusted),
        (bytes(stamps.MOST + 1), kept.head, trusted),
    ):
        with pytest.raises(stamps.StampRefused):
            stamps.check(stamp, of, by)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda answer: answer[:-1] + bytes([answer[-1] ^ 1]), "does not hold"),
        (lambda _: b"no stamp", "is no time stamp"),
        (lambda _: bytes(stamps.MOST + 1), "longer than a stamp can be"),
    ],
)
async def test_an_answer_that_is_no_stamp_is_not_taken(
    tmp_path: Path, spoil: Callable[[bytes], bytes], why: str
) -> None:
    with stamping(tmp_path) as (one, file, anchor):
        one.spoil = spoil
        played = Played(tmp_path, anchor)
        try:
            await played.until(lambda: why in played.anchoring.failures.get("t", ""), why)
            assert sizes(file) == []
            one.spoil = None
            await played.until(lambda: sizes(file) == [1], "a stamp after all")
            await played.until(lambda: not played.anchoring.failures, "all is well again")
        finally:
            await played.crash()


async def test_anothers_stamp_is_not_taken(tmp_path: Path) -> None:
    """An old answer played again has another nonce; it was once a stamp of the same head."""
    with stamping(tmp_path) as (one, file, anchor):
        played = Played(tmp_path, anchor)
        await played.until(lambda: played.anchoring.told.sent == 1, "a stamped head")
        await played.crash()
        old = read_kept(file)[0].stamp or b""
        (tmp_path / "anchors" / "t.json").unlink()
        one.spoil = lambda _: old
        played.start()
        try:
            await played.until(
                lambda: "Nonce" in played.anchoring.failures.get("t", ""), "a nonce that is not ours"
            )
        finally:
            await played.crash()
        assert sizes(file) == [1]


async def test_an_archivist_that_is_away_is_no_fault_of_an_anchor(tmp_path: Path) -> None:
    file = tmp_path / "heads.jsonl"
    played = Played(tmp_path, {"name": "f", "type": "file", "path": str(file)})
    played.archivist.away = True
    try:
        await asyncio.sleep(0.1)
        assert played.anchoring.failures == {}
        played.archivist.away = False
        await played.until(lambda: sizes(file) == [1], "it comes back")
    finally:
        await played.crash()


@pytest.mark.parametrize(
    ("anchor", "what"),
    [
        ({"type": "file"}, "a path"),
        ({"type": "file", "path": "x", "url": "https://h/"}, "no url"),
        ({"type": "webhook", "secret": {"env": "X"}}, "url or url_from"),
        ({"type": "webhook", "url": "https://h/"}, "a secret"),
        ({"type": "webhook", "url": "http://h.example/", "secret": {"env": "X"}}, "https://host"),
        ({"type": "rfc3161", "path": "x", "authority_url": "http://h/"}, "authority"),
        ({"type": "rfc3161", "path": "x", "authority_url": "ftp://h/", "authority": "a"}, "http://host"),
        ({"type": "file", "path": "x", "interval": "1ms"}, "interval"),
    ],
)
def test_wrong_settings_are_named(tmp_path: Path, anchor: dict[str, Any], what: str) -> None:
    text = json.dumps({"ledger": {"anchors": [{"name": "a", **anchor}]}})
    with pytest.raises(Exception, match=r"ledger\.anchors") as found:
        parse(text, file="t", folder=tmp_path)
    assert what in str(found.value)
