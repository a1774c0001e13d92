"""From settings to what is masked where: targets, columns by origin, exemptions, the strictest of several."""

from pathlib import Path

import pytest

from bodycam.config import parse
from bodycam.config.masking import Then
from bodycam.policy.detectors.patterns import Patterns, UnknownDetector
from bodycam.policy.masking.columns import CellKind, Origin
from bodycam.policy.masking.copied import CopyFormat
from bodycam.policy.masking.policy import Masking, Plan, Rules

CARD = b"4111111111111111"
TARGETS = """
targets:
  orders: {protocol: postgres, address: 'db:5432', user: app, labels: {env: prod}}
  scratch: {protocol: postgres, address: 'db:5433', user: app, labels: {env: dev}}
detectors: {employee: {pattern: '\\bE[0-9]{6}\\b'}}
"""


def masking(patterns: Patterns, entries: str) -> Masking:
    settings = parse(f"{TARGETS}masking:\n{entries}", file="x", folder=Path("/x"))
    return Masking(settings, patterns)


def plan(patterns: Patterns, entries: str, target: str = "orders", env: str = "prod") -> Plan:
    found = masking(patterns, entries).for_target(target, {"env": env})
    assert found is not None
    return found


def cells(
    rules: Rules | None, origin: Origin | None, value: bytes, kind: CellKind = CellKind.TEXT
) -> bytes | None:
    assert rules is not None
    mask = None if origin is None else rules.mask(origin, rules.entries([origin]))
    screen = rules.screen([rules.column("c", kind, holds_text=True, origin=origin, mask=mask)])
    changed = None if screen is None else screen.cells([value])
    return value if changed is None else changed[0]


def test_without_entries_nothing_is_masked(patterns: Patterns) -> None:
    assert masking(patterns, "  []").for_target("orders", {}) is None


def test_an_entry_is_for_its_targets(patterns: Patterns) -> None:
    entries = """
  - {detect: [pii.card], targets: {labels: {env: prod}}}
  - {detect: [employee], unless: {targets: {names: [orders]}}}
"""
    all_of_them = masking(patterns, entries)
    orders = all_of_them.for_target("orders", {"env": "prod"})
    scratch = all_of_them.for_target("scratch", {"env": "dev"})
    assert orders is not None
    assert scratch is not None
    assert cells(orders.client, None, CARD) == b"[bodycam:pii.card]"
    assert cells(orders.client, None, b"E123456") == b"E123456"
    assert cells(scratch.client, None, CARD) == CARD
    assert cells(scratch.client, None, b"E123456") == b"[bodycam:employee]"
    assert all_of_them.for_target("orders", {"env": "prod"}) is orders


def test_a_target_that_no_entry_is_for_has_no_plan(patterns: Patterns) -> None:
    one = masking(patterns, "  - {detect: [pii.card], targets: {names: [orders]}}")
    assert one.for_target("scratch", {"env": "dev"}) is None


@pytest.mark.parametrize(
    ("named", "origin", "masked"),
    [
        ("customers.ssn", Origin("public", "customers", "ssn"), True),
        ("customers.ssn", Origin("other", "customers", "ssn"), True),
        ("customers.ssn", Origin("public", "customers", "ssn2"), False),
        ("public.customers.ssn", Origin("public", "customers", "ssn"), True),
        ("public.customers.ssn", Origin("other", "customers", "ssn"), False),
        ("*.ssn", Origin("public", "people", "SSN"), True),
        ("customers.*", Origin("public", "customers", "anything"), True),
        ("c*.s*n", Origin("public", "customers", "ssn"), True),
        ("custom.rs.ssn", Origin("custom", "rs", "ssn"), True),
        ("custom?rs.ssn", Origin("public", "customers", "ssn"), False),
    ],
)
def test_columns_are_named_by_table_and_column(
    patterns: Patterns, named: str, origin: Origin, masked: bool
) -> None:
    rules = plan(patterns, f"  - {{columns: ['{named}']}}").client
    assert (cells(rules, origin, b"x") == b"[bodycam:column]") is masked
    assert cells(rules, None, b"x") == b"x"


def test_the_strictest_of_several_holds(patterns: Patterns) -> None:
    rules = plan(
        patterns,
        """
  - {detect: [pii.card], columns: [a.b], then: partial}
  - {detect: [pii], then: null}
  - {detect: [pii], columns: ["*.b"], then: redact}
""",
    ).client
    assert cells(rules, None, CARD) is None
    assert cells(rules, Origin("public", "a", "b"), b"123456789") == b"[bodycam:column]"


def test_unless_columns_leave_an_entry_out_and_no_other(patterns: Patterns) -> None:
    rules = plan(
        patterns,
        """
  - {detect: [pii], json: [$.a], columns: ["t.*"], unless: {columns: [t.free]}}
  - {detect: [employee]}
""",
    ).client
    free, other = Origin("public", "t", "free"), Origin("public", "u", "x")
    assert cells(rules, free, CARD) == CARD
    assert cells(rules, free, b"E123456") == b"[bodycam:employee]"
    assert cells(rules, free, b'{"a": 1}', CellKind.JSON) == b'{"a": 1}'
    assert cells(rules, other, CARD) == b"[bodycam:pii.card]"
    assert cells(rules, other, b'{"a": 1}', CellKind.JSON) == b'{"a": "[bodycam:json]"}'
    assert cells(rules, Origin("public", "t", "x"), b"y") == b"[bodycam:column]"


