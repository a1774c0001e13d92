"""Just enough DER to put the certificates of a time stamp into their order.

DER wants the members of a SET sorted, the library that reads stamps insists on it, and OpenSSL's authorities
send them as they come. Their order is in no signature, so they may be sorted here (X.690, sections 8.1 and
11.6; RFC 5652, section 5.1).
"""

from collections.abc import Iterator

_SEQUENCE, _SET, _INTEGER, _OID, _FIRST = 0x30, 0x31, 0x02, 0x06, 0xA0
# TimeStampResp, its token, [0], SignedData: where each is, by the tags before it
_WAY = ((_SEQUENCE,), (_SEQUENCE, _SEQUENCE), (_OID, _FIRST), (_SEQUENCE,))
_CERTIFICATES = (_INTEGER, _SET, _SEQUENCE, _FIRST)


def with_sorted_certificates(answer: bytes) -> bytes:
    """The same time-stamp response with its certificates sorted; what is not of its form stays as it is."""
    try:
        begin, end = 0, len(answer)
        for tags in (*_WAY, _CERTIFICATES):
            begin, end = _last(answer, begin, end, tags)
        found = [answer[at:behind] for _, at, _, behind in _elements(answer, begin, end)]
    except ValueError:
        return answer
    return answer[:begin] + b"".join(sorted(found)) + answer[end:]


def _last(data: bytes, begin: int, end: int, tags: tuple[int, ...]) -> tuple[int, int]:
    """Where the content of the last of these elements is, which stand first in that range."""
    elements = _elements(data, begin, end)
    content = begin, end
    for tag in tags:
        found = next(elements, None)
        if found is None or found[0] != tag:
            raise ValueError("another element")
        content = found[2], found[3]
    return content


def _elements(data: bytes, begin: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Tag, begin, begin of the content, and end of each element of a range."""
    while begin < end:
        if end - begin < 2:
            raise ValueError("half an element")
        size, content = data[begin + 1], begin + 2
        if size & 0x80:
            content += size & 0x7F
            size = int.from_bytes(data[begin + 2 : content], "big")
        if content + size > end:
            raise ValueError("half an element")
        yield data[begin], begin, content, content + size
        begin = content + size
