"""A value taken out of what only the catalog has, and what is still open said by name."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from bodycam.archive.leaf import Leaf, detail_text, new_salt, salted
from bodycam.catalog import approvals, audit, holds, runs
from bodycam.catalog.engine import reading, writing
from bodycam.catalog.tables import approval_votes
from bodycam.model.identity import Principal, PrincipalKind, Run
from tests.unit.archive.kept import Kept
from tests.unit.archive.test_redacting import VALUE, redact, redactor

TEXT = VALUE.decode()
RUN, OTHER = "run_aaaaaaaaaaaaaaaa", "run_bbbbbbbbbbbbbbbb"
ADA = Principal("corp", "ada", PrincipalKind.HUMAN, frozenset())


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    kept = Kept(tmp_path)
    kept.start()
    yield kept
    kept.stop()
    kept.end()


def add_run(kept: Kept, run: str, label: str) -> None:
    with writing(kept.engine) as connection:
        lasting = Run(run, ADA, "bot", time.time() + 60, labels={"ticket": label})
        runs.add_run(connection, lasting, None, time.time_ns() // 1000)


def approve(kept: Kept, run: str, session: str, name: str) -> None:
    now = time.time_ns() // 1000
    asking = approvals.Asking(
        digest=name.encode(), session=session, exchange=1, target="orders", database="d", rule="r",
        policy="1", verb="query", text=f"select '{TEXT}'", parameters=(TEXT, "7"), by=(), minimum=2,
        expires=now + 10**9,
    )  # fmt: skip
    with writing(kept.engine) as connection:
        approvals.ask(connection, asking, id=name, run=run, most=9, most_lately=9, since=0, now=now)
        approvals.decide(connection, name, "bob@corp", approve=True, reason=f"because {TEXT}", now=now)


def act(kept: Kept, action: str, name: str, detail: dict[str, Any]) -> int:
    assert kept.house.archivist is not None
    ledger, salt = kept.house.archivist.ledger, new_salt()
    leaf = ledger.append([Leaf.ADMIN, salted(action, "aud@corp", name, detail_text(detail), salt=salt)])
    ledger.commit()
    with writing(kept.engine) as connection:
        audit.add_event(
            connection, at=time.time_ns() // 1000, actor="aud@corp", action=action, object=name,
            detail=detail, salt=salt, leaf=leaf,
        )  # fmt: skip
    return leaf


def events(kept: Kept) -> list[audit.AuditEvent]:
    with reading(kept.engine) as connection:
        return audit.events_after(connection, 0, 1000)


def test_it_goes_from_approvals_labels_and_acts_down_to_the_bytes(kept: Kept) -> None:
    add_run(kept, RUN, f"see {TEXT}")
    add_run(kept, OTHER, "7")
    approve(kept, RUN, "ses_x", "apr_one")
    leaf = act(kept, "searched", "recordings", {"words": f"{TEXT} now", "run": RUN})
    before = events(kept)[0]
    made = redactor(kept)

    plan = redact(made, plan=True)
    assert plan.records == {"apr_one": 3, RUN: 1, f"act:{before.id}": 1}
    assert kept.bytes_with(TEXT)
    done = redact(made)
    assert (done.records, done.sessions) == (plan.records, {})

    assert kept.bytes_with(TEXT) == []
    with reading(kept.engine) as connection:
        approval = approvals.get_approval(connection, "apr_one")
        labels = [runs.get_run(connection, run) for run in (RUN, OTHER)]
        (said,) = connection.execute(select(approval_votes.c.reason)).scalars()
    assert approval is not None
    assert approval.text == "select '[redacted]******'"
    assert approval.parameters == ("[redacted]******", "7")
    assert said == "because [redacted]******"
    assert [run.labels["ticket"] for run in labels if run is not None] == ["see [redacted]******", "7"]

    changed, *rest = events(kept)
    assert changed.detail == {"words": "[redacted]****** now", "run": RUN}
    assert (changed.leaf, changed.id, changed.salt == before.salt) == (leaf, before.id, False)
    told = {one.object: one for one in rest if one.action == "record-redacted"}
    assert told.keys() == done.records.keys()
    assert all(one.leaf is not None and one.detail["reason"] == "a leak" for one in told.values())
    own = told[f"act:{before.id}"].detail
    digest = salted(
        "searched", "aud@corp", "recordings", detail_text(changed.detail), salt=changed.salt or b""
    )
    assert (own["leaf"], own["digest"]) == (leaf, digest.hex())
    assert redact(made).records == {}
    kept.verified()


def test_only_those_of_a_run_and_none_that_a_hold_keeps(kept: Kept) -> None:
    add_run(kept, RUN, "harmless")
    add_run(kept, OTHER, TEXT)
    (session,) = kept.record("harmless")
    approve(kept, RUN, session, "apr_one")
    approve(kept, OTHER, "ses_y", "apr_two")
    act(kept, "viewed-so", session, {"why": TEXT})
    act(kept, "searched", "recordings", {"words": TEXT})
    with writing(kept.engine) as connection:
        holds.add_hold(connection, "hold_1", holds.Held(run=RUN), "a suit", "ann", 1)
    made = redactor(kept)
    done = redact(made, run=RUN)
    assert (set(done.records), done.held) == ({"act:1"}, ["apr_one"])
    assert set(redact(made, run=OTHER).records) == {"apr_two", OTHER}
    assert set(redact(made, held=True).records) == {"apr_one", "act:2"}


def test_a_record_is_as_it_was_when_the_ledger_can_not_be_written(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    act(kept, "searched", "recordings", {"words": TEXT})
    made = redactor(kept)
    assert kept.house.archivist is not None

    def full() -> None:
        raise OSError("no room")

    with monkeypatch.context() as patched:
        patched.setattr(kept.house.archivist.ledger, "commit", full)
        with pytest.raises(OSError, match="no room"):
            redact(made)
    assert [one.detail for one in events(kept)] == [{"words": TEXT}]
    assert redact(made).records == {"act:1": 1}


def test_open_sessions_are_named_and_can_be_waited_for(kept: Kept) -> None:
    session = kept.open()
    kept.say(session, TEXT)
    house = kept.house
    archivist = house.archivist
    assert archivist is not None
    house.until(lambda: bool(archivist.unsealed()))
    made = redactor(kept)
    assert (redact(made).unsealed, redact(made, run=OTHER).unsealed) == ([session], [])
    waited = made.unsealed(RUN)
    assert (waited, made.away(waited)) == ({session}, True)

    kept.worker.close(session)
    # an index that lags behind counts as open too
    house.until(lambda: not made.away(waited))
    said = redact(made)
    assert (said.sessions, said.unsealed, said.waiting) == ({session: 1}, [], [])
    kept.settle(session)
    assert kept.found("mandrake") == []
