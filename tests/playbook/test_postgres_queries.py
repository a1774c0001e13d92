"""Queries through a connection that is logged in: who sees what, and what is recorded."""

import pytest

from bodycam.model.event import Flavor, Kind
from tests.playbook import wire
from tests.playbook.play import Play


def requests(play: Play) -> list[tuple[str, str, list[bytes | None]]]:
    return [
        (body[0], body[1], [value for _, _, value in body[2]])
        for kind, _, body in play.journal.entries
        if kind is Kind.REQUEST
    ][1:]


def ends(play: Play) -> list[tuple[int, str, int, str | None]]:
    return [
        (exchange, body[0], body[1], body[4])
        for kind, exchange, body in play.journal.entries
        if kind is Kind.FINISH
    ][1:]


def test_a_simple_query(ready: Play) -> None:
    asked = wire.query("select 1")
    answer = [wire.columns(("n", 23)), wire.row(b"1"), wire.complete("SELECT 1"), wire.ready()]

    ready.client(asked)
    assert ready.target_sees() == asked
    ready.target(*answer)

    assert ready.client_gets() == b"".join(answer)
    kinds = [(kind, exchange) for kind, exchange, _ in ready.recorded()]
    assert kinds == [(Kind.REQUEST, 2), (Kind.TO_CLIENT, 2), (Kind.FINISH, 2)]
    assert requests(ready) == [("query", "select 1", [])]
    assert ends(ready) == [(2, "ok", 1, "SELECT 1")]


def test_several_statements_in_one_query(ready: Play) -> None:
    ready.client(wire.query("insert into t values (1); select 2"))
    ready.target(
        wire.complete("INSERT 0 1"),
        wire.columns(("n", 23)),
        wire.row(b"2"),
        wire.complete("SELECT 1"),
        wire.ready(),
    )

    assert ends(ready) == [(2, "ok", 2, "INSERT 0 1; SELECT 1")]


def test_prepared_once_and_executed_three_times_is_three_exchanges_with_their_values(ready: Play) -> None:
    ready.client(wire.parse("select $1::int", "s1", (23,)), wire.describe("S", "s1"), wire.SYNC)
    ready.target(wire.PARSED, wire.described(23), wire.columns(("n", 23)), wire.ready())
    for value in (b"1", b"2", None):
        ready.client(wire.bind(value, statement="s1"), wire.execute(), wire.SYNC)
        ready.target(wire.BOUND, wire.row(value), wire.complete("SELECT 1"), wire.ready())

    assert requests(ready) == [
        ("prepare", "select $1::int", []),
        ("execute", "select $1::int", [b"1"]),
        ("execute", "select $1::int", [b"2"]),
        ("execute", "select $1::int", [None]),
    ]
    assert [end[:3] for end in ends(ready)] == [(2, "ok", 0), (3, "ok", 1), (4, "ok", 1), (5, "ok", 1)]


def test_rows_without_a_description_on_the_wire_record_the_one_that_the_client_got_earlier(
    ready: Play,
) -> None:
    ready.client(wire.parse("select $1::int", "s1"), wire.describe("S", "s1"), wire.SYNC)
    ready.target(wire.PARSED, wire.described(23), wire.columns(("n", 23)), wire.ready())
    ready.client_gets(), ready.recorded()

    ready.client(wire.bind(b"7", statement="s1", formats=(1,)), wire.execute(), wire.SYNC)
    ready.target(wire.BOUND, wire.row(b"\0\0\0\7"), wire.complete("SELECT 1"), wire.ready())

    recorded = [body for kind, _, body in ready.recorded() if kind is Kind.TO_CLIENT]
    assert recorded[0] == [Flavor.COLUMNS, 0, wire.columns(("n", 23), form=1)]
    assert wire.columns(("n", 23), form=1) not in ready.client_gets()


def test_a_client_that_flushes_and_waits_between_parse_and_bind_is_not_held_up(ready: Play) -> None:
    ready.client(wire.parse("select $1::int"), wire.describe("S"), wire.FLUSH)
    assert ready.target_sees() == wire.parse("select $1::int") + wire.describe("S") + wire.FLUSH
    ready.target(wire.PARSED, wire.described(23), wire.columns(("n", 23)))
    assert ready.client_gets() == wire.PARSED + wire.described(23) + wire.columns(("n", 23))

    ready.client(wire.bind(b"\0\0\0\1"), wire.execute(), wire.SYNC)
    ready.target(wire.BOUND, wire.row(b"1"), wire.complete("SELECT 1"), wire.ready())

    # the type that the server described is on the record of the value
    types = [body[2] for kind, _, body in ready.journal.entries if kind is Kind.REQUEST][-1]
    assert types == [[23, 0, b"\0\0\0\1"]]


