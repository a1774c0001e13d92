"""Detectors by name, the cache on disk, bounds on what one text may cost."""

import hashlib
import random
import stat
from pathlib import Path

import pytest
import re2

from bodycam.policy.detectors import known, secrets, stored
from bodycam.policy.detectors.automaton import Automaton
from bodycam.policy.detectors.database import LEAST, Database, by_line
from bodycam.policy.detectors.marks import MARK, mark, mask_token_in
from bodycam.policy.detectors.matcher import MAX_HITS, Matcher
from bodycam.policy.detectors.patterns import Patterns, UnknownDetector
from bodycam.policy.detectors.pii import RULES
from tests.unit.policy.samples import sample

LATIN = re2.Options()
LATIN.encoding = re2.Options.Encoding.LATIN1
CARD = b"4111111111111111"


def test_a_name_chooses_a_detector_or_all_that_begin_with_it(patterns: Patterns) -> None:
    def chosen(*names: str) -> set[str]:
        return {pattern.rule.name for pattern in patterns.chosen(names)}

    assert chosen("pii.card") == {"pii.card"}
    assert chosen("pii.card", "employee") == {"pii.card", "employee"}
    assert {name.partition(".")[0] for name in chosen("secrets")} == {"secrets"}
    assert all(name.startswith("secrets.aws-") for name in chosen("secrets.aws"))
    assert not any(name.startswith("pii.national") for name in chosen("pii"))
    assert len(chosen("pii.national")) > 5


@pytest.mark.parametrize(
    ("name", "near"),
    [("pii.crad", "pii.card"), ("secrts", "secrets"), ("secrets.github-pta", "secrets.github-pat")],
)
def test_a_wrong_name_is_told_with_those_near_it(patterns: Patterns, name: str, near: str) -> None:
    with pytest.raises(UnknownDetector, match=near):
        patterns.matcher([name])
    assert near in str(known.unknown(name))


def test_known_names_are_no_problem() -> None:
    for name in ("secrets", "pii", "pii.national", "pii.card", "secrets.aws", "secrets.github-pat"):
        assert known.unknown(name) is None


def test_the_same_detectors_are_one_matcher(patterns: Patterns) -> None:
    assert patterns.matcher(["pii.card", "employee"]) is patterns.matcher(["employee", "pii.card"])


def test_a_detector_of_ones_own_masks_its_first_group(matcher: Matcher) -> None:
    (whole,) = matcher.find(b"by E123456 yesterday")
    assert (whole.start, whole.end, whole.rule.name) == (3, 10, "employee")
    (group,) = matcher.find(b"pin=1234")
    assert (group.start, group.end, group.rule.name) == (4, 8, "pin")
    assert matcher.find(b"by E1234567") == []


def database(cache: Path) -> Database:
    return Database.open({0: b"abc", 1: b"[0-9]{4}"}, cache)


def found(one: Database, text: bytes) -> list[int]:
    places: list[int] = []
    one.scan(text, lambda place, *_: places.append(place))
    return sorted(places)


def test_a_database_is_kept_for_its_owner_only_and_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    assert found(database(cache), b"abc 1234") == [0, 1]
    (file,) = cache.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    monkeypatch.setattr("bodycam.policy.detectors.database._compile", None)
    assert found(database(cache), b"abc 1234") == [0, 1]


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data[:200] + bytes((data[200] ^ 1,)) + data[201:],
        lambda data: b"x" * len(data),
    ],
    ids=["empty", "cut", "flipped", "other"],
)
def test_a_spoilt_file_is_made_anew(tmp_path: Path, spoilt) -> None:  # type: ignore[no-untyped-def]
    database(tmp_path)
    (file,) = tmp_path.iterdir()
    good = file.read_bytes()
    file.write_bytes(spoilt(good))
    assert found(database(tmp_path), b"1234") == [1]
    assert file.read_bytes() == good


def test_a_whole_file_that_holds_no_database_is_made_anew(tmp_path: Path) -> None:
    database(tmp_path)
    (file,) = tmp_path.iterdir()
    stored.save(file, b"\xa2\x68database\x41x\x67refused\x80")
    assert found(database(tmp_path), b"1234") == [1]


def test_a_file_that_others_can_write_is_not_trusted(tmp_path: Path) -> None:
    stored.save(tmp_path / "x", b"body")
    assert stored.load(tmp_path / "x") == b"body"
    (tmp_path / "x").chmod(0o622)
    assert stored.load(tmp_path / "x") is None