def test_a_column_counts_by_every_name_that_its_values_had_and_is_let_go_by_its_own(
    patterns: Patterns,
) -> None:
    rules = plan(
        patterns, "  - {columns: [customers.ssn], then: partial, unless: {columns: [v.shown]}}"
    ).client
    assert rules is not None
    table, view, shown = (
        Origin("public", *name) for name in (("customers", "ssn"), ("v", "x"), ("v", "shown"))
    )
    mask = rules.mask(view, rules.entries([view, table]))
    assert mask is not None
    assert mask.then is Then.PARTIAL
    assert rules.mask(view, rules.entries([view])) is None
    assert rules.mask(shown, rules.entries([shown, table])) is None


def test_of_a_column_that_is_half_known_only_a_table_said_in_full_is_guessed(patterns: Patterns) -> None:
    rules = plan(patterns, "  - {columns: [customers.ssn, hr.people.pay, '*.pin']}").client
    assert rules is not None
    assert rules.guess(Origin("", "customers", "ssn")) is not None
    assert rules.guess(Origin("", "customers", "")) is not None
    assert rules.guess(Origin("", "customers", "name")) is None
    assert rules.guess(Origin("other", "people", "")) is None
    assert rules.guess(Origin("", "people", "pay")) is not None
    assert rules.guess(Origin("", "orders", "pin")) is None


def test_for_the_record_only(patterns: Patterns) -> None:
    both = plan(patterns, "  - {detect: [pii]}")
    assert both.same
    only = plan(patterns, "  - {detect: [pii], mask: record}")
    assert only.client is None
    assert cells(only.record, None, CARD) == b"[bodycam:pii.card]"
    mixed = plan(patterns, "  - {detect: [pii], mask: record}\n  - {detect: [employee]}")
    assert not mixed.same
    assert cells(mixed.client, None, CARD + b" E123456") == CARD + b" [bodycam:employee]"
    assert cells(mixed.record, None, CARD + b" E123456") == b"[bodycam:pii.card] [bodycam:employee]"


def test_a_result_without_anything_to_mask_has_no_screen(patterns: Patterns) -> None:
    rules = plan(patterns, "  - {columns: [a.b]}").client
    assert rules is not None
    assert rules.screen([rules.column("x", CellKind.TEXT, holds_text=True)]) is None


def test_an_unknown_detector_is_told_as_plans_are_prepared(patterns: Patterns) -> None:
    with pytest.raises(UnknownDetector, match=r"pii\.card"):
        masking(patterns, "  - {detect: [pii.crad]}").prepare()


def test_streams_copies_and_texts_follow_the_same_rules(patterns: Patterns) -> None:
    rules = plan(patterns, "  - {detect: [pii.card], then: partial}").client
    assert rules is not None
    copied = rules.copied([rules.column("c", CellKind.TEXT, holds_text=True)], CopyFormat())
    stream = rules.stream()
    hits = rules.hits()
    assert copied is not None
    assert stream is not None
    assert copied.feed(CARD + b"\n") == b"[bodycam:pii.card:1111]\n"
    assert stream.feed(b"x " + CARD + b"\n") == b"x [bodycam:pii.card:1111]\n"
    assert rules.text(b"Key (card)=(" + CARD + b") already exists.", hits) == (
        b"Key (card)=([bodycam:pii.card:1111]) already exists."
    )
    assert [(seen.detector, seen.count) for seen in hits.take()] == [("pii.card", 1)]
    plain = b"nothing in it"
    assert rules.text(plain, hits) is plain


def test_a_message_has_no_null(patterns: Patterns) -> None:
    rules = plan(patterns, "  - {detect: [pii.card], then: null}").client
    assert rules is not None
    assert rules.text(CARD, rules.hits()) == b"[bodycam:pii.card]"


def test_rules_without_detectors_need_no_stream(patterns: Patterns) -> None:
    rules = plan(patterns, "  - {columns: [a.b]}").client
    assert rules is not None
    assert rules.stream() is None
    assert rules.text(CARD, rules.hits()) == CARD


def test_requests_in_the_record_lose_secrets_and_what_is_detected_at_the_target(patterns: Patterns) -> None:
    key, card = "AKIAIOSFODNN7ABCDEFG", CARD.decode()
    text = f"select '{key}', '{card}'"
    one = masking(patterns, "  - {detect: [pii.card], mask: record, targets: {names: [orders]}}")
    orders = one.for_target("orders", {})
    assert orders is not None
    assert orders.redactor.redact(text) == ("select '[redacted]', '[redacted]'", 2)
    assert one.redactor.redact(text) == (f"select '[redacted]', '{card}'", 1)