def test_an_error_in_a_pipeline_skips_all_up_to_sync_and_no_further(ready: Play) -> None:
    ready.client(
        wire.parse("insert into t values (1)"), wire.bind(), wire.execute(),
        wire.parse("selec", "bad"),
        wire.parse("insert into t values (2)"), wire.bind(), wire.execute(),
        wire.SYNC,
        wire.query("select 3"),
    )  # fmt: skip
    ready.target(
        wire.PARSED, wire.BOUND, wire.complete("INSERT 0 1"), wire.error(), wire.ready(),
        wire.columns(("n", 23)), wire.row(b"3"), wire.complete("SELECT 1"), wire.ready(),
    )  # fmt: skip

    outcomes = {exchange: outcome for exchange, outcome, _, _ in ends(ready)}
    assert outcomes == {2: "ok", 3: "ok", 4: "error", 5: "skipped", 6: "skipped", 7: "ok"}


def test_what_a_client_sends_after_an_error_and_before_sync_is_recorded_as_skipped(ready: Play) -> None:
    ready.client(wire.parse("selec"))
    ready.target(wire.error())
    ready.client(wire.bind(), wire.execute(), wire.SYNC)
    ready.target(wire.ready())
    ready.client(wire.query("select 1"))
    ready.target(wire.complete("SELECT 1"), wire.ready())

    assert [end[1] for end in ends(ready)] == ["error", "skipped", "ok"]


def test_a_failed_second_parse_leaves_the_old_statement_live(ready: Play) -> None:
    ready.client(wire.parse("select 'old'", "s1"), wire.SYNC)
    ready.target(wire.PARSED, wire.ready())
    ready.client(wire.parse("select 'new'", "s1"), wire.SYNC)
    ready.target(wire.error("42P05", 'prepared statement "s1" already exists'), wire.ready())
    ready.client(wire.bind(statement="s1"), wire.execute(), wire.SYNC)
    ready.target(wire.BOUND, wire.row(b"old"), wire.complete("SELECT 1"), wire.ready())

    assert requests(ready)[-1] == ("execute", "select 'old'", [])


def test_a_closed_statement_is_forgotten(ready: Play) -> None:
    ready.client(wire.parse("select 1", "s1"), wire.close("S", "s1"), wire.SYNC)
    ready.target(wire.PARSED, wire.CLOSED, wire.ready())
    ready.client(wire.bind(statement="s1"), wire.execute(), wire.SYNC)
    ready.target(wire.error("26000", "no such statement"), wire.ready())

    assert requests(ready)[-1][1] == "-- statement 's1', prepared in SQL"


def test_copy_in_records_the_data_with_its_statement(ready: Play) -> None:
    ready.client(wire.query("copy t from stdin"))
    ready.target(wire.copy_in())
    ready.target_sees()
    ready.client(wire.copy_data(b"1\n"), wire.copy_data(b"2\n"), wire.COPY_DONE)
    assert ready.target_sees() == wire.copy_data(b"1\n") + wire.copy_data(b"2\n") + wire.COPY_DONE
    ready.target(wire.complete("COPY 2"), wire.ready())

    data = [(exchange, body[2]) for kind, exchange, body in ready.recorded() if kind is Kind.TO_TARGET]
    assert data == [(2, wire.copy_data(b"1\n") + wire.copy_data(b"2\n")), (2, wire.COPY_DONE)]
    assert ends(ready) == [(2, "ok", 2, "COPY 2")]


def test_copy_in_by_the_extended_protocol_forgets_the_sync_that_the_server_ignores(ready: Play) -> None:
    ready.client(wire.parse("copy t from stdin"), wire.bind(), wire.execute(), wire.SYNC)
    ready.target(wire.PARSED, wire.BOUND, wire.copy_in())
    ready.client(wire.copy_data(b"1\n"), wire.COPY_DONE, wire.SYNC)
    ready.target(wire.complete("COPY 1"), wire.ready())
    ready.client(wire.query("select 1"))
    ready.target(wire.complete("SELECT 1"), wire.ready())

    assert [end[1:] for end in ends(ready) if end[3]] == [("ok", 1, "COPY 1"), ("ok", 1, "SELECT 1")]


