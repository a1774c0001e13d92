"""The facts of a request on record that its verb and its URL tell."""

from collections.abc import Mapping

from bodycam.model.operation import Fact
from bodycam.protocols.http.authority import PORTS, authority
from bodycam.protocols.http.fault import BadMessage


def recalled(verb: str, text: str) -> Mapping[str, Fact]:
    """What `Trip.describe` said of it, as far as that stands there; nothing where the text is no URL."""
    scheme, mark, rest = text.partition("://")
    if not mark or scheme not in PORTS:
        return {}
    host, slash, path = rest.partition("/")
    try:
        found = authority(host.encode(), PORTS[scheme])
    except BadMessage:
        return {}
    place, _, query = f"{slash}{path}".partition("?")
    return {
        "http.method": verb,
        "http.scheme": scheme,
        "http.host": found.host,
        "http.port": found.port,
        "http.path": place,
        "http.query": query,
    }
