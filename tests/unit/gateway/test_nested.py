"""A client that comes through another link: how it begins there, and what its link is told."""

from collections.abc import Callable
from typing import Any

import pytest

from bodycam.gateway.nested import Approach, CarriedTransport, Nested
from bodycam.protocols.http.opening import Opening as HttpOpening
from bodycam.protocols.postgres.opening import Opening as PostgresOpening

SSL_REQUEST = bytes.fromhex("00000008 04d2162f")
STARTUP = bytes.fromhex("00000010 00030000") + b"user\0ada\0"[:8]


class Carried:
    """What carries the client's bytes."""

    def __init__(self) -> None:
        self.sent = b""
        self.said: list[str] = []
        self.untaken = 7

    def write(self, data: bytes) -> None:
        self.sent += data

    def close(self) -> None:
        self.said.append("close")

    def pause_reading(self) -> None:
        self.said.append("pause")

    def resume_reading(self) -> None:
        self.said.append("resume")


class Link:
    """The link within, as it is told of its client."""

    def __init__(self) -> None:
        self.got = b""
        self.said: list[Any] = []

    def client_data(self, data: bytes) -> None:
        self.got += data

    def client_lost(self) -> None:
        self.said.append("lost")

    def pause(self, side: str, why: str) -> None:
        self.said.append(("pause", side, why))

    def resume(self, side: str, why: str) -> None:
        self.said.append(("resume", side, why))


def approach(opening: Any) -> tuple[Approach, Carried, Link]:
    carried, link = Carried(), Link()
    begin: Callable[[], Nested] = lambda: Nested(link)  # type: ignore[arg-type]  # noqa: E731
    return Approach(opening(False), carried, begin), carried, link


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_client_that_asks_for_tls_is_told_that_there_is_none_and_goes_on(size: int) -> None:
    came, carried, link = approach(PostgresOpening)
    for said in (SSL_REQUEST, STARTUP):
        for start in range(0, len(said), size):
            came.data(said[start : start + size])
    assert (carried.sent, link.got) == (b"N", STARTUP)
    came.data(b"more")
    came.slow(True)
    came.slow(False)
    came.lost()
    assert link.got == STARTUP + b"more"
    assert link.said == [
        ("pause", "target", "slow peer"),
        ("resume", "target", "slow peer"),
        ("resume", "client", "own answers"),
        "lost",
    ]


def test_what_begins_with_its_own_messages_is_let_in_as_it_is() -> None:
    came, carried, link = approach(HttpOpening)
    came.data(b"GET / HTTP/1.1\r\n")
    assert (carried.sent, link.got) == (b"", b"GET / HTTP/1.1\r\n")


def test_what_is_no_opening_ends_there() -> None:
    came, carried, link = approach(PostgresOpening)
    came.data(b"\xff" * 100)
    came.data(b"\xff" * 100)
    came.lost()
    came.slow(True)
    assert (carried.said, link.got, link.said) == (["close"], b"", [])


def test_the_transport_of_a_link_within_hands_on_and_ends_once() -> None:
    carried = Carried()
    transport = CarriedTransport(carried)
    transport.write(b"one")
    transport.pause_reading()
    transport.resume_reading()
    assert transport.get_write_buffer_size() == 7
    transport.close()
    transport.abort()
    transport.write(b"two")
    assert (carried.sent, carried.said, transport.is_closing()) == (
        b"one",
        ["pause", "resume", "close"],
        True,
    )
    assert transport.get_extra_info("ssl_object") is None