def test_a_copy_that_fails_before_the_server_met_the_sync_behind_it_is_ready_once_more(ready: Play) -> None:
    ready.client(wire.parse("copy t from stdin"), wire.bind(), wire.execute(), wire.SYNC)
    ready.target(wire.PARSED, wire.BOUND, wire.copy_in())
    ready.target(wire.error("57014", "canceled"), wire.ready())
    ready.client(wire.copy_data(b"1\n"), wire.COPY_DONE, wire.SYNC)
    ready.target(wire.ready())
    ready.client(wire.query("select 1"))
    ready.target(wire.complete("SELECT 1"), wire.ready())

    assert [end[1] for end in ends(ready)][-1] == "ok"
    assert not ready.closed


def test_copy_out(ready: Play) -> None:
    answer = [wire.copy_out(), wire.copy_data(b"1\n"), wire.COPY_DONE, wire.complete("COPY 1"), wire.ready()]
    ready.client(wire.query("copy t to stdout"))
    ready.target(*answer)

    assert ready.client_gets() == b"".join(answer)
    assert ends(ready) == [(2, "ok", 1, "COPY 1")]


def test_a_notice_belongs_to_the_statement_that_raised_it_and_a_notification_to_none(ready: Play) -> None:
    ready.client(wire.query("select raise()"))
    ready.target(wire.notice("careful"), wire.complete("SELECT 1"), wire.ready())
    ready.target(wire.notification("jobs", "42"))

    owners = [exchange for kind, exchange, _ in ready.recorded() if kind is Kind.TO_CLIENT]
    assert owners == [2, 2, 0]
    assert ready.client_gets().endswith(wire.notification("jobs", "42"))


def test_an_unasked_parameter_change_passes(ready: Play) -> None:
    ready.target(wire.status("TimeZone", "UTC"))

    assert ready.client_gets() == wire.status("TimeZone", "UTC")


def test_a_cancelled_statement_is_recorded_as_cancelled(ready: Play) -> None:
    ready.client(wire.query("select pg_sleep(60)"))
    ready.machine.cancel()
    ready.target(wire.error("57014", "canceling statement due to user request"), wire.ready())

    assert [key[-4:] for _, key in ready.knocks] == [b"tkey"]
    assert ends(ready)[0][1] == "cancelled"
    assert any(kind is Kind.NOTE and body == {"note": "cancel"} for kind, _, body in ready.recorded())


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_cut_into_small_pieces_the_same_is_recorded(ready: Play, size: int) -> None:
    asked = wire.parse("select $1", "s", (25,)) + wire.bind(b"x", statement="s") + wire.execute() + wire.SYNC
    answer = wire.PARSED + wire.BOUND + wire.row(b"x") + wire.complete("SELECT 1") + wire.ready()
    for start in range(0, len(asked), size):
        ready.client(asked[start : start + size])
    for start in range(0, len(answer), size):
        ready.target(answer[start : start + size])

    assert ready.target_sees() == asked
    assert ready.client_gets() == answer
    # the Bind came before its Execute was in sight, so its values have an exchange of their own
    assert [end[1:3] for end in ends(ready)] == [("ok", 0), ("ok", 0), ("ok", 1), ("ok", 0)]


def test_a_long_row_passes_in_pieces(play: Play) -> None:
    from tests.playbook.conftest import log_in

    log_in(play)
    play.client_gets(), play.recorded()
    answer = wire.columns(("t", 25)) + wire.row(b"x" * 3_000_000) + wire.complete("SELECT 1") + wire.ready()
    play.client(wire.query("select repeat('x', 3000000)"))
    for start in range(0, len(answer), 65_536):
        play.target(answer[start : start + 65_536])
        assert play.client_box.size <= 3_100_000

    assert play.client_gets() == answer
    assert ends(play) == [(2, "ok", 1, "SELECT 1")]


