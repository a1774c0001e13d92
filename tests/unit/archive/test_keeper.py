"""Retention over a real store: what is due goes altogether, what is kept stays, and a crash changes nothing."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bodycam.archive.deletions import Deletion, DeletionFile, read
from bodycam.archive.indexing import reindex
from bodycam.archive.keeper import Keeper
from bodycam.archive.keystore import KeyStore
from bodycam.archive.leaf import detail_text
from bodycam.archive.ledger import Ledger, salted
from bodycam.archive.store import StoreUnavailable
from bodycam.archive.store.local import LocalStore
from bodycam.archive.verify import Verifier
from bodycam.catalog import audit, deletion, holds, renewal, retention
from bodycam.catalog.engine import make_engine, reading, writing
from bodycam.catalog.holds import Held
from bodycam.catalog.retention import deletion_of
from tests.catalogs import migrated
from tests.unit.archive.kept import DAY, Kept, rules


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    made = Kept(tmp_path)
    made.start()
    yield made
    made.stop()
    made.end()


def test_what_is_due_goes_key_rows_words_and_object_and_the_rest_stays(kept: Kept) -> None:
    old, dev = kept.record("mandrake"), kept.record("dandelion", labels={"env": "prod"})
    kept.rules = rules("[{name: prod, targets: {labels: {env: prod}}, keep: 365d}, {name: rest, keep: 90d}]")
    assert kept.apply().deleted == {}

    kept.clock.pass_(91 * DAY)
    applied = kept.apply(trust_clock=True)

    assert (applied.deleted, applied.objects, applied.refused) == ({"rest": 1}, 1, "")
    assert (kept.row(old[0]), kept.has_key(old[0]), kept.found("mandrake")) == (None, False, [])
    assert kept.row(dev[0]) is not None
    assert kept.has_key(dev[0])
    assert kept.found("dandelion") == dev
    assert len(kept.objects()) == 1
    assert kept.bytes_with("mandrake") == []
    assert kept.bytes_with("dandelion")
    report = kept.verified()
    assert report["deletions"] == {"by_rule": {"rest": 1}, "unknown": 0}
    assert (report["counts"]["sealed"], report["counts"]["deleted"]) == (2, 1)


def test_a_deletion_is_told_of_in_catalog_and_audit_with_its_rule(kept: Kept) -> None:
    (session,) = kept.record("one")
    kept.rules = rules("[{keep: 90d}]")
    kept.clock.pass_(91 * DAY)
    kept.apply("ada@bodycam", trust_clock=True)

    with reading(kept.engine) as connection:
        told = deletion_of(connection, session)
        (event,) = audit.list_events(connection, action="deleted").items
    assert told is not None
    assert (told.rule, told.run) == ("rule-1", "run_aaaaaaaaaaaaaaaa")
    assert (event.actor, event.object, event.detail["rule"]) == ("ada@bodycam", session, "rule-1")
    assert kept.house.archivist is not None
    leaf = list(kept.house.archivist.ledger.leaves())[event.leaf or 0]
    assert leaf[0] == 5
    hashed = salted("deleted", event.actor, session, detail_text(event.detail), salt=event.salt or b"")
    assert leaf[3] == hashed


def test_an_object_goes_with_the_last_of_its_sessions(kept: Kept) -> None:
    gone, stays = kept.open(agent="a"), kept.open(agent="b")
    for session in (gone, stays):
        kept.say(session, "beta")
    kept.worker.close(gone)
    kept.worker.close(stays)
    kept.house.until_sealed(gone, stays)
    kept.settle(gone, stays)
    assert len(kept.objects()) == 1, "the two ended together"
    kept.rules = rules("[{agents: [a], keep: 1d}, {keep: 10d}]")
    kept.clock.pass_(2 * DAY)

    assert kept.apply(trust_clock=True).deleted == {"rule-1": 1}
    assert len(kept.objects()) == 1
    assert kept.found("beta") == [stays]
    assert not kept.has_key(gone)
    assert kept.verified()["counts"]["sessions"] == 2

    kept.clock.pass_(9 * DAY)
    assert kept.apply(trust_clock=True).deleted == {"rule-2": 1}
    assert kept.objects() == []
    kept.verified()


def test_open_sessions_are_never_touched(kept: Kept) -> None:
    session = kept.open()
    kept.say(session, "waiting")
    kept.house.until(lambda: kept.house.archivist is not None and kept.house.archivist.ledger.size >= 1)
    kept.rules = rules("[{keep: 1s}]")
    kept.clock.pass_(1000 * DAY)

    assert kept.apply(trust_clock=True).deleted == {}

    kept.worker.close(session)
    kept.house.until_sealed(session)
    assert kept.has_key(session)


@pytest.mark.parametrize("minimum", ["same", "another"])
def test_a_minimum_beats_a_maximum(kept: Kept, minimum: str) -> None:
    (session,) = kept.record("one", labels={"env": "prod"})
    at_least = "[{keep: 2d, at_least: 2d}]"
    if minimum == "another":
        # config check refuses these two; what is deleted does not depend on that
        kept.rules = tuple(rules("[{name: m, targets: {labels: {env: prod}}, at_least: 5d}]")) + tuple(
            rules("[{name: k, keep: 1d}]")
        )
    else:
        kept.rules = rules(at_least)
    kept.clock.pass_(1.5 * DAY)
    assert kept.apply(trust_clock=True).deleted == {}
    kept.clock.pass_(4 * DAY)
    assert sum(kept.apply(trust_clock=True).deleted.values()) == 1
    assert kept.row(session) is None


def test_a_legal_hold_beats_every_rule_until_it_is_released(kept: Kept) -> None:
    (session,) = kept.record("mandrake")
    (other,) = kept.record("dandelion")
    kept.rules = rules("[{keep: 1d}]")
    with writing(kept.engine) as connection:
        held = Held(words="mandrake", agent="billing-bot")
        holds.add_hold(connection, "hld_1", held, "a suit", "ada@bodycam", 1)
    later = kept.record("of mandrake and others")
    kept.clock.pass_(1000 * DAY)

    applied = kept.apply(trust_clock=True)

    assert (applied.deleted, applied.held) == ({"rule-1": 1}, 2)
    assert [kept.has_key(one) for one in (session, other, later[0])] == [True, False, True]
    with writing(kept.engine) as connection:
        holds.release_hold(connection, "hld_1", "over", "ada@bodycam", 2)
    assert kept.apply(trust_clock=True).deleted == {"rule-1": 2}


def test_a_hold_that_was_settled_keeps_what_a_pass_was_about_to_delete(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.record("mandrake")
    kept.rules = rules("[{keep: 1d}]")
    kept.clock.pass_(2 * DAY)
    real, settled = Keeper._sealed, list[bool]()

    def in_between(keeper: Keeper, *rest: Any) -> Any:
        # the catalog has proposed it; the hold comes, and its adding is answered
        with writing(kept.engine) as connection:
            holds.add_hold(connection, "hld_1", Held(agent="billing-bot"), "r", "ada@bodycam", 1)
        keeper.settle()
        settled.append(True)
        return real(keeper, *rest)

    monkeypatch.setattr(Keeper, "_sealed", in_between)
    applied = kept.apply(trust_clock=True)
    assert (applied.deleted, applied.held, settled) == ({}, 1, [True])


def test_a_plan_names_what_goes_and_what_is_kept_and_deletes_nothing(kept: Kept) -> None:
    (due,), (held,) = kept.record("due"), kept.record("held", agent="h")
    (floor,), (later,) = kept.record("floor", agent="m"), kept.record("later", agent="l")
    (never,) = kept.record("never", agent="n")
    kept.rules = (
        *rules("[{name: floor, agents: [m], at_least: 9d}]"),
        *rules("[{name: slow, agents: [l], keep: 5d}, {name: quick, agents: [billing-bot, h, m], keep: 1d}]"),
    )
    with writing(kept.engine) as connection:
        holds.add_hold(connection, "hld_1", Held(agent="h"), "a suit", "ada@bodycam", 1)
    kept.clock.pass_(2 * DAY)

    plan = kept.keeper.plan(0, 10).to_plain()

    fates = {one["session"]: (one["rule"], one["fate"], one["kept_by"]) for one in plan["recordings"]}
    assert fates == {
        due: ("quick", "due", None),
        held: ("quick", "held", "hld_1"),
        floor: ("quick", "minimum", "floor"),
    }
    assert plan["counts"] == {"due": 1, "later": 0, "held": 1, "minimum": 1}
    assert (plan["by_rule"], plan["more"], plan["waits"]) == ({"quick": 1}, False, "")
    (kept_until,) = [one["due"] - one["sealed"] for one in plan["recordings"] if one["session"] == floor]
    assert kept_until == pytest.approx(9 * DAY)
    wider = kept.keeper.plan(4 * DAY, 1).to_plain()
    assert wider["counts"] == {"due": 1, "later": 1, "held": 1, "minimum": 1}
    assert (len(wider["recordings"]), wider["more"]) == (1, True)
    assert all(kept.has_key(one) for one in (due, held, floor, later, never))


class Stop(Exception):
    """A process that is gone."""


def dying(*_: Any, **__: Any) -> Any:
    raise Stop


STEPS = {
    "before the details are written": (DeletionFile, "add"),
    "between details and tombstone": (Ledger, "append"),
    "as the tombstone is written": (Ledger, "commit"),
    "between tombstone and key": (KeyStore, "destroy"),
    "between the key and what is left of it": (KeyStore, "_scrub"),
    "between key and rows": (deletion, "forget_session"),
    "between rows and note": (retention, "note"),
    "as it enters the audit": (audit, "add_event"),
    "between note and scrub": (deletion, "scrub"),
    "between scrub and its note": (retention, "scrubbed"),
    "between rows and object": (LocalStore, "delete"),
    "between object and its note": (retention, "object_gone"),
}


@pytest.mark.parametrize("step", STEPS)
def test_a_death_between_two_steps_ends_in_the_same_state(
    kept: Kept, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    gone = kept.record("mandrake", "mandrake twice", agent="a")
    (stays,) = kept.record("dandelion", agent="b")
    kept.rules = rules("[{name: short, agents: [a], keep: 1d}]")
    kept.clock.pass_(2 * DAY)
    with monkeypatch.context() as patched:
        patched.setattr(*STEPS[step], dying)
        with pytest.raises(Stop):
            kept.apply(trust_clock=True)
    kept.crash()
    kept.start()

    kept.keeper.tidy()
    kept.apply(trust_clock=True)

    assert [kept.row(one) for one in gone] == [None, None]
    assert [kept.has_key(one) for one in gone] == [False, False]
    assert kept.found("mandrake") == []
    assert kept.bytes_with("mandrake") == []
    assert kept.found("dandelion") == [stays]
    assert kept.row(stays) is not None
    assert kept.objects() == [kept.row(stays).place.object]  # type: ignore[union-attr]
    report = kept.verified()
    assert report["deletions"] == {"by_rule": {"short": 2}, "unknown": 0}
    with reading(kept.engine) as connection:
        assert len(audit.list_events(connection, action="deleted").items) == 2
    assert kept.apply(trust_clock=True).deleted == {}


def test_what_fails_on_the_way_is_finished_by_the_next_pass(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    (session,) = kept.record("mandrake")
    kept.rules = rules("[{keep: 1d}]")
    kept.clock.pass_(2 * DAY)

    def full(*_: Any) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patched:
        patched.setattr(retention, "note", full)
        with pytest.raises(OSError, match="no space"):
            kept.apply(trust_clock=True)
        with pytest.raises(OSError, match="no space"):
            kept.apply(trust_clock=True)

    kept.apply()

    assert (kept.row(session), kept.objects()) == (None, [])
    assert kept.verified()["counts"]["deleted"] == 1


def test_a_locked_object_is_unreadable_and_tried_again(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    (session,) = kept.record("mandrake")
    kept.rules = rules("[{keep: 1d}]")
    kept.clock.pass_(2 * DAY)

    def locked(*_: Any) -> None:
        raise StoreUnavailable("the object is locked until 2031")

    with monkeypatch.context() as patched:
        patched.setattr(LocalStore, "delete", locked)
        applied = kept.apply(trust_clock=True)
    assert (applied.deleted, applied.objects, applied.objects_left) == ({"rule-1": 1}, 0, 1)
    assert kept.keeper.status()["objects_left"] == 1
    assert (kept.has_key(session), len(kept.objects())) == (False, 1)
    assert kept.verified()["counts"]["sessions"] == 1

    assert kept.apply().objects == 1
    assert kept.objects() == []


def test_a_rebuilt_index_and_a_lost_catalog_bring_nothing_back(kept: Kept, tmp_path: Path) -> None:
    gone, stays = kept.record("mandrake", "dandelion")
    kept.rules = rules("[{keep: 1d}]")
    kept.clock.pass_(2 * DAY)
    kept.apply(trust_clock=True)
    later = kept.record("clover")

    done, faults = reindex(kept.containers, kept.objects())
    assert (done, faults) == (1, [])
    assert [kept.found(word) for word in ("mandrake", "dandelion", "clover")] == [[], [], later]

    kept.stop()
    kept.engine.dispose()
    for file in tmp_path.glob("catalog.db*"):
        file.unlink()
    kept.engine = make_engine(kept.url)
    migrated(kept.engine)
    kept.start()
    kept.apply()

    with reading(kept.engine) as connection:
        told = deletion_of(connection, gone)
        events = audit.list_events(connection, action="deleted").items
    assert told is not None
    assert told.rule == "rule-1"
    assert {one.object for one in events} == {gone, stays}


def test_a_key_from_a_backup_does_not_survive_the_next_start(kept: Kept, tmp_path: Path) -> None:
    gone, stays = kept.record("mandrake")[0], kept.record("dandelion", agent="b")[0]
    backup = (tmp_path / "keystore" / "keys.db").read_bytes()
    kept.rules = rules("[{agents: [billing-bot], keep: 1d}]")
    kept.clock.pass_(2 * DAY)
    kept.apply(trust_clock=True)
    kept.stop()
    (tmp_path / "keystore" / "keys.db").write_bytes(backup)
    kept.start()
    assert kept.has_key(gone)

    kept.apply()

    assert [kept.has_key(one) for one in (gone, stays)] == [False, True]


def test_a_container_that_the_index_still_reads_is_left_alone(kept: Kept) -> None:
    (session,) = kept.record("one")
    (name,) = kept.objects()
    kept.rules = rules("[{keep: 1d}]")
    kept.clock.pass_(2 * DAY)

    kept.markers.leave(name)
    assert kept.apply(trust_clock=True).deleted == {}
    kept.markers.remove(name)
    with writing(kept.engine) as connection:
        renewal.demand(connection)
    assert kept.apply(trust_clock=True).refused == "the index is being built anew"
    with writing(kept.engine) as connection:
        renewal.settled(connection)
    assert kept.apply(trust_clock=True).deleted == {"rule-1": 1}
    assert kept.row(session) is None


def test_the_recording_decides_and_not_the_catalog(kept: Kept) -> None:
    forged, other = kept.record("one", labels={"env": "prod"}), kept.record("two", labels={"env": "dev"})
    kept.rules = rules("[{targets: {labels: {env: prod}}, keep: 365d}, {keep: 1d}]")
    with writing(kept.engine) as connection:
        connection.exec_driver_sql("UPDATE sessions SET labels = '{}', sealed = 1")
    kept.clock.pass_(2 * DAY)

    assert kept.apply(trust_clock=True).deleted == {"rule-2": 1}

    assert kept.has_key(forged[0])
    assert not kept.has_key(other[0])


def test_labels_of_an_older_index_come_from_the_recording(kept: Kept) -> None:
    (session,) = kept.record("one", labels={"env": "prod"})
    with writing(kept.engine) as connection:
        connection.exec_driver_sql("UPDATE sessions SET labels = NULL")
    kept.rules = rules("[{targets: {labels: {env: prod}}, keep: 1d}]")
    kept.clock.pass_(DAY / 2)
    assert kept.apply().deleted == {}
    kept.clock.pass_(2 * DAY)

    assert kept.apply(trust_clock=True).deleted == {"rule-1": 1}
    assert kept.row(session) is None


def test_a_recording_that_cant_be_read_is_left_and_named(kept: Kept, tmp_path: Path) -> None:
    (session,) = kept.record("one")
    (name,) = kept.objects()
    file = tmp_path / "recordings" / name
    data = bytearray(file.read_bytes())
    data[200] ^= 1
    file.write_bytes(data)
    kept.rules = rules("[{keep: 1d}]")
    kept.clock.pass_(2 * DAY)

    applied = kept.apply(trust_clock=True)

    assert (applied.deleted, applied.unreadable) == ({}, [session])
    assert kept.has_key(session)


def test_a_session_that_is_gone_without_a_tombstone_is_missed(kept: Kept, tmp_path: Path) -> None:
    kept.record("one")
    stolen = kept.record("two", agent="b")
    kept.rules = rules("[{agents: [billing-bot], keep: 1d}]")
    kept.clock.pass_(2 * DAY)
    kept.apply(trust_clock=True)
    kept.verified()

    (name,) = kept.objects()
    (tmp_path / "recordings" / name).unlink()

    assert faults(kept) == [(f"session {stolen[0]}", "is sealed in the ledger, and its recording is missing")]


def test_a_deletion_that_is_explained_otherwise_than_it_was_is_named(kept: Kept, tmp_path: Path) -> None:
    (session,) = kept.record("one")
    kept.rules = rules("[{name: short, keep: 1d}]")
    kept.clock.pass_(2 * DAY)
    kept.apply(trust_clock=True)
    file = tmp_path / "ledger" / "deletions"
    ((_, told),) = read(tmp_path / "ledger")
    assert isinstance(told, Deletion)

    file.unlink()
    assert kept.verified()["deletions"] == {"by_rule": {}, "unknown": 1}
    forged = DeletionFile(tmp_path / "ledger")
    forged.add([replace(told, rule="long")])
    assert faults(kept) == [(str(file), f"session {session}: not what its tombstone is the hash of")]
    forged.add([told])
    forged.close()
    assert kept.verified()["deletions"] == {"by_rule": {"short": 1}, "unknown": 0}

    file.write_bytes(b"nonsense" + file.read_bytes())
    assert [what for _, what in faults(kept)] == ["a length of 1852796531 bytes"]


def test_a_clock_in_doubt_deletes_nothing_by_itself(kept: Kept) -> None:
    kept.record("one")
    kept.rules = rules("[{keep: 10d}]")
    assert kept.apply().refused == ""
    kept.clock.jump(11 * DAY)

    assert kept.apply().refused == "the clock jumped by +950400 seconds"
    kept.clock.jump(-11 * DAY)
    kept.clock.pass_(2 * DAY)
    assert kept.apply().refused != ""
    kept.clock.pass_(2 * DAY)
    applied = kept.apply()
    assert (applied.refused, applied.deleted) == ("", {})


def test_what_was_sealed_while_the_clock_was_behind_is_no_older_for_that(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.record("before", agent="b")
    with monkeypatch.context() as patched:
        real = time.time_ns
        patched.setattr(time, "time_ns", lambda: real() - 3600 * 10**9)
        (session,) = kept.record("behind")
    kept.rules = rules("[{agents: [billing-bot], keep: 1d}]")
    kept.clock.pass_(DAY - 1800)

    row = kept.row(session)
    assert row is not None
    assert (row.sealed or 0) < (kept.clock.wall - DAY) * 1e6, "the index has it as older than a day"
    assert kept.apply().deleted == {}
    kept.clock.pass_(3600)
    assert kept.apply().deleted == {"rule-1": 1}


def faults(kept: Kept) -> list[tuple[str, str]]:
    key = kept.house.keys.signing.public_key()
    report = Verifier(kept.house.root / "ledger", kept.house.store, key, pinned=False).run()
    return [(one.where, one.what) for one in report.findings]
