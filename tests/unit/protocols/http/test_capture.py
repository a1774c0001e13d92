"""What of a body is recorded: up to a cap, with size and hash of what is left out."""

import hashlib

import pytest

from bodycam.model.media import media
from bodycam.protocols.http.capture import BODY_SIZE, BodyTap, received, sent
from bodycam.session.masks import Passed
from tests.playbook.play import NoRedaction

JSON = media("application/json")


class Upper:
    """Masks that hold everything back up to a full stop, and write it in capitals."""

    def __init__(self, *, may_change: bool = True) -> None:
        self.may_change, self.changed, self.unread = may_change, False, ""
        self.waits = b""
        self.looked_at = 0

    @property
    def held(self) -> int:
        return len(self.waits)

    def whole(self, content: bytes) -> Passed:
        self.waits = b""
        self.looked_at += len(content)
        put = content.upper()
        put = content if put == content else put
        self.changed = self.may_change and put is not content
        return (put if self.may_change else content), put

    def feed(self, data: bytes) -> Passed:
        data = self.waits + data
        end = data.rfind(b".") + 1
        out = self.whole(data[:end])
        self.waits = data[end:]
        return out

    def flush(self) -> Passed:
        return self.whole(self.waits)

    release_held = flush

    def sightings(self) -> list[object]:
        return []


def run(tap: BodyTap, pieces: list[bytes]) -> tuple[bytes, bytes]:
    passed = [tap.feed(piece) for piece in pieces] + [tap.end()]
    return b"".join([onward for onward, _ in passed]), b"".join([kept for _, kept in passed])


def said(recorded: int, content: bytes, kind: str) -> str:
    digest = hashlib.sha256(content).hexdigest()
    return f"{recorded} of a body's {len(content)} bytes of {kind} are recorded; SHA-256 of all: {digest}"


def test_a_small_body_passes_as_it_is() -> None:
    content = b'{"a": 1}'
    tap = received(JSON, None, NoRedaction())
    onward, kept = tap.whole(content)
    assert onward is content
    assert kept is content
    assert (tap.changed, tap.may_change, tap.left_out(), tap.size) == (False, False, "", len(content))


@pytest.mark.parametrize("sizes", [[30], [9, 10, 11], [1] * 30])
def test_beyond_the_cap_nothing_is_recorded(sizes: list[int]) -> None:
    content = bytes(range(65, 95))
    pieces = []
    at = 0
    for size in sizes:
        pieces.append(content[at : at + size])
        at += size
    tap = BodyTap(JSON, None, cap=10)
    assert run(tap, pieces) == (content, content[:10])
    assert tap.left_out() == said(10, content, "application/json")
    tap = BodyTap(JSON, None, cap=10)
    assert tap.whole(content) == (content, content[:10])
    assert tap.left_out() == said(10, content, "application/json")


def test_the_cap_is_not_reached_by_its_own_size() -> None:
    for tap in (BodyTap(JSON, None, cap=10), BodyTap(JSON, None, cap=10)):
        assert run(tap, [b"12345", b"67890"]) == (b"1234567890", b"1234567890")
        assert tap.left_out() == ""


def test_of_what_is_no_text_size_and_hash_are_recorded() -> None:
    content = b"\x89PNG" * 5
    tap = received(media("image/png"), None, NoRedaction())
    assert run(tap, [content[:7], content[7:]]) == (content, b"")
    assert tap.left_out() == said(0, content, "image/png")
    tap = BodyTap(JSON, None, kept=False)
    assert tap.whole(content) == (content, b"")
    assert tap.left_out() == said(0, content, "application/json")
    assert received(media("image/png"), None, NoRedaction()).left_out() == ""


def test_masks_for_both() -> None:
    tap = BodyTap(JSON, Upper())
    assert tap.may_change
    assert tap.feed(b"one. tw") == (b"ONE.", b"ONE.")
    assert tap.held == 3
    assert tap.release_held() == (b" TW", b" TW")
    assert tap.changed
    assert tap.end() == (b"", b"")


def test_masks_for_the_record_stop_where_nothing_more_is_recorded() -> None:
    masks = Upper(may_change=False)
    tap = BodyTap(JSON, masks, cap=6)
    text = b"one. two. three. four. five. six"
    pieces = [text[at : at + 1] for at in range(len(text))]
    assert run(tap, pieces) == (text, b"ONE. T")
    assert masks.looked_at < 15
    assert not tap.changed
    assert tap.left_out() == said(6, text, "application/json")


def test_masks_for_clients_go_on_beyond_the_cap() -> None:
    tap = BodyTap(JSON, Upper(), cap=6)
    assert run(tap, [b"one. two. th", b"ree"]) == (b"ONE. TWO. THREE", b"ONE. T")


class Bodies:
    """A session's masks, and its redaction."""

    keeps_bodies, body_size, paths = True, 5, ("a path",)

    def __init__(self) -> None:
        self.asked: tuple[object, ...] = ()

    def body(self, *asked: object) -> Upper:
        self.asked = asked
        return Upper(may_change=len(asked) == 1)


def test_settings_of_the_target_hold() -> None:
    bodies = Bodies()
    assert received(JSON, bodies, NoRedaction()).whole(b"abcdefg") == (b"ABCDEFG", b"ABCDE")  # type: ignore[arg-type]
    tap = sent(JSON, bodies, bodies)  # type: ignore[arg-type]
    assert tap.whole(b"abcdefg") == (b"abcdefg", b"ABCDE")
    assert bodies.asked == (JSON, ("a path",), 5)
    sent(JSON, None, bodies)  # type: ignore[arg-type]
    assert bodies.asked == (JSON, (), BODY_SIZE)
    bodies.keeps_bodies = False
    assert sent(JSON, bodies, bodies).whole(b"abc") == (b"abc", b"")  # type: ignore[arg-type]
    assert received(JSON, bodies, NoRedaction()).whole(b"abc") == (b"ABC", b"")  # type: ignore[arg-type]