def test_terminate_ends_the_session_in_order(ready: Play) -> None:
    ready.client(wire.TERMINATE)

    assert ready.target_sees() == wire.TERMINATE
    assert ready.closed
    assert ready.recorded()[-1][2]["outcome"] == "ended"


def test_a_client_that_vanishes_mid_statement_is_recorded_and_its_statement_cancelled(ready: Play) -> None:
    ready.client(wire.query("select pg_sleep(60)"))
    ready.machine.client_gone()

    assert ends(ready)[0][1] == "unknown"
    assert len(ready.knocks) == 1
    assert ready.closed


def test_a_target_that_vanishes_is_told_in_postgresqls_own_words(ready: Play) -> None:
    ready.client(wire.query("select 1"))
    ready.machine.target_gone()

    assert b"C08006\0" in ready.client_gets()
    assert ready.recorded()[-1][2]["outcome"] == "broken"


def test_a_cut_session_says_why_and_stops_the_statement(ready: Play) -> None:
    ready.client(wire.query("select pg_sleep(60)"))
    ready.machine.cut("the run was revoked")
    ready.machine.cut("again")

    said = ready.client_gets()
    assert b"C57P01\0" in said
    assert b"the run was revoked" in said
    assert said.count(b"C57P01\0") == 1
    assert len(ready.knocks) == 1
    closed = ready.recorded()[-1][2]
    assert (closed["outcome"], closed["reason"], closed["exchanges"]) == ("cut", "the run was revoked", 2)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"Q\x00\x00\x00\x02", b"C08P01\0"),
        (b"Q\x7f\xff\xff\xff", b"C54000\0"),
        (b"?\x00\x00\x00\x04", b"C08P01\0"),
        (b"B\x00\x00\x00\x08\xff\xff\xff\xff", b"C08P01\0"),
        (b"P\x00\x00\x00\x05a", b"C08P01\0"),
        (wire.message(b"p", b"x\0"), b"C08P01\0"),
    ],
)
def test_nonsense_from_the_client_ends_the_session_with_a_clear_error(
    ready: Play, data: bytes, code: bytes
) -> None:
    ready.client(data)

    assert code in ready.client_gets()
    assert ready.closed
    assert ready.recorded()[-1][2]["outcome"] == "broken"


def test_nonsense_from_the_target_never_reaches_the_client(ready: Play) -> None:
    ready.target(wire.complete("SELECT 1"))

    assert b"C08P01\0" in ready.client_gets()
    assert ready.closed


def test_a_bind_without_its_execute_is_recorded_with_its_values_before_it_reaches_the_target(
    ready: Play,
) -> None:
    ready.client(wire.parse("select $1", "s", (25,)), wire.SYNC)
    ready.target(wire.PARSED, wire.ready())
    ready.target_sees(), ready.recorded()

    ready.client(wire.bind(b"early", statement="s", portal="p"), wire.SYNC)
    recorded = ready.recorded()
    assert [(body[0], body[2]) for kind, _, body in recorded if kind is Kind.REQUEST] == [
        ("bind", [[25, 0, b"early"]])
    ]
    assert ready.target_sees() == wire.bind(b"early", statement="s", portal="p") + wire.SYNC

    ready.target(wire.BOUND, wire.ready("T"))
    ready.client(wire.execute("p", 1), wire.SYNC)
    ready.target(wire.row(b"early"), wire.message(b"s"), wire.ready("T"))
    assert requests(ready)[-1] == ("execute", "select $1", [b"early"])
    assert [end[1] for end in ends(ready)] == ["ok", "ok", "ok"]


def facts(play: Play) -> list[tuple[str, dict[str, object]]]:
    return [(body[0], body[3]) for kind, _, body in play.recorded() if kind is Kind.REQUEST]


