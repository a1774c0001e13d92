"""What a client says of itself, which nobody has checked."""

from bodycam.protocols.http.head import RequestHead


def claims(head: RequestHead) -> dict[str, str]:
    """Its name, and the trace that it says it belongs to."""
    said_so = {}
    for name in (b"user-agent", b"traceparent"):
        said = head.fields.every(name)
        if said:
            said_so[name.decode().replace("-", "_")] = said[0][:300].decode("latin-1")
    return said_so
