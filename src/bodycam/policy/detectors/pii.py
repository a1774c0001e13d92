"""Personal data: card numbers, IBANs, e-mail addresses, telephone numbers, IP addresses.

A pattern finds what has the form; a checksum or a library confirms it. National numbers are in `national`.
"""

import ipaddress
import re
from collections.abc import Iterator
from itertools import product
from string import ascii_uppercase

import phonenumbers
from stdnum import iban, numdb

from bodycam.policy.detectors.national import NATIONAL, digits, last_four
from bodycam.policy.detectors.rule import Rule, Span, whole

GROUP = "pii"
_CARD_LENGTHS = (19, 18, 17, 16, 15, 14, 13)
# ISO/IEC 7812 issuer prefixes and the lengths that the networks give out
_ISSUERS: tuple[tuple[re.Pattern[bytes], frozenset[int]], ...] = (
    (re.compile(rb"4"), frozenset({13, 16, 19})),
    (re.compile(rb"5[1-5]|2(?:22[1-9]|2[3-9]|[3-6]|7[01]|720)"), frozenset({16})),
    (re.compile(rb"3[47]"), frozenset({15})),
    (re.compile(rb"3(?:0[0-5]|095|[689])"), frozenset({14, 16, 19})),
    (re.compile(rb"6(?:011|4[4-9]|5)"), frozenset({16, 19})),
    (re.compile(rb"35(?:2[89]|[3-8])"), frozenset({16, 17, 18, 19})),
    (re.compile(rb"62|81"), frozenset({16, 17, 18, 19})),
    (re.compile(rb"5018|5020|5038|5893|6304|6759|676[1-3]"), frozenset({13, 14, 15, 16, 17, 18, 19})),
)
_DIGIT = re.compile(rb"[0-9]")
# twice a digit, and of what has two digits their sum
_TWICE = bytes.maketrans(b"0123456789", b"0246813579")
_ASCII_END = re.compile(rb"[\x00-\x7f]*\Z")
_IBAN_SHORTEST = 15
_OCTETS = rb"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4_KEPT = 2


def _card(found: bytes) -> Span | None:
    number = digits(found)
    size = len(number)
    places = None if size == len(found) else [match.end() for match in _DIGIT.finditer(found)]
    for length in _CARD_LENGTHS:
        if length > size:
            continue
        end = length if places is None else places[length - 1]
        # the number ends here, or a blank or dash does so before something else begins
        if end < len(found) and found[end : end + 1] not in (b" ", b"-"):
            continue
        one = number[:length]
        if _issued(one) and luhn(one) and len(set(one)) > 1:
            return 0, end
    return None


def luhn(number: bytes) -> bool:
    """Whether digits have the checksum of ISO/IEC 7812: every second one, from the right, counts twice."""
    ones = sum(number[::-2]) + sum(number[-2::-2].translate(_TWICE))
    return (ones - ord("0") * len(number)) % 10 == 0


def _issued(number: bytes) -> bool:
    size = len(number)
    return any(size in lengths and prefix.match(number) for prefix, lengths in _ISSUERS)


def _iban(found: bytes) -> Span | None:
    end = len(found)
    while end >= _IBAN_SHORTEST:
        if iban.is_valid(found[:end].decode()):
            return 0, end
        # a word in capitals may follow the last group
        end = found.rfind(b" ", 0, end)
    return None


def _ibans() -> Iterator[Rule]:
    """A rule for each country, which costs next to nothing: a scan leaps to words, not to any letters."""
    known = numdb.get("iban")
    for country in map("".join, product(ascii_uppercase, repeat=2)):
        if known.info(country + "00")[0][1]:
            yield Rule(
                "pii.iban",
                rb"\b" + country.encode() + rb"[0-9]{2}(?:[A-Z0-9]{11,30}|(?: [A-Z0-9]{1,4}){3,8})\b",
                confirm=_iban,
                keep=_country,
                filter=rb"\b" + country.encode() + rb"[0-9]{2}(?:[A-Z0-9]{11}|(?: [A-Z0-9]{1,4}){3})",
            )


