"""Whether a request may speak a dialect at all: a quick question, asked of each, of which a no is certain."""

from bodycam.protocols.http.head import Fields


def worth_a_look(path: bytes, fields: Fields) -> bool:
    """Whether `recognise` has to be asked of a request; False is certain. It is asked of every request."""
    if _worded(path) or b"mcp-session-id" in fields or b"mcp-protocol-version" in fields:
        return True
    accepted = fields.every(b"accept")
    return bool(accepted) and b"event-stream" in b",".join(accepted).lower()


def plain(path: str, head: bytes) -> bool:
    """Whether `recognise` would know no dialect; True is certain. `path` has no query, `head` is whole."""
    if not path.isascii() or _worded(path.encode()):
        return False
    folded = head.lower()
    return b"mcp-" not in folded and b"event-stream" not in folded


def _worded(path: bytes) -> bool:
    """Whether it has what is in the path of every request that speaks a dialect and is not told by its head.

    Spelled out, because a pattern that regards letters of both cases tries each of its words at each letter.
    """
    folded = path.lower()
    return (
        not folded.isascii()
        or b"%" in folded
        or b"mcp" in folded
        or b"sse" in folded
        or b"models" in folded
        or b"message" in folded
        or b"completions" in folded
        or b"count_tokens" in folded
        or b"responses" in folded
        or b"embeddings" in folded
    )