@pytest.mark.parametrize(
    ("asked", "recorded"),
    [
        ([wire.close("S", "none"), wire.SYNC], [("close", {"statement": "none", "messages": "CS"})]),
        ([wire.SYNC], [("sync", {"messages": "S"})]),
        ([wire.FLUSH], [("flush", {"messages": "H"})]),
        ([wire.FLUSH, wire.SYNC], [("flush", {"messages": "HS"})]),
        ([wire.describe("S", "s")], [("describe", {"statement": "s", "messages": "D"})]),
        (
            [wire.parse("select 1", "s"), wire.describe("S", "s"), wire.FLUSH],
            [("prepare", {"statement": "s", "messages": "PDH"})],
        ),
        (
            [wire.parse("select 1", "s"), wire.describe("S", "t"), wire.SYNC],
            [
                ("prepare", {"statement": "s", "messages": "P"}),
                ("describe", {"statement": "t", "messages": "DS"}),
            ],
        ),
        (
            [wire.bind(), wire.describe("P"), wire.execute(), wire.SYNC],
            [("execute", {"messages": "BDES"})],
        ),
        (
            [wire.bind(), wire.execute(rows=5), wire.execute(rows=5), wire.SYNC],
            [("execute", {"max_rows": 5, "messages": "BE"}), ("execute", {"max_rows": 5, "messages": "ES"})],
        ),
        (
            [wire.bind(), wire.close("P", "other"), wire.execute(), wire.SYNC],
            [
                ("bind", {"messages": "B"}),
                ("close", {"portal": "other", "messages": "C"}),
                ("execute", {"messages": "ES"}),
            ],
        ),
        (
            [wire.bind(), wire.SYNC, wire.execute(), wire.SYNC],
            [("bind", {"messages": "BS"}), ("execute", {"messages": "ES"})],
        ),
    ],
)
def test_every_message_that_reaches_the_target_is_in_the_record(
    ready: Play, asked: list[bytes], recorded: list[tuple[str, dict[str, object]]]
) -> None:
    ready.client(*asked)

    assert facts(ready) == recorded
    assert ready.target_sees() == b"".join(asked)


@pytest.mark.parametrize("tag", [b"S", b"H", b"X", b"c"])
def test_a_message_that_has_no_body_can_carry_nothing_past_the_record(ready: Play, tag: bytes) -> None:
    ready.client(wire.query("select 1"), wire.message(tag, b"smuggled"))

    assert ready.target_sees() == wire.query("select 1")
    assert b"C08P01\0" in ready.client_gets()
    assert ready.closed


def test_a_describe_and_a_close_and_a_sync_by_themselves_end_with_their_replies(ready: Play) -> None:
    ready.client(wire.describe("S", "s"), wire.close("S", "s"), wire.SYNC)
    ready.target(wire.described(23), wire.NO_DATA, wire.CLOSED, wire.ready())
    ready.client(wire.SYNC)
    ready.target(wire.ready())

    assert [end[:2] for end in ends(ready)] == [(2, "ok"), (3, "ok"), (4, "ok")]


@pytest.mark.parametrize("sql", ["DEALLOCATE s", "discard all; prepare s as select 2"])
def test_a_name_that_sql_may_have_given_another_meaning_is_recorded_as_doubtful(
    ready: Play, sql: str
) -> None:
    ready.client(wire.parse("select 1", "s"), wire.SYNC)
    ready.target(wire.PARSED, wire.ready())
    ready.client(wire.query(sql))
    ready.target(wire.complete("DEALLOCATE"), wire.ready())
    ready.recorded()
    ready.client(wire.bind(statement="s"), wire.execute(), wire.SYNC)

    ((verb, known),) = facts(ready)
    assert (verb, "doubt" in known) == ("execute", True)


def test_a_statement_before_a_goodbye_is_recorded_to_its_end(ready: Play) -> None:
    ready.client(wire.query("insert into t values (1)"), wire.TERMINATE)
    assert ready.machine.client_gone()
    assert ready.target_sees() == wire.query("insert into t values (1)") + wire.TERMINATE
    ready.target(wire.complete("INSERT 0 1"), wire.ready())

    assert ready.closed
    assert ends(ready) == [(2, "ok", 1, "INSERT 0 1")]
    assert ready.knocks == []


def test_a_large_result_whose_client_said_goodbye_in_the_middle_is_cancelled_at_the_target(
    ready: Play,
) -> None:
    ready.client(wire.query("select * from large"))
    ready.target(wire.columns(("n", 23)), wire.row(b"1"))
    ready.client(wire.TERMINATE)
    assert ready.machine.client_gone()
    for _ in range(20):
        ready.target(wire.row(b"x" * 60_000))

    assert ready.closed
    assert [key[-4:] for _, key in ready.knocks] == [b"tkey"]
    assert ends(ready)[0][1] == "unknown"


