"""Accounts, runs, sessions, exchanges and the audit trail, alike in both databases."""

import threading

import pytest
from sqlalchemy import Engine

from bodycam.catalog import accounts, audit, exchanges, runs, sessions, tail
from bodycam.catalog.engine import reading, writing
from bodycam.catalog.paging import BadCursor
from bodycam.catalog.runs import RunFilter, RunState
from bodycam.catalog.sessions import SessionFilter, SessionState
from bodycam.model.identity import PrincipalKind, Run
from tests.contract.catalog_cases import CI, NOON, add_session, exchange, write

CREDENTIAL = runs.RunCredential(b"salt", 4096, b"stored", b"server", b"token")


def test_keys_are_usable_until_revoked_or_expired(catalog: Engine) -> None:
    with writing(catalog) as connection:
        account = accounts.add_account(connection, id="sva_1", name="ci", groups=["b", "a"], now=1)
        accounts.add_key(connection, id="key_1", account=account.id, hash=b"h\0\xff", now=1, expires=10)
        accounts.add_key(connection, id="key_2", account=account.id, hash=b"i", now=2)
        assert accounts.usable_keys(connection, 5) == 2
        assert accounts.usable_keys(connection, 10) == 1
        assert accounts.revoke_key(connection, account.id, "key_2", 6)
        assert accounts.revoke_key(connection, account.id, "key_2", 7)
        assert not accounts.revoke_key(connection, "sva_other", "key_1", 7)
    with reading(catalog) as connection:
        found = accounts.key_with_account(connection, "key_1")
        assert found is not None
        key, owner = found
        assert (key.hash, key.usable(9), key.usable(10)) == (b"h\0\xff", True, False)
        assert owner == account
        assert accounts.key_with_account(connection, "key_9") is None
        assert [(key.id, key.revoked) for key in accounts.keys_of(connection, account.id)] == [
            ("key_1", None),
            ("key_2", 6),
        ]


def test_a_key_gets_an_end_that_only_comes_nearer(catalog: Engine) -> None:
    with writing(catalog) as connection:
        account = accounts.add_account(connection, id="sva_end", name="end", groups=[], now=1)
        for name, expires in (("key_long", None), ("key_short", 50)):
            accounts.add_key(
                connection, id=name, account=account.id, hash=name.encode(), now=1, expires=expires
            )
        assert accounts.end_key(connection, account.id, "key_long", 100, 10)
        assert accounts.end_key(connection, account.id, "key_short", 100, 10)
        assert [one.expires for one in accounts.keys_of(connection, account.id)] == [100, 50]
        # over, revoked, somebody else's, nobody's
        assert not accounts.end_key(connection, account.id, "key_short", 100, 50)
        accounts.revoke_key(connection, account.id, "key_long", 20)
        assert not accounts.end_key(connection, account.id, "key_long", 60, 20)
        assert not accounts.end_key(connection, "sva_other", "key_short", 30, 20)
        assert not accounts.end_key(connection, account.id, "key_none", 30, 20)


def test_the_last_use_of_a_key_only_goes_forward(catalog: Engine) -> None:
    with writing(catalog) as connection:
        account = accounts.add_account(connection, id="sva_1", name="ci", groups=[], now=1)
        for key in ("key_1", "key_2"):
            accounts.add_key(connection, id=key, account=account.id, hash=b"h", now=1)
        accounts.keys_used(connection, {"key_1": 50, "key_gone": 50})
        accounts.keys_used(connection, {"key_1": 40})
        accounts.keys_used(connection, {})
    with reading(catalog) as connection:
        assert [(key.id, key.last_used) for key in accounts.keys_of(connection, account.id)] == [
            ("key_1", 50),
            ("key_2", None),
        ]
        found = accounts.key_with_account(connection, "key_1")
        assert found is not None
        assert found[0].last_used == 50


def test_the_runs_of_a_key_are_revoked_with_it(catalog: Engine) -> None:
    with writing(catalog) as connection:
        for name, key in (("a", "key_1"), ("b", "key_2"), ("c", "key_1"), ("d", None), ("e", "key_1")):
            expires = 0.00001 if name == "e" else 1.0
            added = runs.add_run(connection, Run(f"run_{name}", CI, "bot", expires), CREDENTIAL, 1, key)
            assert added.api_key == key
        assert runs.end_run(connection, "run_c", 0, now=5)
        assert runs.revoke_runs_of_key(connection, "key_1", "stolen", 20) == ("run_a",)
        assert runs.revoke_runs_of_key(connection, "key_1", "stolen", 21) == ()
        ids = [f"run_{name}" for name in "abcde"]
        states = {run: state.value for run, state in runs.states_of(connection, ids, 30).items()}
        assert states == dict(zip(ids, ["revoked", "active", "ended", "active", "expired"], strict=True))
        credential = runs.credential_of(connection, "run_a")
        assert credential is not None
        assert credential.revoked == 20


