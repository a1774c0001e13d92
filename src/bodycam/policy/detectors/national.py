"""National numbers of persons, by the checks that python-stdnum has for each.

Each is found behind the word for it, as in `BSN: 123456782`, or in a column that has it for a name; so a
number that many others look like is no false alarm, and the scan stays cheap. Those whose form and checksum
say enough by themselves are also rules of the group `pii.national`, which finds them wherever they stand.
"""

from collections.abc import Callable
from dataclasses import replace

from stdnum.au import tfn
from stdnum.be import nn
from stdnum.br import cpf
from stdnum.ca import sin
from stdnum.ch import ssn as ahv
from stdnum.cn import ric
from stdnum.de import idnr
from stdnum.es import dni, nie
from stdnum.fi import hetu
from stdnum.fr import nir
from stdnum.gb import nhs
from stdnum.in_ import aadhaar
from stdnum.it import codicefiscale
from stdnum.kr import rrn
from stdnum.mx import curp
from stdnum.nl import bsn
from stdnum.pl import pesel
from stdnum.se import personnummer
from stdnum.us import ssn

from bodycam.policy.detectors.rule import Confirm, Rule, Span, whole

Check = Callable[[str], bool]
_LAST = 4
_NO_DIGITS = bytes(code for code in range(256) if not 0x30 <= code <= 0x39)
ANYWHERE = "pii.national"
# what may stand between the word and the number: `ssn: `, `"ssn": "`, `SSN no. `, `ssn_number=`
_BETWEEN = rb"(?:[\s_.-]?(?:no|nr|num|number|id|code)\b)?[\W_]{1,6}"


def digits(found: bytes) -> bytes:
    """The digits alone."""
    return found.translate(None, _NO_DIGITS)


def last_four(found: bytes) -> bytes:
    """The last four letters or digits."""
    return bytes(code for code in found if chr(code).isalnum() and code < 0x80)[-_LAST:]


def _valid(check: Check) -> Confirm:
    def confirm(found: bytes) -> Span | None:
        try:
            return whole(found) if check(found.decode("ascii")) else None
        except UnicodeDecodeError:
            return None

    return confirm


def _number(
    country: str, words: bytes, pattern: bytes, check: Check, *, anywhere: bool = False
) -> list[Rule]:
    """The rules for one kind of number: behind one of its words, and `anywhere` if that is certain enough."""
    confirm = _valid(check)
    text = rb"(?i)(?:\b|_)(?:" + words + rb")" + _BETWEEN + rb"\b(" + pattern + rb")\b"
    made = [Rule(f"pii.{country}", text, (1,), confirm, last_four, words=words)]
    if anywhere:
        made.append(Rule(f"{ANYWHERE}.{country}", rb"\b(?:" + pattern + rb")\b", (0,), confirm, last_four))
    return made


def _well_formed(number: str) -> bool:
    """For numbers without a checksum, whose pattern says all."""
    return True


