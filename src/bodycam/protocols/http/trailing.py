"""What stands behind a body, on the record; in some protocols it is the answer."""

from collections.abc import Sequence

from bodycam.protocols.http.forwarding import hidden
from bodycam.protocols.http.framing import Body, Chunked
from bodycam.protocols.http.head import Field, fields, written
from bodycam.protocols.http.injected import Injected
from bodycam.session.session import Exchange, Session


def note_trailers(session: Session, exchange: Exchange, way: str, trailers: Sequence[Field]) -> None:
    """Say in the record what stood behind a body; `way` is `sent` or `received`."""
    text = written(hidden(trailers)).decode("utf-8", "backslashreplace")
    exchange.note(
        "trailers", way=way, fields=session.redaction.redact(text.rstrip().replace("\r\n", "\n"))[0]
    )


def note_behind(
    session: Session, exchange: Exchange, way: str, body: Body, injected: Injected | None = None
) -> None:
    """The same of a body of HTTP/1.1, once all of it has come and where anything stands behind it."""
    if isinstance(body, Chunked) and body.trailers:
        raw = body.trailers if injected is None else injected.hidden(body.trailers)
        note_trailers(session, exchange, way, fields(raw + b"\r\n", 0).listed)
