"""Requests that two servers read in two ways, as they were published, and a few that only look so.

In each `{at}` is the case's URL and `{host}` its host; what would be smuggled asks for `/smuggled`. The names of
shapes with a dot are those of "Funky chunks" (Jeppe Bonde Weikop, 2025): CL.TE, TE.CL, TERM.EXT and so on;
others are of "HTTP Desync Attacks" (James Kettle, 2019) and "HTTP Request Smuggling" (Watchfire, 2005).
"""

from dataclasses import dataclass

INNER = "GET /smuggled HTTP/1.1\r\nHost: {host}\r\nX: "
CHUNKED = "Transfer-Encoding: chunked"


@dataclass(frozen=True)
class Shape:
    """One shape; `statuses` are those of the answers, in order, with that to a request that follows."""

    name: str
    raw: str
    statuses: tuple[int, ...] = (400,)


def post(name: str, fields: str, body: str = "", status: int = 400) -> Shape:
    return Shape(
        name, "POST {at} HTTP/1.1\r\nHost: {host}\r\n{proof}" + fields + "\r\n\r\n" + body, (status,)
    )


def fine(name: str, fields: str, body: str = "") -> Shape:
    return Shape(
        name, "POST {at} HTTP/1.1\r\nHost: {host}\r\n{proof}" + fields + "\r\n\r\n" + body, (200, 200)
    )


END = "0\r\n\r\n"
LENGTH = "Content-Length: 6\r\n"