_ALL: tuple[list[Rule], ...] = (
    _number("ssn", rb"ssn|social.security", rb"[0-8][0-9]{2}-?[0-9]{2}-?[0-9]{4}", ssn.is_valid),
    _number("es-dni", rb"dni|nif", rb"[0-9]{8}-?[A-HJ-NP-TV-Z]", dni.is_valid, anywhere=True),
    _number("es-nie", rb"nie", rb"[XYZ]-?[0-9]{7}-?[A-HJ-NP-TV-Z]", nie.is_valid, anywhere=True),
    _number(
        "it-codice-fiscale", rb"codice.fiscale|cod.fisc",
        rb"[A-Z]{6}[0-9LMNP-V]{2}[A-EHLMPRST][0-9LMNP-V]{2}[A-Z][0-9LMNP-V]{3}[A-Z]",
        codicefiscale.is_valid, anywhere=True,
    ),
    _number(
        "fr-nir", rb"nir|insee|s.curit. sociale|securite.sociale",
        rb"[12][0-9]{5}[0-9AB][0-9]{8}|[12](?: [0-9]{2}){2} [0-9][0-9AB] [0-9]{3} [0-9]{3} [0-9]{2}",
        nir.is_valid, anywhere=True,
    ),
    _number("br-cpf", rb"cpf", rb"[0-9]{3}\.?[0-9]{3}\.?[0-9]{3}-?[0-9]{2}", cpf.is_valid),
    _number(
        "ch-ahv", rb"ahv|avs", rb"756(?:[0-9]{10}|\.[0-9]{4}\.[0-9]{4}\.[0-9]{2})",
        ahv.is_valid, anywhere=True,
    ),
    _number(
        "fi-hetu", rb"hetu|henkil.{1,2}tunnus", rb"[0-3][0-9][01][0-9]{3}[-+A-FU-Y][0-9]{3}[0-9A-FHJ-NPR-Y]",
        hetu.is_valid, anywhere=True,
    ),
    _number(
        "se-personnummer", rb"personnummer|personnr|pnr",
        rb"(?:19|20)?[0-9]{2}[01][0-9][0-3][0-9][-+]?[0-9]{4}",
        personnummer.is_valid,
    ),
    _number(
        "cn-ric", rb"ric|shenfenzheng|id.card",
        rb"[1-9][0-9]{5}(?:19|20)[0-9]{2}[01][0-9][0-3][0-9]{4}[0-9X]",
        ric.is_valid, anywhere=True,
    ),
    _number("mx-curp", rb"curp", rb"[A-Z]{4}[0-9]{6}[HM][A-Z]{5}[0-9A-Z][0-9]", curp.is_valid, anywhere=True),
    _number("kr-rrn", rb"rrn|jumin", rb"[0-9]{2}[01][0-9][0-3][0-9]-?[0-9]{7}", rrn.is_valid),
    _number(
        "be-nn", rb"rijksregister\w{0,10}|registre.national|nrn|niss|insz",
        rb"[0-9]{2}\.?[01][0-9]\.?[0-3][0-9]-?[0-9]{3}\.?[0-9]{2}", nn.is_valid,
    ),
    _number("pl-pesel", rb"pesel", rb"[0-9]{11}", pesel.is_valid),
    _number(
        "de-idnr", rb"steuer.?id\w{0,20}|steuerliche.identifikation\w{0,20}|idnr|tin",
        rb"[1-9][0-9]{10}|[1-9][0-9](?: [0-9]{3}){3}", idnr.is_valid,
    ),
    _number("nl-bsn", rb"bsn|burgerservicenummer|sofi.?nummer", rb"[0-9]{9}", bsn.is_valid),
    _number("in-aadhaar", rb"aadhaar|uidai", rb"[2-9][0-9]{3} ?[0-9]{4} ?[0-9]{4}", aadhaar.is_valid),
    _number("ca-sin", rb"sin|social.insurance", rb"[1-79][0-9]{2}[ -]?[0-9]{3}[ -]?[0-9]{3}", sin.is_valid),
    _number("au-tfn", rb"tfn|tax.file", rb"[0-9]{3} ?[0-9]{3} ?[0-9]{2,3}", tfn.is_valid),
    _number("gb-nhs", rb"nhs", rb"[0-9]{3}[ -]?[0-9]{3}[ -]?[0-9]{4}", nhs.is_valid),
    _number(
        "gb-nino", rb"nino|national.insurance",
        rb"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?(?:[0-9]{2} ?){3}[A-D]", _well_formed,
    ),
)  # fmt: skip
_RULES = [rule for made in _ALL for rule in made]
_NAMED = [rule for rule in _RULES if rule.words]
# one expression for all words: a dozen short words each on their own cost a scan far more
_WORDS = rb"(?i)(?:" + b"|".join(rule.pattern.removeprefix(rb"(?i)") for rule in _NAMED) + rb")"
# with its dashes a number of the United States is known by its form alone
_DASHED = Rule("pii.ssn", rb"\b[0-8][0-9]{2}-[0-9]{2}-[0-9]{4}\b", (0,), _valid(ssn.is_valid), last_four)
NATIONAL: tuple[Rule, ...] = (
    _DASHED,
    *(replace(rule, filter=_WORDS) if rule.words else rule for rule in _RULES),
)
