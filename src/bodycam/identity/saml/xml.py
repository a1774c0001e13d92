"""Reads XML that anybody may have written: no DTD, no entities, no comments, all of it bounded."""

import re
from collections.abc import Iterator
from typing import Any

from lxml import etree

from bodycam.identity.saml.failure import Reason, SamlRefused

MAX_BYTES = 256 * 1024
MAX_METADATA = 2 * 1024 * 1024
MAX_DEPTH = 64
MAX_ELEMENTS = 5000
MAX_ATTRIBUTES = 50
"""Of one element: to put them in order, as a signature wants them, costs the square of their number."""

_MAX_NAMESPACES = 2500

Element = Any
"""An element of lxml, which has no types of its own."""

SAMLP = "urn:oasis:names:tc:SAML:2.0:protocol"
SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
MD = "urn:oasis:names:tc:SAML:2.0:metadata"
DS = "http://www.w3.org/2000/09/xmldsig#"
XENC = "http://www.w3.org/2001/04/xmlenc#"
XENC11 = "http://www.w3.org/2009/xmlenc11#"
NAMESPACES = {"samlp": SAMLP, "saml": SAML, "md": MD, "ds": DS, "xenc": XENC, "xenc11": XENC11}

# in UTF-8 these can stand in no other way
_DECLARES = re.compile(rb"<!(DOCTYPE|ENTITY|ELEMENT|ATTLIST|NOTATION)")
_ENCODING = re.compile(rb"<\?xml[^>]*?encoding\s*=\s*[\"']([A-Za-z0-9._-]*)[\"']")
_MARKS = re.compile(rb"<(?:[A-Za-z_]|[\x80-\xff])")


def parse(data: bytes, *, most: int = MAX_BYTES) -> Element:
    """The root element of a document in UTF-8.

    Everything is looked at before the parser is let at it, so that a bomb costs what reading it costs.

    Raises:
        SamlRefused: it is too long, too deep, has a DTD, an entity, a comment or a processing instruction, or
            is no XML.
    """
    if len(data) > most:
        raise SamlRefused(Reason.TOO_LARGE)
    if (encoding := _ENCODING.match(data.lstrip())) is not None and encoding[1].lower() not in (
        b"utf-8",
        b"us-ascii",
    ):
        raise SamlRefused(Reason.MALFORMED)
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SamlRefused(Reason.MALFORMED) from error
    if _DECLARES.search(data):
        raise SamlRefused(Reason.DTD)
    elements = MAX_ELEMENTS * (most // MAX_BYTES)
    if len(_MARKS.findall(data)) > elements or data.count(b"xmlns") > _MAX_NAMESPACES * (most // MAX_BYTES):
        raise SamlRefused(Reason.TOO_LARGE)
    try:
        # the parser is told the encoding, so that no declaration makes it read other characters than we did
        root = etree.fromstring(data, _parser())
    except (etree.XMLSyntaxError, ValueError) as error:
        raise SamlRefused(Reason.MALFORMED) from error
    _plain(root)
    return root


def _parser() -> Any:
    return etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=False,
        remove_pis=False,
    )


def _plain(root: Element) -> None:
    tree = root.getroottree()
    if tree.docinfo.internalDTD is not None or tree.docinfo.externalDTD is not None:
        raise SamlRefused(Reason.DTD)
    # beside the root there may be some too
    if root.getprevious() is not None or root.getnext() is not None:
        raise SamlRefused(Reason.COMMENT)
    waiting = [(root, 1)]
    while waiting:
        one, depth = waiting.pop()
        if one.tag is etree.Entity:
            raise SamlRefused(Reason.DTD)
        if not isinstance(one.tag, str):
            raise SamlRefused(Reason.COMMENT)
        if depth > MAX_DEPTH or len(one.attrib) > MAX_ATTRIBUTES:
            raise SamlRefused(Reason.TOO_LARGE)
        waiting.extend((child, depth + 1) for child in one)


def alone(element: Element) -> Element:
    """The element as the root of a document of its own, with the namespaces that it stood in.

    Raises:
        SamlRefused: it can't be written and read again.
    """
    try:
        # in UTF-8, because names can't be written as references
        return etree.fromstring(etree.tostring(element, with_tail=False, encoding="utf-8"), _parser())
    except etree.XMLSyntaxError as error:
        raise SamlRefused(Reason.MALFORMED) from error


def name(namespace: str, local: str) -> str:
    """A qualified name as lxml writes it."""
    return f"{{{namespace}}}{local}"


def children(element: Element, path: str) -> list[Element]:
    """What is at a path of prefixed names, in order."""
    return list(element.findall(path, NAMESPACES))


def only(element: Element, path: str) -> Element | None:
    """The one element at a path; None if there is none.

    Raises:
        SamlRefused: there are several.
    """
    found = children(element, path)
    if len(found) > 1:
        raise SamlRefused(Reason.MALFORMED)
    return found[0] if found else None


def text_of(element: Element | None) -> str | None:
    """The text of an element that holds nothing else, without the blanks around it; None if there is none.

    Raises:
        SamlRefused: there are elements in it.
    """
    if element is None:
        return None
    if len(element):
        raise SamlRefused(Reason.MALFORMED)
    return str(element.text or "").strip() or None


def identified(root: Element) -> Iterator[str]:
    """Every identifier in a document, in whichever spelling."""
    for element in root.iter():
        for attribute, value in element.attrib.items():
            if etree.QName(attribute).localname.lower() == "id":
                yield str(value)
