"""Redaction cut off at each of its steps, values over the ends of pieces, and forged links."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bodycam.archive import redactions
from bodycam.archive.format.container import read_footer
from bodycam.archive.leaked import Finder, forms, mask
from bodycam.archive.ledger import Leaf
from bodycam.archive.redacting import Redacted, Redactor
from bodycam.archive.verify import Verifier
from bodycam.catalog import deletion
from bodycam.model import ids
from bodycam.model.event import Kind
from tests.unit.archive.kept import DAY, Kept, rules

VALUE = b"hunter2-mandrake"


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    kept = Kept(tmp_path)
    kept.start()
    yield kept
    if kept.house.archivist is not None:
        kept.stop()
    kept.end()


def redactor(kept: Kept) -> Redactor:
    house = kept.house
    assert house.archivist is not None
    return Redactor(
        house.archivist,
        folder=house.root / "ledger",
        staging=house.root / "staging",
        store=house.store,
        keystore=kept.keystore,
        engine=kept.engine,
        fingerprint=lambda value: "f" * 32,
        signing=lambda: house.keys.signing,
        reindex=kept.index.anew,
        unindexed=kept.markers.names,
        busy=threading.Lock(),
    )


def redact(made: Redactor, **more: Any) -> Redacted:
    asked = {"actor": "ann@corp", "reason": "a leak", "run": None, "plan": False, "held": False, **more}
    return made.redact(VALUE, **asked)


class Died(BaseException):
    """The process is gone."""


STEPS: list[tuple[str, Callable[[Kept, Redactor], tuple[Any, str]], bool]] = [
    ("its key is prepared", lambda kept, made: (kept.keystore, "prepare"), False),
    ("the record is written", lambda kept, made: (redactions, "add"), False),
    ("the object is stored", lambda kept, made: (kept.house.store, "put"), False),
    ("the leaf is signed", lambda kept, made: (made._archivist.ledger, "commit"), True),
    ("the key is replaced", lambda kept, made: (kept.keystore, "promote"), True),
    ("the rows are gone", lambda kept, made: (deletion, "forget_session"), True),
    ("the index was asked", lambda kept, made: (made, "_reindex"), True),
    ("the texts are overwritten", lambda kept, made: (deletion, "scrub"), True),
]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("name", "where", "whole"), STEPS, ids=[step[0] for step in STEPS])
def test_whoever_comes_next_has_the_old_or_the_new_one_whole(
    name: str,
    where: Callable[[Kept, Redactor], tuple[Any, str]],
    whole: bool,
    when: str,
    kept: Kept,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = VALUE.decode()
    leaked, other = kept.record(f"{text} was here", "harmless")
    made = redactor(kept)
    owner, attribute = where(kept, made)
    real = getattr(owner, attribute)

    def dies(*given: Any, **named: Any) -> Any:
        if when == "after":
            real(*given, **named)
        raise Died

    with monkeypatch.context() as patched:
        patched.setattr(owner, attribute, dies)
        with pytest.raises(Died):
            redact(made)
    kept.crash()
    kept.start()
    again = redactor(kept)
    assert kept.house.archivist is not None
    again.recover(kept.house.archivist.known.redacted)
    kept.settle(leaked, other)
    kept.keeper.tidy()
    kept.verified()
    done = whole and not (name == "the leaf is signed" and when == "before")
    assert kept.found("mandrake") == ([] if done else [leaked])
    assert kept.found("harmless") == [other]
    assert redact(again).sessions.keys() == (set() if done else {leaked})
    kept.settle(leaked, other)
    assert kept.found("mandrake") == []
    report = kept.verified()
    assert report["redactions"]["count"] == 1
    assert [told["session"] for told in report["redactions"]["told"]] == [leaked]
    assert kept.bytes_with("mandrake") == []
    assert kept.has_key(leaked)


def test_only_one_of_a_container_is_replaced_and_its_object_goes_with_the_last(kept: Kept) -> None:
    first, second = kept.record(f"one {VALUE.decode()}", f"two {VALUE.decode()}")
    (container,) = kept.objects()
    made = redactor(kept)
    before = kept.house.store.get(container)
    assert redact(made, run="run_of_nobody").sessions == {}
    assert redact(made, plan=True).sessions == {first: 1, second: 1}
    assert kept.house.store.get(container) == before
    assert redact(made).sessions == {first: 1, second: 1}
    kept.settle(first, second)
    assert container not in kept.objects(), "nothing in it is kept"
    kept.verified()


def test_retention_counts_on_from_the_first_sealing(kept: Kept) -> None:
    (session,) = kept.record(VALUE.decode())
    before = kept.row(session)
    redact(redactor(kept))
    kept.settle(session)
    after = kept.row(session)
    assert before is not None
    assert after is not None
    assert before.sealed == after.sealed
    kept.rules = rules("[{name: short, keep: 30d}]")
    kept.clock.pass_(31 * DAY)
    assert kept.apply(trust_clock=True).deleted == {"short": 1}
    assert not kept.has_key(session)
    assert kept.verified()["counts"]["deleted"] == 1
    assert kept.objects() == []


def findings(kept: Kept) -> list[str]:
    house = kept.house
    key = house.keys.signing.public_key()
    report = Verifier(house.root / "ledger", house.store, key, pinned=True).run()
    return [one.what for one in report.findings]


def test_a_replacement_without_a_link_is_an_alteration(kept: Kept) -> None:
    """Whoever has the store and a key that signs, and not the ledger."""
    (session,) = kept.record(VALUE.decode())
    made, (container,) = redactor(kept), kept.objects()
    before = kept.house.store.get(container)
    assert kept.house.archivist is not None
    ledger = kept.house.archivist.ledger
    real, ledger.append = ledger.append, lambda leaf: 0  # type: ignore[method-assign]
    redact(made)
    ledger.append = real  # type: ignore[method-assign]
    assert container not in kept.objects()
    assert any("has another root than the one in the ledger" in one for one in findings(kept))
    kept.house.store.put(container, [before])
    assert any("is in " in one and one.endswith(" too") for one in findings(kept)), session


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (b"x" * 32, None, "the old root is not that of its recording"),
        (None, b"y" * 32, "has another root than the one in the ledger"),
    ],
)
def test_a_forged_link_is_named(old: bytes | None, new: bytes | None, says: str, kept: Kept) -> None:
    (session,) = kept.record(VALUE.decode())
    assert kept.house.archivist is not None
    ledger, root = kept.house.archivist.ledger, _root(kept, kept.objects()[0])
    ledger.append([Leaf.REDACTED, ids.raw(session), old or root, new or root, bytes(32)])
    ledger.commit()
    assert any(says in one for one in findings(kept)), findings(kept)


def _root(kept: Kept, name: str) -> bytes:
    store = kept.house.store
    places, _ = read_footer(lambda at, size: store.get_range(name, at, size), store.size(name))
    return places[0].root


@pytest.mark.parametrize("cut", range(1, len(VALUE)))
def test_a_value_over_the_ends_of_pieces_is_masked_in_place(cut: int) -> None:
    sent = [b"before " + VALUE[:cut], VALUE[cut : cut + 1], VALUE[cut + 1 :] + b" after " + VALUE]
    events = [[int(Kind.TO_CLIENT), at, 1, [0, 0, piece]] for at, piece in enumerate(sent)]
    others = [[int(Kind.TO_CLIENT), at, 2, [0, 0, b"other stream"]] for at in range(3)]
    mixed = [one for pair in zip(events, others, strict=True) for one in pair]
    finder = Finder(forms(VALUE))
    for number, event in enumerate(mixed):
        finder.take(number, event)
    cleaned = [finder.cleaned(number, event) for number, event in enumerate(mixed)]
    assert finder.count == 2
    together = b"".join(body[2] for _, _, exchange, body in cleaned if exchange == 1)
    assert len(together) == len(b"".join(sent))
    assert VALUE not in together
    assert together.startswith(b"before ")
    assert b" after " + mask(len(VALUE)) in together
    assert [len(body[2]) for _, _, exchange, body in cleaned if exchange == 1] == list(map(len, sent))
    assert b"".join(body[2] for _, _, exchange, body in cleaned if exchange == 2) == b"other stream" * 3


@pytest.mark.parametrize(
    "said",
    [
        'it\'s "quoted"',
        "O'Neill/4711?x=1&y=2",
        "éclair-ünïcode",
        "back\\slash\ttab",
    ],
)
def test_a_value_is_found_as_it_stands_in_other_forms(said: str) -> None:
    import base64
    import json
    from urllib.parse import quote

    value = said.encode()
    for form in (
        said,
        said.replace("'", "''"),
        json.dumps({"k": said}),
        json.dumps({"k": said}, ensure_ascii=False),
        f"https://h/?q={quote(said, safe='')}",
        f"\\x{value.hex()}",
        base64.b64encode(value).decode(),
    ):
        event = [
            int(Kind.REQUEST),
            1,
            1,
            ["query", form, [[25, 0, form.encode()]], {"f": [form]}, "s", None, 0],
        ]
        finder = Finder(forms(value))
        finder.take(0, event)
        assert finder.count == 3, form
        assert form not in repr(finder.cleaned(0, event))


def test_what_says_whose_recording_it_is_stays_and_is_told() -> None:
    body = {"session": "ses_mandrake", "agent": "hunter2-mandrake", "labels": {"k": "hunter2-mandrake"}}
    finder = Finder(forms(VALUE))
    finder.take(0, [int(Kind.OPENED), 0, 0, body])
    assert (finder.count, finder.kept) == (1, 1)
    cleaned = finder.cleaned(0, [int(Kind.OPENED), 0, 0, body])[3]
    assert cleaned == {**body, "labels": {"k": mask(len(VALUE)).decode()}}
