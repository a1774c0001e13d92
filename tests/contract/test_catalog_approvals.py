"""Approvals, alike in both databases: asked, decided, used once, whoever comes at the same instant."""

import threading
from typing import Any

import pytest
from sqlalchemy import Engine

from bodycam.catalog import runs
from bodycam.catalog.approvals import (
    Approval,
    ApprovalFilter,
    Asking,
    Came,
    NotOpen,
    Standing,
    VotedAlready,
    ask,
    count_pending,
    decide,
    forget_approvals,
    get_approval,
    list_approvals,
    votes_of,
)
from bodycam.catalog.engine import reading, writing
from bodycam.catalog.paging import BadCursor
from bodycam.model.identity import Principal, PrincipalKind, Run
from tests.contract.catalog_cases import CI

NOW, END = 1_000, 9_000
EVE = Principal("bodycam", "eve", PrincipalKind.HUMAN, frozenset({"devs"}))


@pytest.fixture(autouse=True)
def started(catalog: Engine) -> None:
    with writing(catalog) as connection:
        for name, starter in (("run_a", CI), ("run_b", CI), ("run_eve", EVE)):
            runs.add_run(connection, Run(name, starter, "bot", 0.1), None, 1)


def asking(digest: bytes = b"drop", **changes: Any) -> Asking:
    given: dict[str, Any] = {
        "session": "ses_1",
        "exchange": 4,
        "target": "orders",
        "database": "shop",
        "rule": "writes-need-a-human",
        "policy": "p1",
        "verb": "query",
        "text": "DROP TABLE old",
        "parameters": ("1", "null"),
        "by": ("dba", "leads"),
        "minimum": 1,
        "expires": END,
    } | changes
    return Asking(digest=digest, **given)


def asked(
    catalog: Engine,
    name: str,
    wanted: Asking | None = None,
    *,
    run: str = "run_a",
    now: int = NOW,
    most: int = 9,
    lately: int = 99,
) -> tuple[Came, Approval | None]:
    with writing(catalog) as connection:
        return ask(
            connection,
            wanted or asking(),
            id=name,
            run=run,
            most=most,
            most_lately=lately,
            since=now - 500,
            now=now,
        )


def decided(catalog: Engine, name: str, who: str, *, approve: bool = True, now: int = NOW) -> Approval:
    with writing(catalog) as connection:
        return decide(connection, name, who, approve=approve, reason=f"said {who}", now=now)


def standing(catalog: Engine, name: str, now: int = NOW) -> str:
    with reading(catalog) as connection:
        found = get_approval(connection, name)
        assert found is not None
        return found.standing(now).value


def test_what_is_asked_can_be_read_back(catalog: Engine) -> None:
    came, approval = asked(catalog, "apr_1", asking(text="DELETE FROM t -- \u00e9"))
    assert came is Came.NEW
    with reading(catalog) as connection:
        assert get_approval(connection, "apr_1") == approval
        assert get_approval(connection, "apr_2") is None
        assert count_pending(connection, NOW) == 1
    assert approval is not None
    assert (approval.run, approval.starter, approval.agent, approval.session) == ("run_a", CI, "bot", "ses_1")
    assert (approval.by, approval.parameters, approval.minimum) == (("dba", "leads"), ("1", "null"), 1)
    assert (approval.text, approval.created, approval.expires) == ("DELETE FROM t -- \u00e9", NOW, END)


def test_the_same_operation_joins_the_one_that_waits_and_is_used_once(catalog: Engine) -> None:
    asked(catalog, "apr_1")
    came, approval = asked(catalog, "apr_2", asking(session="ses_2", exchange=9), run="run_b")
    assert came is Came.WAITS
    assert approval is not None
    assert (approval.id, approval.run, approval.session, approval.exchange) == ("apr_1", "run_b", "ses_2", 9)

    assert decided(catalog, "apr_1", "ann@bodycam").stored is Standing.APPROVED
    came, approval = asked(catalog, "apr_3", asking(session="ses_3"))
    assert came is Came.USED
    assert approval is not None
    assert (approval.id, approval.session, approval.used, approval.reason) == (
        "apr_1", "ses_3", NOW, "said ann@bodycam",
    )  # fmt: skip
    came, approval = asked(catalog, "apr_4")
    assert came is Came.NEW
    assert approval is not None
    assert approval.id == "apr_4"