def test_a_client_that_pipelines_without_end_is_not_read_until_replies_have_come(ready: Play) -> None:
    ready.client(wire.SYNC * 30_000)
    assert ready.held
    ready.target(wire.ready() * 15_000)
    assert ready.held
    ready.target(wire.ready() * 10_000)
    assert not ready.held


def test_a_statement_described_in_its_own_pipeline_records_its_columns_with_the_portal_s_formats(
    ready: Play,
) -> None:
    ready.client(
        wire.parse("select 1"), wire.describe("S"), wire.bind(formats=(1,)), wire.execute(), wire.SYNC
    )
    ready.target(wire.PARSED, wire.described(), wire.columns(("n", 23)), wire.BOUND)
    ready.target(wire.row(b"\0\0\0\1"), wire.complete("SELECT 1"), wire.ready())

    flavors = [body for kind, _, body in ready.recorded() if kind is Kind.TO_CLIENT]
    assert [Flavor.COLUMNS, 0, wire.columns(("n", 23), form=1)] in flavors


def values_recorded(play: Play) -> list[bytes]:
    return [value for _, _, values in requests(play) for value in values if value is not None]


def test_every_bind_s_values_are_recorded_whatever_follows_it(ready: Play) -> None:
    ready.client(wire.parse("select $1", "s", (25,)), wire.SYNC)
    ready.target(wire.PARSED, wire.ready())
    ready.client(
        wire.bind(b"first", statement="s"), wire.bind(b"second", statement="s"), wire.execute(), wire.SYNC
    )
    ready.client(wire.bind(b"third", statement="s", portal="a"), wire.execute("b"), wire.SYNC)
    ready.client(wire.bind(b"fourth", statement="s"), wire.message(b"E", b"no end"))

    assert values_recorded(ready) == [b"first", b"second", b"third", b"fourth"]


def test_a_portal_bound_behind_a_sync_outlives_that_sync(ready: Play) -> None:
    ready.client(wire.parse("delete from t", "s"), wire.bind(statement="s"), wire.execute(), wire.SYNC)
    ready.client(wire.bind(statement="s"))
    ready.target(wire.PARSED, wire.BOUND, wire.complete("DELETE 1"), wire.ready())
    ready.client(wire.execute(), wire.SYNC)

    assert requests(ready)[-1] == ("execute", "delete from t", [])


def test_a_target_that_is_ready_too_early_breaks_the_protocol(ready: Play) -> None:
    ready.client(wire.parse("select 1"), wire.SYNC)
    ready.target(wire.ready())

    assert b"C08P01\0" in ready.client_gets()
    assert ready.closed


# -- what names mean, and whose reply is whose, when the client pipelines ------------------------------


def test_a_query_behind_the_sync_that_ends_the_passing_over_is_not_passed_over(ready: Play) -> None:
    ready.client(wire.parse("selec"), wire.FLUSH)
    ready.target(wire.error())
    ready.client(wire.SYNC, wire.query("delete from t"))
    ready.target(wire.ready(), wire.complete("DELETE 3"), wire.ready())

    assert not ready.closed
    assert ends(ready)[-1][1:] == ("ok", 3, "DELETE 3")


def test_two_refused_statements_in_a_row_leave_the_first_one_its_name(ready: Play) -> None:
    duplicate = wire.error("42P05", 'prepared statement "s" already exists')
    ready.client(wire.parse("drop table t", "s"), wire.SYNC)
    ready.target(wire.PARSED, wire.ready())
    ready.client(wire.parse("select 1", "s"), wire.SYNC, wire.parse("select 2", "s"), wire.SYNC)
    ready.target(duplicate, wire.ready(), duplicate, wire.ready())
    ready.client(wire.bind(statement="s"), wire.execute(), wire.SYNC)

    assert requests(ready)[-1] == ("execute", "drop table t", [])


def test_a_close_that_is_passed_over_leaves_the_name_to_its_statement(ready: Play) -> None:
    ready.client(wire.parse("drop table t", "s"), wire.SYNC)
    ready.target(wire.PARSED, wire.ready())
    ready.client(
        wire.parse("selec", "x"), wire.close("S", "s"), wire.SYNC, wire.parse("select 2", "s"), wire.SYNC
    )
    ready.target(wire.error(), wire.ready(), wire.error("42P05", "already exists"), wire.ready())
    ready.client(wire.bind(statement="s"), wire.execute(), wire.SYNC)

    assert requests(ready)[-1] == ("execute", "drop table t", [])


