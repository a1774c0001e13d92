"""Personal data is known by form and checksum; what has the form alone, or not even that, is left alone."""

import random

import pytest
import stdnum.luhn

from bodycam.policy.detectors.matcher import Matcher
from bodycam.policy.detectors.patterns import Patterns
from bodycam.policy.detectors.pii import RULES, luhn
from bodycam.policy.detectors.rule import Rule

FOUND = [
    ("4111111111111111", "pii.card", "1111"),
    ("4111 1111 1111 1111", "pii.card", "1111"),
    ("5555-5555-5555-4444", "pii.card", "4444"),
    ("2223003122003222", "pii.card", "3222"),
    ("378282246310005", "pii.card", "0005"),
    ("3782 822463 10005", "pii.card", "0005"),
    ("30569309025904", "pii.card", "5904"),
    ("6011111111111117", "pii.card", "1117"),
    ("3530111333300000", "pii.card", "0000"),
    ("6200000000000005", "pii.card", "0005"),
    ("DE89370400440532013000", "pii.iban", "DE3000"),
    ("DE89 3704 0044 0532 0130 00", "pii.iban", "DE3000"),
    ("GB29NWBK60161331926819", "pii.iban", "GB6819"),
    ("NO9386011117947", "pii.iban", "NO7947"),
    ("ann.o'neil+x@mail.example.co.uk", "pii.email", "@mail.example.co.uk"),
    ("jörg@example.com", "pii.email", "@example.com"),
    ("+49 30 123456", "pii.phone", "3456"),
    ("+1 (212) 555-2368", "pii.phone", "2368"),
    ("+447911123456", "pii.phone", "3456"),
    ("10.1.2.3", "pii.ip", "10.1.x.x"),
    ("fe80::1", "pii.ip", ""),
    ("2001:db8:0:0:8:800:200c:417a", "pii.ip", ""),
    ("2001:db8::8:800:200c:417a", "pii.ip", ""),
    ("123-45-6789", "pii.ssn", "6789"),
]
BEHIND_A_WORD = [
    ("ssn", "123456789", "pii.ssn"),
    ("dni", "54362315K", "pii.es-dni"),
    ("NIE", "X2482300W", "pii.es-nie"),
    ("codice_fiscale", "RCCMNL83S18D969H", "pii.it-codice-fiscale"),
    ("nir", "295109912611193", "pii.fr-nir"),
    ("cpf", "390.533.447-05", "pii.br-cpf"),
    ("AHV", "756.9217.0769.85", "pii.ch-ahv"),
    ("hetu", "131052-308T", "pii.fi-hetu"),
    ("personnummer", "880320-0016", "pii.se-personnummer"),
    ("curp", "BOXW310820HNERXN09", "pii.mx-curp"),
    ("rrn", "971013-9019902", "pii.kr-rrn"),
    ("pesel", "44051401359", "pii.pl-pesel"),
    ("steuer-id", "36574261809", "pii.de-idnr"),
    ("bsn", "111222333", "pii.nl-bsn"),
    ("aadhaar", "2341 2341 2346", "pii.in-aadhaar"),
    ("SIN", "123-456-782", "pii.ca-sin"),
    ("tfn", "123 456 782", "pii.au-tfn"),
    ("nhs", "943 476 5870", "pii.gb-nhs"),
    ("nino", "AB 12 34 56 C", "pii.gb-nino"),
    ("rijksregisternummer", "85.07.30-033.28", "pii.be-nn"),
    ("ric", "360426199101010071", "pii.cn-ric"),
]
LEFT_ALONE = [
    "4111111111111112",  # its checksum is wrong
    "9111111111111111",  # no issuer's
    "1700000000000000",  # a time in microseconds
    "411111111111111",  # too short
    "a4111111111111111",
    "DE89370400440532013001",
    "ZZ89370400440532013000",
    "ann@example",
    "@example.com",
    "+49 30 12",
    "+999 30 123456",
    "0.0.0.0",
    "127.0.0.1",
    "255.255.255.0",
    "10.1.2.300",
    "12:34:56",
    "std::vector",
    "000-12-3456",
    "666-12-3456",
    "123456789",
    "111222333",
    "44051401359",
    "2026-11-26 01:10:02.123456+00",
    "8f14e45f-ceea-467e-a9d2-1b7f3c9a5e11",
]


