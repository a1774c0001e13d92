"""What the gateway itself answers on one stream: a problem, or for gRPC a status of its own."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from bodycam.model.event import Flavor
from bodycam.protocols.http.answers import Problem, answer
from bodycam.protocols.http.fault import BadMessage
from bodycam.protocols.http.h2 import heads
from bodycam.protocols.http.h2.codes import NO_ERROR, PROTOCOL
from bodycam.protocols.http.h2.endpoint import Endpoint
from bodycam.protocols.http.h2.outflow import Carry, Outflow
from bodycam.protocols.http.head import Field, Fields
from bodycam.session.session import Exchange

UNCLEAR: Final = "Nothing is forwarded that could be read in two ways."

_GRPC: Final = "application/grpc"
# https://github.com/grpc/grpc/blob/master/doc/statuscodes.md
_CODES: Final[Mapping[int, int]] = {400: 3, 401: 16, 403: 7, 413: 8, 421: 3, 429: 8, 431: 8, 502: 14, 503: 14}
_SAID: Final = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")


def grpc(fields: Fields) -> bool:
    """Whether a request with these fields is a call of gRPC."""
    return any(one.lower().startswith(_GRPC.encode()) for one in fields.every(b"content-type")[:1])


def refused(problem: Problem, *, grpc: bool = False, body: bool) -> tuple[list[Field], bytes]:
    """The fields and the content of the answer to a request, of gRPC or not."""
    if grpc:
        said = f"{problem.message} {problem.hint}".strip()
        code = b"%d" % _CODES.get(problem.status, 2)
        return [
            (b"content-type", _GRPC.encode()),
            (b"grpc-status", code),
            (b"grpc-message", quote(said, safe=_SAID).encode()),
        ], b""
    head, _, content = answer(problem, body=body).partition(b"\r\n\r\n")
    fields = [
        (name.lower(), value)
        for name, _, value in (line.partition(b": ") for line in head.split(b"\r\n")[1:])
        if name.lower() not in (b"connection", b"via")
    ]
    return [*fields, (b"via", b"2 bodycam")], content


def status_of(problem: Problem, fields: list[Field]) -> int:
    """The status of HTTP that the answer has."""
    return 200 if fields[0][1] == _GRPC.encode() else problem.status


def refuse(client: Endpoint, number: int, ambient: Exchange, error: BadMessage, *, ended: bool) -> None:
    """Answer a request that is none on its stream, and end that; `ended` says that the request has."""

    def carry(wire: bytes, flavor: Flavor, kept: bytes) -> None:
        ambient.to_client(wire, flavor=flavor, recorded=kept)

    answer_on(client, number, Problem(error.status, error.reason, UNCLEAR), carry, ended=ended)


def answer_on(
    client: Endpoint,
    number: int,
    problem: Problem,
    carry: Carry,
    *,
    ended: bool,
    grpc: bool = False,
    body: bool = True,
) -> None:
    """Answer a request on its stream, and end that; `ended` says that the request has."""
    fields, content = refused(problem, grpc=grpc, body=body)
    status = status_of(problem, fields)
    out = Outflow(client, number, carry)
    kept = heads.recorded(b"HTTP/2 %d" % status, fields)
    out.head(heads.answered(status, fields), kept, end=not content)
    if content:
        out.put(content, content)
        out.end()
        out.pump()
    if not (out.closed and ended):
        client.reset(number, NO_ERROR if out.closed else PROTOCOL)
