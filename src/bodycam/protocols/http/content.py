"""A body's content, with its content codings taken off as far as they can be."""

from collections.abc import Iterable, Iterator
from typing import Final, final

from bodycam.protocols.http.content_coding import BadContent, Decoder, TooLarge, UnknownCoding, codings
from bodycam.protocols.http.head import Fields

WHOLE_MOST: Final = 16 * 1024 * 1024
"""Bytes that a body may be decoded to which is looked into as a whole."""

_IDENTITY: Final[frozenset[bytes]] = frozenset((b"", b"identity"))


class Unshowable(Exception):
    """Something in a body has to be looked for, and it can't be looked into."""


@final
class Content:
    """Takes the codings off one body.

    `unread` says why that can't be done, or no longer: then nothing more of it is given out. `coded` is
    whether there are any.
    """

    __slots__ = ("_decoder", "coded", "unread")

    def __init__(self, fields: Fields, most: int | None = None) -> None:
        """`most` is the most bytes that all of it may be, decoded; beyond them it counts as broken."""
        self._decoder: Decoder | None = None
        self.coded, self.unread = False, ""
        if b"content-encoding" not in fields:
            return
        named = b",".join(fields.every(b"content-encoding")).lower()
        if named in _IDENTITY:
            return
        self.coded = True
        try:
            self._decoder = Decoder(codings(named.decode("latin-1")), most=most)
        except UnknownCoding as error:
            self.unread = f"nobody here knows the coding {error}"

    def feed(self, data: bytes) -> Iterable[bytes]:
        """The content in the next piece; all of it has to be taken before the next is fed."""
        if not self.coded:
            return (data,)
        return () if self._decoder is None else self._decoded(self._decoder, data)

    def end(self) -> None:
        """Nothing more comes."""
        if self._decoder is not None:
            try:
                self._decoder.end()
            except BadContent as error:
                self.unread = f"its coding is broken: {error}"

    def _decoded(self, decoder: Decoder, data: bytes) -> Iterator[bytes]:
        try:
            yield from decoder.feed(data)
        except (BadContent, TooLarge) as error:
            self.unread, self._decoder = f"its coding is broken: {error}", None


def decoded(content: Content, raw: bytes) -> bytes:
    """All of a body that is here.

    Raises:
        Unshowable: it is too long.
    """
    pieces, size = [], 0
    for piece in content.feed(raw):
        size += len(piece)
        if size > WHOLE_MOST:
            raise Unshowable("the answer has to be looked into, and is too long once it is decoded")
        pieces.append(piece)
    return b"".join(pieces)
