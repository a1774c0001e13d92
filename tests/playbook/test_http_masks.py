"""Responses that are looked into: what is masked, how it is framed anew, and what can't be looked into."""

import gzip
from collections.abc import Sequence
from typing import Any

import pytest

from bodycam.model.media import Media
from tests.playbook.http_stage import HttpPlay, request, response

KEY, STARS = b"hunter2", b"*******!"


class Stars:
    """Masks `hunter2` in a body by something longer, and holds seven bytes back until told otherwise."""

    may_change = True
    unread = ""

    def __init__(self) -> None:
        self._held = b""
        self.changed = False

    @property
    def held(self) -> int:
        return len(self._held)

    def _put(self, text: bytes) -> tuple[bytes, bytes]:
        put = text.replace(KEY, STARS)
        self.changed |= put != text
        return (put, put) if put != text else (text, text)

    def whole(self, content: bytes) -> tuple[bytes, bytes]:
        return self._put(content)

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        data = self._held + data
        # what is whole in it, and then up to where a key may begin
        end = max(data.rfind(KEY) + len(KEY) if KEY in data else 0, len(data) - len(KEY) + 1)
        self._held = data[end:]
        return self._put(data[:end])

    def flush(self) -> tuple[bytes, bytes]:
        held, self._held = self._held, b""
        return self._put(held)

    release_held = flush

    def sightings(self) -> Sequence[Any]:
        return ()


class Masks:
    keeps_rows = keeps_parameters = keeps_bodies = lasting = True
    body_size, paths, by_name, version = 1 << 20, (), False, 0

    def body(self, media: Media) -> Stars:
        return Stars()

    def sent(self) -> Sequence[Any]:
        return ()

    sightings = sent


class Masking:
    def open(self, *about: Any) -> Masks:
        return Masks()


@pytest.fixture
def play() -> HttpPlay:
    return HttpPlay(masking=Masking())


def unframed(got: bytes) -> tuple[bytes, bytes]:
    """The head, and what its chunks or its length hold."""
    head, _, body = got.partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" not in head.lower():
        return head, body
    content = b""
    while True:
        size, _, body = body.partition(b"\r\n")
        if int(size, 16) == 0:
            return head, content
        content, body = content + body[: int(size, 16)], body[int(size, 16) + 2 :]


def chunked(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def recorded(play: HttpPlay) -> bytes:
    return b"".join(body[2] for kind, _, body in play.journal.entries if kind.name == "TO_CLIENT")


def test_what_has_nothing_in_it_goes_on_as_it_came(play: HttpPlay) -> None:
    for answer in (
        response("ETag: x", body=b"clean"),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"clean"),
    ):
        assert play.exchange(answered=answer) == answer
    play.check()


@pytest.mark.parametrize("cut", [1, 5, 10_000])
def test_a_whole_one_gets_another_length(play: HttpPlay, cut: int) -> None:
    play.sends(request())
    answer = response("ETag: x", body=b"the key is hunter2.")
    for at in range(0, len(answer), cut):
        play.target(answer[at : at + cut])
    assert play.client_gets() == b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nthe key is *******!."
    assert KEY not in recorded(play)
    play.check()


BODY = b"one hunter2 two hunter2 three"
CODED = gzip.compress(BODY, mtime=0)


@pytest.mark.parametrize("minor", [0, 1])
@pytest.mark.parametrize("cut", [1, 4, 10_000])
@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        + chunked(b"one hun", b"ter2 two ", b"hunter2 three"),
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
        + chunked(CODED[:9], CODED[9:]),
        response("Content-Encoding: gzip", body=CODED),
        response(body=BODY),
    ],
)
def test_a_key_is_masked_wherever_it_is_cut(play: HttpPlay, answer: bytes, cut: int, minor: int) -> None:
    if minor == 0 and b"chunked" in answer:
        return
    play.sends(request().replace(b"HTTP/1.1", b"HTTP/1.%d" % minor))
    for at in range(0, len(answer), cut):
        play.target(answer[at : at + cut])
    head, content = unframed(play.client_gets())
    assert content == BODY.replace(KEY, STARS)
    assert b"gzip" not in head
    assert KEY not in recorded(play)
    assert BODY.replace(KEY, STARS) in recorded(play).replace(b"\r\n\r\n", b"", 1) or cut < 100
    assert play.story()[-1 if not play.closed else -2] == "finish ok 200"
    play.check()


@pytest.mark.parametrize("minor", [0, 1])
def test_one_that_lasts_until_the_close_is_told_to_its_end(play: HttpPlay, minor: int) -> None:
    play.sends(request().replace(b"HTTP/1.1", b"HTTP/1.%d" % minor))
    play.target(b"HTTP/1.0 200 OK\r\n\r\none hun")
    play.target(b"ter2 two hunter2 three")
    play.machine.target_gone()
    got = play.client_gets()
    assert unframed(got)[1] == BODY.replace(KEY, STARS)
    # nobody reads chunks in what says that it is HTTP/1.0
    assert got.startswith(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" if minor else b"HTTP/1.0 200 OK\r\n"
    )
    assert (b"chunked" in got) == bool(minor)
    play.check()


def test_what_is_held_back_goes_on_in_time_whatever_trickles_in(play: HttpPlay) -> None:
    play.sends(request())
    play.target(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhunt\r\n")
    before = list(play.alarms)
    for _ in range(5):
        play.target(b"1\r\n.\r\n")
    assert play.alarms == before
    assert unframed(play.client_gets() + b"0\r\n\r\n")[1] == b"hun"
    play.machine.alarm()
    assert play.client_gets()
    play.target(b"1\r\nx\r\n")
    assert len(play.alarms) == len(before) + 1
    play.check()


@pytest.mark.parametrize(
    "answer",
    [
        response("Content-Encoding: odd", "Content-Type: text/plain", body=b"hunter2"),
        response("Content-Encoding: gzip", "Content-Type: text/plain", body=b"hunter2"),
        response("Content-Encoding: gzip", "Content-Type: text/plain", body=CODED[:-4]),
        response("Content-Encoding: gzip", body=gzip.compress(bytes(17 << 20), mtime=0)),
    ],
)
def test_what_can_not_be_looked_into_is_not_shown(play: HttpPlay, answer: bytes) -> None:
    play.sends(request())
    play.target(answer)
    got = play.client_gets()
    assert got.startswith(b"HTTP/1.1 502 ")
    assert KEY not in got
    play.check()


def test_a_client_asks_for_nothing_that_can_not_be_looked_into(play: HttpPlay) -> None:
    play.sends(
        request(
            "GET http://api.test/a", "Range: bytes=0-3", "If-Range: x", "Accept-Encoding: gzip, odd;q=1, br"
        )
    )
    assert play.target_sees() == b"GET /a HTTP/1.1\r\nHost: api.test\r\nAccept-Encoding: gzip, br\r\n\r\n"