def test_another_operation_does_not_use_it(catalog: Engine) -> None:
    asked(catalog, "apr_1")
    decided(catalog, "apr_1", "ann@bodycam")
    assert asked(catalog, "apr_2", asking(b"another"))[0] is Came.NEW
    assert standing(catalog, "apr_1") == "approved"


def test_of_many_that_come_at_one_instant_exactly_one_goes_through(catalog: Engine) -> None:
    asked(catalog, "apr_1")
    decided(catalog, "apr_1", "ann@bodycam")
    barrier, came = threading.Barrier(8), []

    def race(number: int) -> None:
        barrier.wait(10)
        came.append(asked(catalog, f"apr_race{number}", asking(session=f"ses_{number}")))

    threads = [threading.Thread(target=race, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    outcomes = [one.value for one, _ in came]
    assert sorted(outcomes) == ["new", "used", *["waits"] * 6]
    waiting = {approval.id for one, approval in came if approval is not None and one is not Came.USED}
    assert len(waiting) == 1
    assert standing(catalog, "apr_1") == "used"


def test_as_many_people_as_the_rule_wants_and_nobody_twice(catalog: Engine) -> None:
    asked(catalog, "apr_1", asking(minimum=2))
    assert decided(catalog, "apr_1", "ann@bodycam").stored is Standing.PENDING
    with pytest.raises(VotedAlready, match="ann@bodycam"):
        decided(catalog, "apr_1", "ann@bodycam")
    assert asked(catalog, "apr_2", asking(minimum=2))[0] is Came.WAITS
    approval = decided(catalog, "apr_1", "bob@bodycam", now=NOW + 1)
    assert (approval.stored, approval.decided) == (Standing.APPROVED, NOW + 1)
    with reading(catalog) as connection:
        votes = votes_of(connection, [approval.key])[approval.key]
    assert [(one.principal, one.approve, one.at) for one in votes] == [
        ("ann@bodycam", True, NOW),
        ("bob@bodycam", True, NOW + 1),
    ]


def test_two_people_at_one_instant_are_two(catalog: Engine) -> None:
    asked(catalog, "apr_1", asking(minimum=2))
    barrier = threading.Barrier(2)

    def vote(who: str) -> None:
        barrier.wait(10)
        decided(catalog, "apr_1", who)

    threads = [threading.Thread(target=vote, args=(who,)) for who in ("ann@bodycam", "bob@bodycam")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert standing(catalog, "apr_1") == "approved"


def test_one_denial_denies_and_is_remembered_until_it_expires(catalog: Engine) -> None:
    asked(catalog, "apr_1", asking(minimum=3))
    decided(catalog, "apr_1", "ann@bodycam")
    assert decided(catalog, "apr_1", "bob@bodycam", approve=False).stored is Standing.DENIED
    came, approval = asked(catalog, "apr_2", asking(minimum=3), now=END - 1)
    assert came is Came.DENIED
    assert approval is not None
    assert (approval.id, approval.reason) == ("apr_1", "said bob@bodycam")
    with pytest.raises(NotOpen, match="denied"):
        decided(catalog, "apr_1", "cid@bodycam")
    assert asked(catalog, "apr_3", asking(expires=END * 2), now=END)[0] is Came.NEW


def test_what_is_approved_can_be_denied_until_it_is_used(catalog: Engine) -> None:
    asked(catalog, "apr_1")
    decided(catalog, "apr_1", "ann@bodycam")
    with pytest.raises(NotOpen, match="approved"):
        decided(catalog, "apr_1", "bob@bodycam")
    decided(catalog, "apr_1", "bob@bodycam", approve=False)
    assert asked(catalog, "apr_2")[0] is Came.DENIED


def test_neither_decided_nor_used_after_its_end(catalog: Engine) -> None:
    asked(catalog, "apr_1")
    asked(catalog, "apr_2", asking(b"two"))
    decided(catalog, "apr_2", "ann@bodycam", now=END - 1)
    for name in ("apr_1", "apr_2"):
        assert standing(catalog, name, END) == "expired"
        with pytest.raises(NotOpen, match="expired"):
            decided(catalog, name, "bob@bodycam", approve=False, now=END)
    for name, digest in (("apr_3", b"drop"), ("apr_4", b"two")):
        came, approval = asked(catalog, name, asking(digest, expires=END * 2), now=END)
        assert came is Came.NEW
        assert approval is not None
        assert approval.id == name


@pytest.mark.parametrize("how", ["ended", "revoked", "expired", "unknown"])
def test_a_run_that_is_over_neither_asks_nor_uses(catalog: Engine, how: str) -> None:
    asked(catalog, "apr_1")
    decided(catalog, "apr_1", "ann@bodycam")
    run, now = "run_b", NOW
    with writing(catalog) as connection:
        if how == "ended":
            runs.end_run(connection, run, 0, now=NOW)
        elif how == "revoked":
            runs.revoke_run(connection, run, "stolen", now=NOW)
    if how == "expired":
        now = 100_000
    if how == "unknown":
        run = "run_x"
    assert asked(catalog, "apr_2", run=run, now=now) == (Came.RUN_OVER, None)
    with reading(catalog) as connection:
        found = get_approval(connection, "apr_1")
        assert found is not None
        assert found.stored is Standing.APPROVED
        assert get_approval(connection, "apr_2") is None


def test_what_a_revoked_run_asked_for_is_withdrawn(catalog: Engine) -> None:
    asked(catalog, "apr_1")
    asked(catalog, "apr_2", asking(b"two"))
    asked(catalog, "apr_3", asking(b"three"), run="run_b")
    decided(catalog, "apr_2", "ann@bodycam")
    with writing(catalog) as connection:
        assert runs.revoke_run(connection, "run_a", "stolen", now=NOW)
    assert [standing(catalog, f"apr_{number}") for number in (1, 2, 3)] == [
        "withdrawn",
        "withdrawn",
        "pending",
    ]
    with pytest.raises(NotOpen, match="withdrawn"):
        decided(catalog, "apr_1", "bob@bodycam")
    assert asked(catalog, "apr_4", asking(b"two"), run="run_b")[0] is Came.NEW


def test_a_run_has_so_many_pending_at_most(catalog: Engine) -> None:
    for number in range(3):
        assert asked(catalog, f"apr_{number}", asking(b"%d" % number), most=3)[0] is Came.NEW
    assert asked(catalog, "apr_more", asking(b"more"), most=3) == (Came.TOO_MANY, None)
    assert asked(catalog, "apr_again", asking(b"1"), most=3)[0] is Came.WAITS
    assert asked(catalog, "apr_other", asking(b"more"), most=3, run="run_b")[0] is Came.NEW
    decided(catalog, "apr_0", "ann@bodycam")
    assert asked(catalog, "apr_more", asking(b"more2"), most=3)[0] is Came.NEW


def test_a_run_asks_so_often_at_most(catalog: Engine) -> None:
    for number in range(3):
        name = f"apr_{number}"
        assert asked(catalog, name, asking(b"%d" % number), lately=3, now=NOW + number)[0] is Came.NEW
        decided(catalog, name, "ann@bodycam", approve=False, now=NOW + number)
    assert asked(catalog, "apr_more", asking(b"more"), lately=3, now=NOW + 3) == (Came.TOO_MANY, None)
    assert asked(catalog, "apr_denied", asking(b"1"), lately=3, now=NOW + 3)[0] is Came.DENIED
    assert asked(catalog, "apr_other", asking(b"more"), lately=3, now=NOW + 3, run="run_b")[0] is Came.NEW
    assert asked(catalog, "apr_later", asking(b"later"), lately=3, now=NOW + 500)[0] is Came.NEW


def test_the_listing_filters_and_pages(catalog: Engine) -> None:
    for number in range(4):
        by = ("dba",) if number % 2 else ("leads", "boss")
        asked(
            catalog, f"apr_{number}", asking(b"%d" % number, by=by, target=f"t{number}", expires=END + number)
        )
    asked(catalog, "apr_eve", asking(b"eve", by=()), run="run_eve")
    decided(catalog, "apr_1", "ann@bodycam")
    decided(catalog, "apr_2", "ann@bodycam", approve=False)

    def ids(wanted: ApprovalFilter, now: int = NOW) -> list[str]:
        with reading(catalog) as connection:
            return [one.id for one in list_approvals(connection, wanted, now=now).items]

    assert ids(ApprovalFilter()) == ["apr_eve", "apr_3", "apr_2", "apr_1", "apr_0"]
    assert ids(ApprovalFilter(Standing.PENDING)) == ["apr_eve", "apr_3", "apr_0"]
    assert ids(ApprovalFilter(Standing.APPROVED)) == ["apr_1"]
    assert ids(ApprovalFilter(Standing.DENIED)) == ["apr_2"]
    assert ids(ApprovalFilter(Standing.PENDING), END + 1) == ["apr_3"]
    assert ids(ApprovalFilter(Standing.EXPIRED), END + 1) == ["apr_eve", "apr_1", "apr_0"]
    assert ids(ApprovalFilter(run="run_eve")) == ["apr_eve"]
    assert ids(ApprovalFilter(target="t3")) == ["apr_3"]
    assert ids(ApprovalFilter(groups=frozenset({"dba"}), starter="eve@bodycam")) == [
        "apr_eve",
        "apr_3",
        "apr_1",
    ]
    assert ids(ApprovalFilter(groups=frozenset({"boss", "leads"}))) == ["apr_2", "apr_0"]
    assert ids(ApprovalFilter(groups=frozenset(), starter="nobody@bodycam")) == []
    with reading(catalog) as connection:
        first = list_approvals(connection, ApprovalFilter(), now=NOW, limit=3)
        rest = list_approvals(connection, ApprovalFilter(), now=NOW, limit=3, cursor=first.next)
        with pytest.raises(BadCursor):
            list_approvals(connection, ApprovalFilter(), now=NOW, cursor="nonsense")
    assert [one.id for one in (*first.items, *rest.items)] == ["apr_eve", "apr_3", "apr_2", "apr_1", "apr_0"]
    assert rest.next is None


def test_old_ones_are_forgotten_with_their_votes(catalog: Engine) -> None:
    for number in range(4):
        asked(catalog, f"apr_{number}", asking(b"%d" % number, expires=END + number))
    decided(catalog, "apr_0", "ann@bodycam")
    with writing(catalog) as connection:
        assert forget_approvals(connection, END + 3, 2) == 2
        assert forget_approvals(connection, END + 3, 2) == 1
        assert forget_approvals(connection, END + 3, 2) == 0
        left = list_approvals(connection, ApprovalFilter(), now=NOW).items
    assert [one.id for one in left] == ["apr_3"]


def test_asking_and_revoking_at_one_instant_leave_nothing_usable(catalog: Engine) -> None:
    asked(catalog, "apr_1")
    revoking_done = threading.Event()

    def revoke() -> None:
        with writing(catalog) as connection:
            runs.revoke_run(connection, "run_a", "stolen", now=NOW)
        revoking_done.set()

    revoking = threading.Thread(target=revoke)
    with writing(catalog) as connection:
        ask(connection, asking(b"late"), id="apr_late", run="run_a", most=9, most_lately=99, since=0, now=NOW)
        revoking.start()
        # it has to wait for this transaction; one that did not would leave the new one pending
        assert not revoking_done.wait(0.5)
    revoking.join(60)
    assert [standing(catalog, name) for name in ("apr_1", "apr_late")] == ["withdrawn", "withdrawn"]