def test_a_run_that_is_being_started_is_seen_by_the_revocation_of_its_key(catalog: Engine) -> None:
    with writing(catalog) as connection:
        account = accounts.add_account(connection, id="sva_1", name="ci", groups=[], now=1)
        accounts.add_key(connection, id="key_1", account=account.id, hash=b"h", now=1)
    revoked: list[str] = []

    def revoke() -> None:
        with writing(catalog) as connection:
            assert accounts.revoke_key(connection, "sva_1", "key_1", 2)
            revoked.extend(runs.revoke_runs_of_key(connection, "key_1", "stolen", 2))

    revoking = threading.Thread(target=revoke)
    with writing(catalog) as connection:
        found = accounts.key_with_account(connection, "key_1", hold=True)
        assert found is not None
        assert found[0].usable(2)
        revoking.start()
        # it has to wait for this transaction; one that did not would be through by then, without the run
        revoking.join(1)
        runs.add_run(connection, Run("run_a", CI, "bot", 1.0), CREDENTIAL, 1, "key_1")
    revoking.join(30)
    assert revoked == ["run_a"]


def test_a_name_is_given_once(catalog: Engine) -> None:
    with writing(catalog) as connection:
        accounts.add_account(connection, id="sva_1", name="ci", groups=[], now=1)
        with pytest.raises(accounts.AccountExists, match="'ci'"):
            accounts.add_account(connection, id="sva_2", name="ci", groups=[], now=1)
        assert accounts.set_groups(connection, "ci", ["admins"])
        assert accounts.disable_account(connection, "ci", 5)
        assert accounts.disable_account(connection, "ci", 6)
        assert not accounts.disable_account(connection, "none", 6)
        assert [(one.groups, one.disabled) for one in accounts.accounts(connection)] == [
            (frozenset({"admins"}), 5)
        ]


def test_a_runs_life(catalog: Engine) -> None:
    with writing(catalog) as connection:
        for name in ("a", "b", "c"):
            runs.add_run(
                connection, Run(f"run_{name}", CI, "bot", 0.00001, labels={"k": name}), CREDENTIAL, 1
            )
        assert runs.renew_run(connection, "run_a", 50, now=5)
        assert not runs.renew_run(connection, "run_b", 50, now=11)
        assert runs.end_run(connection, "run_b", 3, now=6)
        assert not runs.end_run(connection, "run_b", 0, now=7)
        assert runs.revoke_run(connection, "run_c", "stolen", now=8)
        states = {
            name: state.value
            for name, state in runs.states_of(connection, ["run_a", "run_b", "run_c", "run_x"], 20).items()
        }
        assert states == {"run_a": "active", "run_b": "ended", "run_c": "revoked"}
        assert [run.id for run in runs.live_runs(connection, 20)] == ["run_a"]
        assert runs.live_runs(connection, 50) == ()
        revoked = [runs.credential_of(connection, f"run_{name}") for name in ("a", "b", "c")]
        assert [one.revoked for one in revoked if one is not None] == [None, 6, 8]
        found = runs.get_run(connection, "run_c")
        assert found is not None
        assert (found.principal, found.labels, found.reason) == (CI, {"k": "c"}, "stolen")