def test_without_a_folder_to_write_it_works_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert found(database(tmp_path / "file" / "below"), b"abc") == [0]


def test_a_pattern_that_hyperscan_refuses_is_left_out(tmp_path: Path) -> None:
    for _ in range(2):
        one = Database.open({0: b"abc", 1: b"(?=x)y", 2: b"def"}, tmp_path)
        assert one.refused == {1}
        assert found(one, b"def abc") == [0, 2]


def test_no_is_certain_for_texts_joined_by_line_feeds(matcher: Matcher) -> None:
    chance = random.Random(3)
    pieces = [b"AKIAIOSFODNN7ABCDEFG", CARD, b"plain", b"12", b"ann@example.com", b"", b"\xff\xfe", b"key="]
    for _ in range(300):
        texts = [chance.choice(pieces) for _ in range(6)]
        if any(matcher.find(text) for text in texts):
            assert matcher.suspicious(b"\n".join(texts))


def test_binary_garbage_and_long_texts_end(matcher: Matcher) -> None:
    chance = random.Random(5)
    for size in (0, 1, 100, 1 << 20):
        matcher.find(chance.randbytes(size))
    assert matcher.find(b"\0" * (1 << 20)) == []
    assert len(matcher.find(b"a" * (1 << 20) + b" " + CARD)) == 1


def test_a_long_text_is_looked_at_in_pieces_without_a_gap(matcher: Matcher) -> None:
    key = b"AKIAIOSFODNN7ABCDEFG"
    filling = b"tin: 12345678901 and some other words, " + b"of which none is much " * 20_000
    for at in (0, 65_530, 65_536, 81_900, 81_920, 131_070, 131_072, len(filling)):
        text = filling[:at] + b" " + key + b" " + filling[at:]
        found = [(hit.start, hit.end) for hit in matcher.find(text)]
        assert found == [(at + 1, at + 1 + len(key))]
    # a piece that begins within a longer word is no beginning of one
    word = b"x" * 65_536 + b"AKIAIOSFODNN7ABCDEFG " + b"y" * 65_536
    assert matcher.find(word) == []


def test_a_text_that_would_take_too_long_counts_as_found_whole(matcher: Matcher) -> None:
    many = (CARD + b" ") * (MAX_HITS + 2)
    (hit,) = matcher.find(many)
    assert (hit.start, hit.end, hit.rule.name) == (0, len(many), "unread")
    # every place of it looks like the beginning of a card number, and none is one
    hostile = b"4111-" * 400_000
    assert all(hit.rule.name == "unread" for hit in matcher.find(hostile))


def test_a_mask_is_not_found_again(matcher: Matcher) -> None:
    for rule in RULES:
        for kept in (b"", b"4111111111111111", b"ann@example.com", b"10.1.2.3"):
            text = b"password: " + mark(rule.name, kept) + b" and " + CARD
            (hit,) = matcher.find(text)
            assert text[hit.start : hit.end] == CARD


def test_a_mask_is_one_word_for_every_format() -> None:
    assert mark("pii.card") == b"[bodycam:pii.card]"
    assert mark("pii.card", b"1111") == b"[bodycam:pii.card:1111]"
    assert mark("pii.email", b'@a"b\\c,d\n\t{}:]') == b"[bodycam:pii.email:@abcd]"
    assert MARK.fullmatch(mark("secrets.aws-access-token", b"x" * 500))
    assert not set(mark("column", bytes(range(256)))) & set(b"\"'\\,;\t\n\r {}()<>&")


@pytest.mark.parametrize(
    ("text", "there"),
    [
        ("update t set card = '[bodycam:pii.card:1111]'", True),
        ("[BODYCAM:column]", True),
        (b"\xff[bodycam:json]", True),
        ("[bodycam] 1.0", False),
        ("", False),
        ("\ud800", False),
    ],
)
def test_a_mask_that_is_written_back_is_seen(text: str | bytes, there: bool) -> None:
    assert mask_token_in(text) is there