def test_a_query_that_is_passed_over_drops_no_name(ready: Play) -> None:
    ready.client(wire.parse("delete from t"), wire.SYNC)
    ready.target(wire.PARSED, wire.ready())
    ready.client(wire.bind(statement="none"), wire.query("select 1"), wire.SYNC)
    ready.target(wire.error("26000", "no such statement"), wire.ready())
    ready.client(wire.bind(), wire.execute(), wire.SYNC)

    assert requests(ready)[-1] == ("execute", "delete from t", [])


def test_what_renames_when_it_is_executed_makes_later_names_doubtful(ready: Play) -> None:
    ready.client(wire.parse("deallocate s", "x"), wire.parse("prepare s as select secret()", "y"), wire.SYNC)
    ready.client(wire.parse("select 1", "s"), wire.bind(statement="x"), wire.execute(), wire.SYNC)
    ready.client(wire.bind(statement="y"), wire.execute(), wire.SYNC)
    ready.recorded()
    ready.client(wire.bind(statement="s"), wire.execute(), wire.SYNC)

    ((verb, known),) = facts(ready)
    assert (verb, "doubt" in known) == ("execute", True)


def test_a_cursor_under_the_name_of_a_portal_is_recorded_as_doubtful(ready: Play) -> None:
    ready.client(wire.query("begin"), wire.parse("select 1"), wire.bind(portal="c"), wire.SYNC)
    ready.client(wire.query("close c; declare c cursor for select secret()"))
    ready.recorded()
    ready.client(wire.execute("c"), wire.SYNC)

    ((verb, known),) = facts(ready)
    assert (verb, "doubt" in known) == ("execute", True)


def test_a_sync_in_the_copy_of_a_simple_query_is_passed_over_as_well(ready: Play) -> None:
    ready.client(wire.query("copy t from stdin"))
    ready.target(wire.copy_in())
    ready.client(wire.SYNC, wire.SYNC, wire.copy_data(b"1\n"), wire.COPY_DONE, wire.SYNC)
    ready.target(wire.complete("COPY 1"), wire.ready(), wire.ready())
    ready.client(wire.query("select 1"))
    ready.target(wire.complete("SELECT 1"), wire.ready())

    assert not ready.closed
    assert {end[1] for end in ends(ready)} == {"ok"}
    assert ends(ready)[-1][3] == "SELECT 1"


def test_a_sync_whose_commit_fails_is_recorded_as_failed(ready: Play) -> None:
    ready.client(wire.SYNC)
    ready.target(wire.error("23505", "duplicate key"), wire.ready())

    assert [end[1] for end in ends(ready)] == ["error"]


def test_what_comes_behind_a_goodbye_reaches_nobody(ready: Play) -> None:
    ready.client(wire.query("select 1"), wire.TERMINATE, wire.query("drop table t"))
    assert ready.target_sees() == wire.query("select 1") + wire.TERMINATE
    ready.target(wire.complete("SELECT 1"), wire.ready())

    assert ready.recorded()[-1][2]["outcome"] == "ended"


def test_as_many_messages_as_a_client_likes_are_several_records(ready: Play) -> None:
    ready.client(wire.SYNC * 2_500)

    assert [len(str(known["messages"])) for _, known in facts(ready)] == [1000, 1000, 500]


def test_statements_that_hold_too_many_bytes_end_the_session(ready: Play) -> None:
    text = "select " + "1" * 1_000_000
    for number in range(150):
        ready.client(wire.parse(text, f"s{number}"))

    assert b"C54000\0" in ready.client_gets()


def test_a_tag_with_a_number_that_no_server_counts_to_ends_its_exchange_as_any_other(ready: Play) -> None:
    tag = "INSERT 0 " + "9" * 5000
    ready.client(wire.query("insert into t values (1)"))
    ready.target(wire.complete(tag), wire.ready())

    assert ends(ready) == [(2, "ok", 0, tag)]


def test_what_a_run_has_recorded_of_it_counts_as_moved_each_time_it_executes(ready: Play) -> None:
    assert ready.session is not None
    ready.client(wire.parse("select " + "1" * 10_000, "s"), wire.SYNC)
    before = ready.session.moved
    ready.client((wire.bind(statement="s") + wire.execute() + wire.SYNC) * 10)

    assert ready.session.moved - before > 100_000