SHAPES = [
    # lengths
    post("CL.TE", "Content-Length: 60\r\n" + CHUNKED, END + INNER),
    post("TE.CL", CHUNKED + "\r\nContent-Length: 4", "5c\r\n" + INNER + "\r\n" + END),
    post("CL.CL differ", "Content-Length: 0\r\nContent-Length: 44", INNER),
    post("CL.CL same", "Content-Length: 3\r\nContent-Length: 3", "abc"),
    post("CL list", "Content-Length: 0, 44", INNER),
    post("CL plus", "Content-Length: +44", INNER),
    post("CL minus", "Content-Length: -1", INNER),
    post("CL octal", "Content-Length: 010", INNER),
    post("CL hexadecimal", "Content-Length: 0x2c", INNER),
    post("CL underscore", "Content-Length: 4_4", INNER),
    post("CL blank within", "Content-Length: 4 4", INNER),
    post("CL empty", "Content-Length:", INNER),
    post("CL huge", "Content-Length: 18446744073709551616", INNER),
    post("CL named by Connection", "Content-Length: 44\r\nConnection: Content-Length", INNER),
    post("CL by an underscore", "Content_Length: 44", INNER),
    post("CL with a blank before the colon", "Content-Length : 44", INNER),
    post("CL behind a bare CR", "X: a\rContent-Length: 44", INNER),
    post("CL behind a bare LF", "X: a\nContent-Length: 44", INNER),
    post("CL folded", "Content-Length:\r\n 44", INNER),
    # transfer codings
    post("TE twice", CHUNKED + "\r\n" + CHUNKED, END + INNER),
    post("TE then identity", CHUNKED + "\r\nTransfer-Encoding: identity", END + INNER),
    post("TE list twice", CHUNKED + ", chunked", END + INNER, 501),
    post("TE identity", "Transfer-Encoding: identity\r\nX: 1", INNER, 501),
    post("TE identity with CL", LENGTH + "Transfer-Encoding: identity", END + INNER),
    post("TE xchunked", "Transfer-Encoding: xchunked", END + INNER, 501),
    post("TE gzip, chunked", "Transfer-Encoding: gzip, chunked", END + INNER, 501),
    post("TE chunked, identity", CHUNKED + ", identity", END + INNER, 501),
    post("TE comma", "Transfer-Encoding: ,chunked", END + INNER, 501),
    post("TE quoted", 'Transfer-Encoding: "chunked"', END + INNER, 501),
    post("TE parameter", CHUNKED + ";a=b", END + INNER, 501),
    post("TE vertical tab", "Transfer-Encoding:\x0bchunked", END + INNER),
    post("TE NUL", "Transfer-Encoding: chunked\0", END + INNER),
    post("TE no-break space", "Transfer-Encoding:\xa0chunked", END + INNER, 501),
    post("TE blank before the colon", "Transfer-Encoding : chunked", END + INNER),
    post("TE tab before the colon", "Transfer-Encoding\t: chunked", END + INNER),
    post("TE leading blank", "X: a\r\n Transfer-Encoding: chunked", END + INNER),
    post("TE folded", "Transfer-Encoding:\r\n chunked", END + INNER),
    post("TE behind a bare LF", "X: a\n" + CHUNKED, END + INNER),
    post("TE behind a bare CR", "X: a\r" + CHUNKED, END + INNER),
    post("TE by an underscore", "Transfer_Encoding: chunked", END + INNER),
    post("TE named by Connection", CHUNKED + "\r\nConnection: Transfer-Encoding", END + INNER),
    Shape("TE in HTTP/1.0", "POST {at} HTTP/1.0\r\nHost: {host}\r\n{proof}" + CHUNKED + "\r\n\r\n" + END + INNER),
    # chunks
    post("TERM.EXT", CHUNKED, "2;\nxx\r\n2d\r\n" + INNER + "\r\n" + END),
    post("EXT.TERM", CHUNKED, "2;a\n\r\nxx\r\n" + END + INNER),
    post("TERM.SPILL", CHUNKED, "5\r\nabcdeX\r\n0\r\n\r\n" + INNER),
    post("ONE.TWO", CHUNKED, "1\r\na\n0\r\n\r\n" + INNER),
    post("quoted extension", CHUNKED, '1;a="\r\n"\r\na\r\n' + END + INNER),
    post("extension with a bare CR", CHUNKED, "1;a\rb\r\na\r\n" + END + INNER),
    post("size 0x", CHUNKED, "0x1\r\na\r\n" + END + INNER),
    post("size minus", CHUNKED, "-1\r\na\r\n" + END + INNER),
    post("size plus", CHUNKED, "+1\r\na\r\n" + END + INNER),
    post("size underscore", CHUNKED, "1_0\r\naaaaaaaaaaaaaaaa\r\n" + END + INNER),
    post("size overflow", CHUNKED, "10000000000000001\r\na\r\n" + END + INNER),
    post("size with a blank before", CHUNKED, " 1\r\na\r\n" + END + INNER),
    post("size with a blank behind", CHUNKED, "1 \r\na\r\n" + END + INNER),
    post("size with a NUL", CHUNKED, "1\0\r\na\r\n" + END + INNER),
    post("size with a bare LF", CHUNKED, "1\na\r\n" + END + INNER),
    post("size with a bare CR", CHUNKED, "1\ra\r\n" + END + INNER),
    post("last chunk with a bare LF", CHUNKED, "0\n\r\n" + INNER),
    post("end with a bare LF", CHUNKED, "0\r\n\n" + INNER),
    post("trailer sets a length", CHUNKED, "0\r\nContent-Length: 44\r\n\r\n" + INNER),
    post("trailer sets a host", CHUNKED, "0\r\nHost: other\r\n\r\n" + INNER),
    post("trailer with a bare LF", CHUNKED, "0\r\nA: b\n\r\n" + INNER),
    # heads
    Shape("bare LF", "GET {at} HTTP/1.1\nHost: {host}\n{proof}\n\n"),
    Shape("HTTP/0.9", "GET {at}\r\n"),
    Shape("HTTP/1.2", "GET {at} HTTP/1.2\r\nHost: {host}\r\n{proof}\r\n", (505,)),
    Shape("HTTP/2.0", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (505,)),
    Shape("lower-case method", "get {at} HTTP/1.1\r\nHost: {host}\r\n{proof}\r\n"),
    Shape("two hosts", "GET {at} HTTP/1.1\r\nHost: {host}\r\nHost: {host}\r\n{proof}\r\n"),
    Shape("no host", "GET {at} HTTP/1.1\r\n{proof}\r\n"),
    Shape("blank in the target", "GET {at} /smuggled HTTP/1.1\r\nHost: {host}\r\n{proof}\r\n"),
    Shape("NUL in a value", "GET {at} HTTP/1.1\r\nHost: {host}\r\nX: a\0b\r\n{proof}\r\n"),
    Shape("1 MB of head", "GET {at} HTTP/1.1\r\nHost: {host}\r\n{proof}X: " + "a" * (1 << 20) + "\r\n\r\n", (431,)),
    Shape("10,000 fields", "GET {at} HTTP/1.1\r\nHost: {host}\r\n{proof}" + "X:1\r\n" * 10_000 + "\r\n", (431,)),
    # what is right, and has to be read right
    Shape("GET", "GET {at} HTTP/1.1\r\nHost: {host}\r\n{proof}\r\n", (200, 200)),
    Shape("another Host beside the URL", "GET {at} HTTP/1.1\r\nHost: other.test\r\n{proof}\r\n", (200, 200)),
    Shape("an empty line before", "\r\nGET {at} HTTP/1.1\r\nHost: {host}\r\n{proof}\r\n", (200, 200)),
    Shape("a GET with a body", "GET {at} HTTP/1.1\r\nHost: {host}\r\n{proof}Content-Length: 44\r\n\r\n" + "x" * 44, (200, 200)),
    fine("a body that looks like a request", "Content-Length: 28", "GET /smuggled HTTP/1.1\r\nA: b"),
    fine("chunks", CHUNKED, "5\r\nabcde\r\n" + END),
    fine("chunks with tabs around the name", "Transfer-Encoding:\t chunked \t", "5\r\nabcde\r\n" + END),
    fine("a chunk with an extension", CHUNKED, "5;a=b ; c\r\nabcde\r\n" + END),
    fine("a chunk that looks like a request", CHUNKED, "1c\r\nGET /smuggled HTTP/1.1\r\nA: b\r\n" + END),
    fine("a trailer", "Trailer: A\r\n" + CHUNKED, "5\r\nabcde\r\n0\r\nA: b\r\n\r\n"),
    fine("10,000 tiny chunks", CHUNKED, "1\r\na\r\n" * 10_000 + END),
    fine("length 0", "Content-Length: 0"),
]  # fmt: skip