def test_runs_are_listed_by_filter_and_page(catalog: Engine) -> None:
    with writing(catalog) as connection:
        for at in range(5):
            run = Run(f"run_{at}", CI, "bot" if at % 2 else "clerk", 1.0)
            runs.add_run(connection, run, CREDENTIAL, at // 2)
        seen, cursor = [], None
        while True:
            page = runs.list_runs(connection, RunFilter(), now=5, limit=2, cursor=cursor)
            seen += [run.id for run in page.items]
            if (cursor := page.next) is None:
                break
        assert seen == ["run_4", "run_3", "run_2", "run_1", "run_0"]
        listed = runs.list_runs(connection, RunFilter(agent="bot", state=RunState.ACTIVE), now=5)
        assert [run.id for run in listed.items] == ["run_3", "run_1"]
        assert runs.list_runs(connection, RunFilter(state=RunState.EXPIRED), now=5).items == ()
        with pytest.raises(BadCursor):
            runs.list_runs(connection, RunFilter(), now=5, cursor="nonsense")


def test_a_sessions_life(catalog: Engine) -> None:
    add_session(catalog, "ses_a")
    assert add_session(catalog, "ses_a") == add_session(catalog, "ses_a")
    place = sessions.Place("2026/01/01/rec_x.bcr", 2**40, 100, b"\0" * 32)
    with writing(catalog) as connection:
        assert sessions.close_session(connection, "ses_a", "ended", "", NOON + 5)
        assert sessions.seal_session(connection, "ses_a", place, NOON + 6)
        assert sessions.close_session(connection, "ses_a", "ended", "", NOON + 5)  # read again after a crash
        assert not sessions.seal_session(connection, "ses_x", place, NOON)
        found = sessions.get_session(connection, "ses_a")
        assert found is not None
        assert (found.state, found.outcome, found.closed, found.sealed) == (
            SessionState.SEALED,
            "ended",
            NOON + 5,
            NOON + 6,
        )
        assert (found.place, found.claims, found.run) == (place, {"application": "psql"}, "run_a")
        assert sessions.unsealed_sessions(connection) == ()


def test_sessions_are_listed_by_filter(catalog: Engine) -> None:
    add_session(catalog, "ses_a", opened=NOON)
    add_session(catalog, "ses_b", opened=NOON, target="billing")
    add_session(catalog, "ses_c", opened=NOON + 1, run="run_c")
    with reading(catalog) as connection:

        def ids(**wanted: object) -> list[str]:
            return [one.id for one in sessions.list_sessions(connection, SessionFilter(**wanted)).items]  # type: ignore[arg-type]

        assert ids() == ["ses_c", "ses_b", "ses_a"]
        assert ids(target="orders") == ["ses_c", "ses_a"]
        assert ids(run="run_a") == ["ses_b", "ses_a"]
        assert ids(since=NOON + 1) == ["ses_c"]
        assert ids(state=SessionState.SEALED) == []
        assert [one.id for one in sessions.sessions_of_run(connection, "run_a")] == ["ses_a", "ses_b"]
        assert sessions.counts_by_state(connection)[SessionState.OPEN] == 3


def test_exchanges_are_listed_in_order_and_counted(catalog: Engine) -> None:
    keys = add_session(catalog, "ses_a")
    write(
        catalog,
        [
            exchange(keys, 1, "prepare", aside=True, status="error"),
            exchange(keys, 2, "SELECT 1", values="7", rows=2),
            exchange(keys, 3, "SELECT 2", status="error", code="42P01", error="no such table"),
        ],
    )
    with reading(catalog) as connection:
        wanted = exchanges.ExchangeFilter(session="ses_a")
        page = exchanges.list_exchanges(connection, wanted, limit=1)
        assert [one.number for one in page.items] == [2]
        rest = exchanges.list_exchanges(connection, wanted, cursor=page.next)
        assert [(one.number, one.code, one.error) for one in rest.items] == [(3, "42P01", "no such table")]
        newest = exchanges.list_exchanges(connection, wanted, newest=True)
        assert [one.number for one in newest.items] == [3, 2]
        first = page.items[0]
        assert (first.id, first.values, first.started, first.duration) == ("ses_a.2", "7", NOON + 2000, 100)
        found = sessions.get_session(connection, "ses_a")
        assert found is not None
        assert (found.exchanges, found.failures, found.rows, found.bytes) == (3, 1, 4, 30)


def test_audit_newest_first(catalog: Engine) -> None:
    with writing(catalog) as connection:
        for at in range(3):
            audit.add_event(
                connection,
                at=at,
                actor="ann",
                action="kill",
                object="ses_a",
                detail={"n": at},
                salt=b"s",
                leaf=at,
            )
        page = audit.list_events(connection, limit=2)
        assert [event.detail["n"] for event in page.items] == [2, 1]
        assert [event.leaf for event in audit.list_events(connection, cursor=page.next).items] == [0]
        assert audit.list_events(connection, action="none").items == ()


def test_tail_goes_on_and_says_when_it_missed(catalog: Engine) -> None:
    with writing(catalog) as connection:
        start = tail.position(connection)
        tail.announce(connection, [(tail.Arrival.OPENED, "ses_a"), (tail.Arrival.EXCHANGES, "7")])
        got = tail.after(connection, start)
        assert got.items == ((tail.Arrival.OPENED, "ses_a"), (tail.Arrival.EXCHANGES, "7"))
        assert tail.after(connection, got.position) == tail.Arrivals((), got.position, missed=False)
        for at in range(tail.KEPT + 2):
            tail.announce(connection, [(tail.Arrival.EXCHANGES, str(at))])
        assert tail.after(connection, got.position, batches=1).missed


def test_an_account_is_a_services_unless_it_is_said_to_be_a_persons(catalog: Engine) -> None:
    with writing(catalog) as connection:
        accounts.add_account(connection, id="sva_1", name="ci", groups=[], now=1)
        made = accounts.add_account(
            connection, id="sva_2", name="ann", groups=["dba"], now=1, kind=PrincipalKind.HUMAN
        )
        accounts.add_key(connection, id="key_2", account="sva_2", hash=b"h", now=1)
    with reading(catalog) as connection:
        assert {one.name: one.kind.value for one in accounts.accounts(connection)} == {
            "ci": "service",
            "ann": "human",
        }
        found = accounts.key_with_account(connection, "key_2")
        assert found is not None
        assert found[1] == made