def _phone(found: bytes) -> Span | None:
    try:
        number = phonenumbers.parse(found.decode(), None)
    except (phonenumbers.NumberParseException, UnicodeDecodeError):
        return None
    return whole(found) if phonenumbers.is_valid_number(number) else None


def _address(found: bytes) -> Span | None:
    try:
        address = ipaddress.ip_address(found.decode())
    except ValueError:
        return None
    # the unspecified address, loopback and netmasks are nobody's
    return (
        None if address.is_unspecified or address.is_loopback or found.startswith(b"255.") else whole(found)
    )


def _email(found: bytes) -> Span | None:
    local = found.partition(b"@")[0]
    start = 0
    try:
        found.decode()
    except UnicodeDecodeError:
        # letters of another encoding, or no letters at all: what is ASCII right before the sign counts
        start = len(local) - len(_ASCII_END.search(local).group())  # type: ignore[union-attr]
        if start == len(local) or not found[start:].isascii():
            return None
    local = local[start:]
    return None if local.startswith(b".") or local.endswith(b".") or b".." in found else (start, len(found))


def _domain(found: bytes) -> bytes:
    return b"@" + found.rpartition(b"@")[2]


def _country(found: bytes) -> bytes:
    return found[:2] + last_four(found)


def _network(found: bytes) -> bytes:
    parts = found.split(b".")
    return b".".join((*parts[:_IPV4_KEPT], b"x.x")) if len(parts) == 4 else b""


RULES: tuple[Rule, ...] = (
    Rule("pii.card", rb"\b[2-68][0-9]{12,18}\b", confirm=_card, keep=last_four, run=_CARD_LENGTHS[-1]),
    Rule(
        "pii.card",
        # in fours, or as American Express and Diners Club write theirs
        rb"\b(?:[2-68][0-9]{3}(?:[ -][0-9]{4}){2}[ -][0-9]{1,7}|3[0-9]{3}[ -][0-9]{6}[ -][0-9]{4,5})\b",
        confirm=_card,
        keep=last_four,
        filter=rb"[0-9]{4}[ -][0-9]{4}[ -][0-9]{4}[ -][0-9]|3[0-9]{3}[ -][0-9]{6}[ -][0-9]{4}",
    ),
    *_ibans(),
    Rule(
        "pii.email",
        rb"[A-Za-z0-9._%+'\x80-\xff-]{1,64}@(?:[A-Za-z0-9\x80-\xff-]{1,63}\.){1,8}[A-Za-z]{2,24}\b",
        confirm=_email,
        keep=_domain,
        filter=rb"[A-Za-z0-9._%+'\x80-\xff-]@(?:[A-Za-z0-9\x80-\xff-]{1,63}\.){1,8}[A-Za-z]{2}",
    ),
    Rule(
        "pii.phone",
        rb"\+[1-9](?:[ ().-]{0,2}[0-9]){6,14}\b",
        confirm=_phone,
        keep=last_four,
        filter=rb"\+[1-9](?:[ ().-]{0,2}[0-9]){6}",
        effort=4096,
    ),
    Rule(
        "pii.ip",
        rb"\b(?:" + _OCTETS + rb"\.){3}" + _OCTETS + rb"\b",
        confirm=_address,
        keep=_network,
        # of all numbers with dots: to tell octets from others costs a scan three times as much
        filter=rb"(?:[0-9]{1,3}\.){3}[0-9]",
    ),
    Rule(
        "pii.ip",
        rb"(?:\b[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{1,4}){7}|\b(?:[0-9a-fA-F]{1,4}:){1,7}(?::[0-9a-fA-F]{1,4}){1,6}"
        rb"|::[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{1,4}){1,6})\b",
        confirm=_address,
        filter=rb"::[0-9a-fA-F]|:(?:[0-9a-fA-F]{1,4}:){6}",
    ),
    *NATIONAL,
)
