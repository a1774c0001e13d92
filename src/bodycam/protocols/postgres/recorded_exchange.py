"""One exchange of a recording, read message by message: its result tables, its COPY data, what was said."""

from bodycam.model.transcript import Body, Columns, Message, Noted, Output, Rows
from bodycam.protocols.postgres import backend, types
from bodycam.protocols.postgres.codec import ProtocolViolation
from bodycam.protocols.postgres.reading import Body as Fields
from bodycam.protocols.postgres.recorded_copy import ENCODINGS, Copied
from bodycam.protocols.postgres.recorded_messages import Messages, Piece
from bodycam.protocols.postgres.recorded_rows import Row, Table, readable, width

_DATA_ROW, _COPY_DATA, _COPY_DONE, _COPY_FAIL = ord("D"), ord("d"), ord("c"), ord("f")
_LEVELS = {ord("E"): "error", ord("N"): "notice"}

# what says nothing that a person reading the exchange would miss: the Done entry has the tag
_SILENT = frozenset(b"Z123ntKRv")


class RecordedExchange:
    """What is known of one exchange between its first data and its end."""

    __slots__ = (
        "_announced", "_copied_in", "_copied_out", "_descriptions", "_from_client", "_from_target", "_rows",
        "_table", "_text", "encoding", "encoding_changed", "error_seen",
    )  # fmt: skip

    def __init__(self, encoding: str) -> None:
        self.encoding = encoding
        self.encoding_changed = self.error_seen = False
        self._from_target, self._from_client, self._descriptions = Messages(), Messages(), Messages()
        self._table: Table | None = None
        self._announced = False
        self._rows: list[Row] = []
        self._text: list[bytes] = []
        self._copied_out: Copied | None = None
        self._copied_in: Copied | None = None

    def columns(self, data: bytes, said: list[Body]) -> None:
        """A description that is only in the record, for the rows that follow."""
        self._read(self._descriptions, data, said)

    def to_client(self, data: bytes, said: list[Body]) -> None:
        """Messages of the target, or the gateway, for the client."""
        self._read(self._from_target, data, said)

    def to_target(self, data: bytes, said: list[Body]) -> None:
        """Messages that the client streamed to the target: COPY data and its end."""
        was_broken = self._from_client.broken
        buffer, pieces = self._from_client.feed(data)
        for tag, start, end, missing in pieces:
            if tag == _COPY_DATA:
                self._text.append(buffer[start + 5 : end])
            elif tag == _COPY_DONE:
                self._copy_in(said)
                self._copied_in = self._ended(self._copied_in, "copy in", said)
            elif tag == _COPY_FAIL:
                self._copy_in(said)
                reason = buffer[start + 5 : end].rstrip(b"\0").decode(self.encoding, "backslashreplace")
                said.append(Noted("copy-failed", reason))
            else:
                said.append(_unexpected(tag))
            if missing:
                self._copy_in(said)
                said.append(_cut(tag, end - start, missing))
        self._copy_in(said)
        self._broke(self._from_client, was_broken, said)

    @property
    def owed(self) -> int:
        """Bytes of the client's last message that have not come."""
        return self._from_client.missing

    def end(self, said: list[Body]) -> None:
        """The exchange is over."""
        self._copied_out = self._ended(self._copied_out, "copy out", said)
        self._copied_in = self._ended(self._copied_in, "copy in", said)
        if self._from_target.unfinished or self._from_client.unfinished:
            said.append(Noted("unfinished", "the record of this exchange ends inside a message"))

    def _read(self, stream: Messages, data: bytes, said: list[Body]) -> None:
        was_broken = stream.broken
        buffer, pieces = stream.feed(data)
        for piece in pieces:
            tag = piece[0]
            try:
                if tag == _DATA_ROW:
                    self._row(buffer, piece, said)
                elif tag == _COPY_DATA:
                    self._text.append(buffer[piece[1] + 5 : piece[2]])
                elif tag not in _SILENT:
                    self._flush(said)
                    if not piece[3]:
                        self._message(tag, buffer[piece[1] : piece[2]], said)
            except (ProtocolViolation, ValueError) as error:
                self._flush(said)
                said.append(Noted("undecodable", f"a message of type {chr(tag)!r}: {error}"))
            if piece[3]:
                self._flush(said)
                said.append(_cut(tag, piece[2] - piece[1], piece[3]))
        self._flush(said)
        self._broke(stream, was_broken, said)

    def _row(self, buffer: bytes, piece: Piece, said: list[Body]) -> None:
        _, start, end, missing = piece
        table = self._table
        if table is None:
            table = self._table = Table.undescribed(width(buffer, start, end), self.encoding)
            self._announced = False
        if not self._announced:
            self._announce(said)
        self._rows.append(table.cut_row(buffer, start, end) if missing else table.row(buffer, start, end))

    def _message(self, tag: int, raw: bytes, said: list[Body]) -> None:
        match chr(tag):
            case "T":
                self._table, self._announced = Table.described(raw, self.encoding), False
            case "C" | "I" | "s":  # the result is complete, even when no row came
                self._announce(said)
                self._table, self._announced = None, False
                self._copied_out = self._ended(self._copied_out, "copy out", said)
            case "E" | "N":
                self.error_seen = self.error_seen or tag == ord("E")
                said.append(self._said(_LEVELS[tag], backend.error_map(raw)))
            case "A":
                process, channel, payload = backend.notification(raw)
                channel, payload = readable(channel, self.encoding), readable(payload, self.encoding)
                said.append(Message("notification", channel, payload, f"from server process {process}"))
            case "H":
                self._copied_out = Copied(self.encoding, binary=Fields(raw).byte() == 1)
            case "G":
                self._copied_in = Copied(self.encoding, binary=Fields(raw).byte() == 1)
            case "c":
                self._copied_out = self._ended(self._copied_out, "copy out", said)
            case "S":
                self._status(*backend.parameter_status(raw))
            case "V":
                self._result(Fields(raw).value(), said)
            case _:
                said.append(_unexpected(tag))

    def _status(self, name: str, value: str) -> None:
        if name == "client_encoding":
            self.encoding, self.encoding_changed = ENCODINGS.get(value, "utf-8"), True

    def _result(self, value: bytes | None, said: list[Body]) -> None:
        """What a function called by the fast path returned: its type is not on the wire."""
        shown = None if value is None else types.decode(0, 0, value, self.encoding)
        said.append(Columns(Table.undescribed(1, self.encoding).columns))
        said.append(Rows(((shown,),)))

    def _said(self, level: str, fields: dict[str, str]) -> Message:
        text = {name: readable(value, self.encoding) for name, value in fields.items()}
        return Message(level, text["code"], text["message"], text.get("detail", ""), text.get("hint", ""))

    def _announce(self, said: list[Body]) -> None:
        """A description is shown when a result follows it: one that only prepares a statement is no table."""
        if self._table is not None and not self._announced:
            self._flush(said)
            self._announced = True
            said.append(Columns(self._table.columns))

    def _flush(self, said: list[Body]) -> None:
        if self._rows:
            said.append(Rows(tuple(self._rows)))
            self._rows = []
        if self._text:
            if self._copied_out is None:
                self._copied_out = Copied(self.encoding)
            if shown := self._copied_out.feed(b"".join(self._text)):
                said.append(Output("copy out", shown))
            self._text = []

    def _copy_in(self, said: list[Body]) -> None:
        if self._text:
            if self._copied_in is None:
                self._copied_in = Copied(self.encoding)
            if shown := self._copied_in.feed(b"".join(self._text)):
                said.append(Output("copy in", shown))
            self._text = []

    @staticmethod
    def _ended(copied: Copied | None, stream: str, said: list[Body]) -> None:
        if copied is not None and (shown := copied.end()):
            said.append(Output(stream, shown))

    @staticmethod
    def _broke(stream: Messages, was_broken: bool, said: list[Body]) -> None:
        if stream.broken and not was_broken:
            said.append(Noted("undecodable", "from here on these bytes are no messages of the protocol"))


def _unexpected(tag: int) -> Noted:
    return Noted("undecodable", f"a message of type {chr(tag)!r} has no place here")


def _cut(tag: int, shown: int, missing: int) -> Noted:
    return Noted(
        "cut", f"of a message of type {chr(tag)!r} the first {shown} bytes are shown, {missing} are not"
    )
