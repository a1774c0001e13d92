"""Bundles after a redaction: the recording that took the old one's place is proved, and the value is gone."""

from pathlib import Path
from typing import Any

import pytest

from bodycam.archive.findings import Verified
from bodycam.archive.leaf import Leaf
from tests.unit.archive.evidence.made import Made, told, verified
from tests.unit.archive.test_redacting import redactor

VALUE = b"drop table <x>"


@pytest.fixture
def made(tmp_path: Path) -> object:
    made = Made(tmp_path / "made")
    yield made
    made.close()


def test_what_took_its_place_is_proved_and_the_other_run_is_let_alone(made: Made, tmp_path: Path) -> None:
    key = made.kept.house.keys.signing.public_key()
    before = made.head()
    done = redactor(made.kept).redact(
        VALUE, actor="ann@corp", reason="a leak", run=None, plan=False, held=False
    )
    assert {made.names["first"], made.names["second"], made.names["other"]} == set(done.sessions)
    for session in done.sessions:
        made.kept.settle(session)
    # it falls into the time of a run that has recordings of before
    made.names["late"] = made.record(made.run, "orders")

    bundle = made.export(kept=[before.size])
    text = b"".join(data for name, data in bundle.members if name.endswith((".html", ".json", ".jsonl")))
    assert text.count(b"drop table &lt;x&gt;") == 1  # of the session that was recorded later
    report = verified(bundle.write(tmp_path / "b.tar"), key, before, made.head())
    assert (told(report), report.state) == ([], Verified.AUTHENTIC)
    assert report.counts["sealed"] == 3

    other = made.export("run_bbbbbbbbbbbbbbbb")
    report = verified(other.write(tmp_path / "o.tar"), key, made.head())
    assert (told(report), report.state) == ([], Verified.AUTHENTIC)


def test_another_recording_in_its_place_is_named(made: Made, tmp_path: Path) -> None:
    """A link in the ledger that starts from another root than the recording's."""
    session = (
        made.archivist.ledger
    )  # the archivist's own key signs what an attacker with its data would write
    raw = next(one for one in made.archivist.known.sealed)
    with made.archivist.lock:
        session.append([Leaf.REDACTED, raw, b"o" * 32, b"n" * 32, b"h" * 32])
        session.commit()
    for run in (made.run, "run_bbbbbbbbbbbbbbbb"):
        report = verified(
            made.export(run).write(tmp_path / "b.tar"), made.kept.house.keys.signing.public_key(), made.head()
        )
        said = "\n".join(told(report))
        if report.state is Verified.BROKEN:
            assert "the old root is not that of its recording" in said or "has another root" in said
            break
    else:
        pytest.fail("a forged link was not named")


def test_an_act_with_new_words_is_proved_by_the_act_that_changed_it(made: Made, tmp_path: Path) -> None:
    key = made.kept.house.keys.signing.public_key()
    made.act("run-revoked", "aud@corp", made.run, {"reason": "bodycam-said-so"})
    order = {"actor": "ann@corp", "run": None, "plan": False, "held": False}
    first = redactor(made.kept).redact(b"bodycam-said-so", reason="an old-leak", **order)
    # and what says so is changed in its turn
    second = redactor(made.kept).redact(b"old-leak", reason="again", **order)
    assert (sum(first.records.values()), sum(second.records.values())) == (1, 1)
    made.kept.keeper.tidy()
    bundle = made.export()
    assert b"said-so" not in bundle["trail.jsonl"]
    report = verified(bundle.write(tmp_path / "b.tar"), key, made.head())
    assert (told(report), report.state) == ([], Verified.AUTHENTIC)
    assert any("a value was taken out" in note for note in report.notes)

    def other_words(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
        (one,) = [line for line in lines if line["action"] == "run-revoked"]
        one["detail"]["reason"] = "[redacted]-ahem"
        return lines

    def without_the_change(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [line for line in lines if line["action"] != "record-redacted"]

    for change in (other_words, without_the_change):
        bundle = made.export()
        bundle.change_lines("trail.jsonl", change)
        bundle.sign()
        said = "\n".join(told(verified(bundle.write(tmp_path / "b.tar"), key, made.head())))
        assert "is not what its leaf is the hash of" in said