def test_a_long_statement_executed_again_and_again_in_one_read_fills_no_journal(ready: Play) -> None:
    ready.client(wire.parse("select '" + "x" * 1_000_000 + "'", "s"), wire.SYNC)
    ready.target(wire.PARSED, wire.ready())
    ready.client((wire.bind(statement="s") + wire.execute()) * 1000)

    assert b"C54000\0" in ready.client_gets()
    assert ready.closed
    assert len(requests(ready)) < 70


@pytest.mark.parametrize("severity", ["FATAL", "PANIC"])
@pytest.mark.parametrize("idle", [True, False], ids=["idle", "in a statement"])
def test_a_target_that_says_why_it_ends_has_the_last_word(ready: Play, severity: str, idle: bool) -> None:
    if not idle:
        ready.client(wire.query("select pg_sleep(60)"))
    farewell = wire.error("57P01", "terminating connection due to administrator command", severity)
    ready.target(farewell)
    ready.machine.target_gone()

    # a second error is an answer too many, which drivers take for a broken protocol
    assert ready.client_gets() == farewell
    assert ready.closed


def test_a_target_that_goes_without_a_word_is_told_of(ready: Play) -> None:
    ready.client(wire.query("select 1/0"))
    ready.target(wire.error("22012", "division by zero"), wire.ready())
    said = ready.client_gets()
    ready.machine.target_gone()

    assert b"C22012\0" in said
    assert b"C08006\0" in ready.client_gets()


def run(value: bytes) -> bytes:
    """An execution as libpq sends it."""
    return wire.bind(value) + wire.describe("P") + wire.execute() + wire.SYNC


def test_what_follows_a_bind_is_recorded_alike_whether_it_ends_the_read_or_not(ready: Play) -> None:
    ready.client(wire.parse("select $1::int"), wire.SYNC)
    ready.target(wire.PARSED, wire.ready())
    answer = [
        wire.BOUND,
        wire.columns(("int4", 23)),
        wire.row(b"1"),
        wire.complete("SELECT 1"),
        wire.ready(),
    ]
    ready.target_sees()

    # what is behind the first Bind is read message by message, what is behind the second by its bytes
    ready.client(run(b"1") + run(b"1"))
    ready.target(*answer, *answer)

    assert ready.target_sees() == run(b"1") + run(b"1")
    first, second = (
        [(kind, body) for kind, number, body in ready.journal.entries if number == exchange]
        for exchange in (3, 4)
    )
    assert first == second
    assert first[0][1][3] == {"messages": "BDES"}


def test_what_renames_makes_later_names_doubtful_when_it_is_run_by_one_read(ready: Play) -> None:
    ready.client(wire.parse("select 1", "s1"), wire.parse("discard all"), wire.SYNC)
    ready.target(wire.PARSED, wire.PARSED, wire.ready())
    ready.client(wire.bind(), wire.describe("P"), wire.execute(), wire.SYNC)
    ready.target(wire.BOUND, wire.NO_DATA, wire.complete("DISCARD ALL"), wire.ready())

    ready.recorded()
    ready.client(wire.bind(statement="s1"), wire.describe("P"), wire.execute(), wire.SYNC)

    ((verb, known),) = facts(ready)
    assert (verb, "doubt" in known) == ("execute", True)


def test_an_exchange_that_ends_with_its_only_reply_is_recorded_with_it(ready: Play) -> None:
    portals = [wire.bind(statement="s", portal=name) for name in ("a", "c")]
    ready.client(wire.parse("insert", "s"), *portals, wire.FLUSH)
    ready.target(wire.PARSED, wire.BOUND, wire.BOUND)
    ready.recorded()

    ready.client(wire.execute("a"), wire.execute("c"), wire.SYNC, wire.close("S", "s"), wire.SYNC)
    said = wire.complete("INSERT 0 1")
    ready.target(said, said, wire.ready(), wire.CLOSED, wire.ready())

    of = [(kind, exchange) for kind, exchange, _ in ready.recorded() if kind is not Kind.REQUEST]
    numbers = sorted({exchange for _, exchange in of})
    assert len(numbers) == 3
    assert of == [(kind, number) for number in numbers for kind in (Kind.TO_CLIENT, Kind.FINISH)]