def test_the_ends_of_what_is_found_lie_in_the_text_that_holds_it_or_behind_its_line_feed(
    placed: Matcher, matcher: Matcher
) -> None:
    assert placed.places
    assert not matcher.places
    assert matcher.ends(CARD) is None
    chance = random.Random(5)
    pieces = [
        CARD,
        b"E123456",
        b"pin=1234",
        b"W-1234",
        b"ann@example.com",
        b"plain",
        b"",
        b"\xff",
        b"W-",
        b"4111",
    ]
    for _ in range(500):
        texts = [chance.choice(pieces) for _ in range(8)]
        ends, start = placed.ends(b"\n".join(texts)), 0
        assert ends is not None
        assert ends == sorted(ends)
        for text in texts:
            behind = start + len(text) + 1
            if matcher.find(text):
                assert any(start < end <= behind for end in ends), texts
            start = behind


def test_more_ends_than_are_told_are_none_and_the_next_text_is_scanned_afresh(placed: Matcher) -> None:
    assert placed.ends(b"pin=1234 " * 5_000) is None
    assert placed.ends(b"plain") == []
    assert placed.ends(b"pin=1234") == [8]


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (rb"\Aab\z", b"^ab$"),
        (rb"(?:\A|[^a\]\\A])x\\A", rb"(?:^|[^a\]\\A])x\\A"),
        (rb"[[:alpha:]\A]\Q\A\z\E\z", rb"[[:alpha:]\A]\Q\A\z\E$"),
        (rb"(?i-m:^a)(?-m)b$(?-s)", rb"(?mi:^a)(?m)b$(?-s)"),
        (rb"(?-ms:^a)", rb"(?m-s:^a)"),
    ],
)
def test_what_stands_at_the_end_of_a_text_is_looked_for_at_the_end_of_a_line(
    pattern: bytes, line: bytes
) -> None:
    assert by_line(pattern) == line


@pytest.mark.parametrize("each", [False, True])
def test_a_pattern_of_whole_texts_is_found_in_lines(tmp_path: Path, each: bool) -> None:
    for _ in range(2):
        one = Database.open({0: rb"\Aab\z", 1: rb"(?-m)^cd$"}, tmp_path, each=each)
        assert one.refused == frozenset()
        assert found(one, b"x\nab\ncd\nx") == [0, 1]
        assert found(one, b"xab\ncdx") == []


def test_what_a_scan_looks_for_first_stands_in_all_that_a_pattern_matches(patterns: Patterns) -> None:
    chosen = patterns.chosen(["secrets", "pii", "pii.national"])
    filtered = [pattern.rule for pattern in chosen if pattern.rule.filter]
    assert {"pii.ip", "pii.email", "secrets.facebook-access-token", "secrets.zai-api-key"} <= {
        rule.name for rule in filtered
    }
    chance = random.Random(7)
    for rule in filtered:
        first, pattern = re2.compile(rule.filter, LATIN), re2.compile(rule.pattern, LATIN)
        for _ in range(40):
            text = sample(rule.pattern, chance)
            match = pattern.search(text)
            if match is not None:
                assert first.search(text[match.start() : match.end()]), (rule.name, text)


def test_each_part_is_one_of_a_pattern_that_is_listed() -> None:
    listed = {hashlib.sha256(str(one["pattern"]).encode()).hexdigest() for one in secrets.listed()}
    assert set(secrets.PARTS) <= listed


@pytest.mark.parametrize(
    ("patterns", "least"),
    [
        ([b"k-[0-9]{6}"], LEAST),
        ([rb"(?:^|\s)k-[0-9]{5,}(?:\s|;)"], LEAST),
        # what stands around may be nothing at all
        ([rb"(?:^|\s)k-[0-9]{5}(?:\s|$)"], 0),
        ([rb"\bk-[0-9]{5}\b"], 0),
        ([b"k-[0-9]{6}", b"[0-9]{7}", b"key-[0-9]{9}"], 0),
    ],
)
def test_it_is_known_where_nothing_short_can_match(patterns: list[bytes], least: int) -> None:
    found = Database.open(dict(enumerate(patterns)), None)

    assert found.least == least


def test_what_is_shorter_than_any_secret_is_none(patterns: Patterns, matcher: Matcher, cache: Path) -> None:
    chosen = patterns.chosen([secrets.GROUP])
    assert Automaton.open(list(dict.fromkeys(one.rule.coarse for one in chosen)), cache).least == LEAST
    assert not patterns.matcher([secrets.GROUP]).suspicious(b"x" * (LEAST - 1))
    # one's own may be as short as they like
    assert matcher.suspicious(b"E123456")
    assert matcher.find(b"E123456") != []