@pytest.fixture(scope="module")
def personal(patterns: Patterns) -> Matcher:
    return patterns.matcher(["pii"])


@pytest.mark.parametrize(("value", "name", "kept"), FOUND, ids=[one[0] for one in FOUND])
def test_it_is_found_with_its_name_and_what_may_be_shown(
    personal: Matcher, value: str, name: str, kept: str
) -> None:
    data = value.encode()
    for text in (
        data,
        b"see " + data + b", thanks",
        b"(" + data + b")",
        b"\n" + data + b"\n",
        b'"' + data + b'"',
    ):
        (hit,) = personal.find(text)
        assert (hit.rule.name, text[hit.start : hit.end]) == (name, data), text
        assert hit.rule.keep(data).decode() == kept


@pytest.mark.parametrize(("word", "number", "name"), BEHIND_A_WORD, ids=[one[2] for one in BEHIND_A_WORD])
def test_a_national_number_is_found_behind_its_word(
    personal: Matcher, word: str, number: str, name: str
) -> None:
    for text in (f"{word}: {number}", f'{{"customer_{word}": "{number}"}}', f"{word.upper()} no. {number}"):
        data = text.encode()
        hits = [data[hit.start : hit.end] for hit in personal.find(data) if hit.rule.name == name]
        assert hits == [number.encode()], text
    assert personal.worded(f"customer_{word}")


@pytest.mark.parametrize("value", LEFT_ALONE)
def test_what_only_looks_like_it_is_left_alone(personal: Matcher, value: str) -> None:
    assert personal.find(value.encode()) == []


@pytest.mark.parametrize(("word", "number", "name"), BEHIND_A_WORD, ids=[one[2] for one in BEHIND_A_WORD])
def test_a_wrong_checksum_behind_the_word_is_no_number(
    personal: Matcher, word: str, number: str, name: str
) -> None:
    if name in ("pii.gb-nino", "pii.ssn"):
        pytest.skip("these have no checksum")
    last = number[-1]
    for other in "0123456789ABCDEFGHJK":
        wrong = f"{word}: {number[:-1]}{other}".encode()
        if other != last and other.isdigit() == last.isdigit():
            assert name not in [hit.rule.name for hit in personal.find(wrong)]


def test_strong_numbers_are_found_anywhere_if_asked_for(patterns: Patterns) -> None:
    anywhere = patterns.matcher(["pii.national"])
    for name in sorted(anywhere.names):
        plain = name.replace(".national", "")
        number = next(number for _, number, one in BEHIND_A_WORD if one == plain)
        assert [hit.rule.name for hit in anywhere.find(f"x {number} y".encode())] == [name]


def test_names_of_columns_that_only_hold_such_words_by_chance_are_none(personal: Matcher) -> None:
    for name in ("using", "single", "business", "finish", "denier", "session"):
        assert not personal.worded(name)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_that_is_filtered_by_another_pattern_says_its_words_or_shows_its_form(rule: Rule) -> None:
    assert rule.coarse.pattern
    assert rule.words == b"" or rule.groups == (1,)


def test_the_checksum_of_cards_is_that_of_the_library() -> None:
    chance = random.Random(1)
    for size in range(13, 20):
        for _ in range(300):
            number = "".join(chance.choice("0123456789") for _ in range(size))
            for last in "0123456789":
                assert luhn((number[:-1] + last).encode()) == stdnum.luhn.is_valid(number[:-1] + last)
