"""Masks on results: client and record get the masked value, framing holds, and what is clean is untouched."""

from collections.abc import Mapping, Sequence

import pytest

from bodycam.model.column import Column, Holds
from bodycam.model.event import Kind
from bodycam.model.operation import Operation
from bodycam.model.relation import Relations
from bodycam.policy.masking.open_masks import Copier, Copiers, Screens
from bodycam.protocols.postgres import backend
from bodycam.session.masks import Cell, Sighting
from tests.playbook import wire
from tests.playbook.conftest import log_in
from tests.playbook.play import Play


class Stars:
    """Masks `hunter2`: by stars where text may stand, else by NULL."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        self.asked = 0

    def clean_among(self, framed: bytes) -> bool:
        # a value that is read before it is looked into says nothing as it stands
        return b"clean as it stands" in framed and b"hunter2" not in framed

    def cells(self, values: list[Cell]) -> Mapping[int, Cell] | None:
        self.asked += 1
        changed: dict[int, Cell] = {}
        for place, value in enumerate(values):
            column = self._columns[place % len(self._columns)]
            if value is None or column.holds is Holds.NOTHING:
                continue
            text = value if column.decode is None else column.decode(value)
            if b"hunter2" in text or b"68756e74657232" in text:
                changed[place] = value.replace(b"hunter2", b"*****") if column.holds is Holds.TEXT else None
        return changed or None


class Held:
    """Masks `hunter2` in a stream, and holds the last seven bytes back."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        data = (self._held + data).replace(b"hunter2", b"*****")
        self._held = data[-7:]
        return data[:-7]

    def flush(self) -> bytes:
        return self._held


class Masked:
    """Masking of `hunter2`, for both or for the record alone."""

    def __init__(self, *, record_only: bool = False) -> None:
        self._record_only = record_only
        self.columns: list[list[str]] = []

    by_name, version, lasting = False, 0, True

    def open(self, target: str, labels: Mapping[str, str], database: str, effects: object) -> "Masked":
        return self

    def wanted(self) -> None:
        return None

    def learn(self, found: Relations) -> None:
        raise AssertionError("nothing was wanted")

    def repeats(self, operation: Operation | None) -> bool:
        return True

    def hushed(self, operation: Operation | None) -> bool:
        return False

    def screens(self, columns: Sequence[Column], operation: Operation | None) -> Screens | None:
        self.columns.append([f"{column.name} {column.holds.value}" for column in columns])
        if all(column.holds is Holds.NOTHING for column in columns):
            return None
        return Screens(None, Stars(columns)) if self._record_only else Screens(Stars(columns), None)

    def copied(self, columns: int, operation: Operation | None, *, binary: bool) -> Copiers | None:
        stars = Copier(lambda data: data.replace(b"hunter2", b"*******" if binary else b"*****"))
        return Copiers(None, stars) if self._record_only else Copiers(stars, None)

    keeps_rows = keeps_parameters = True

    def copied_in(self) -> "Held":
        return Held()

    def said(self, text: str) -> str:
        return text.replace("hunter2", "*****")

    def sightings(self) -> Sequence[Sighting]:
        return ()

    def sent(self) -> Sequence[Sighting]:
        return ()


@pytest.fixture
def masked(play: Play) -> Play:
    play.masking = Masked()
    log_in(play)
    play.client_gets(), play.target_sees(), play.recorded()
    return play


def recorded_rows(play: Play) -> bytes:
    return b"".join(body[2] for kind, _, body in play.recorded() if kind is Kind.TO_CLIENT and body[0] != 3)


COLUMNS = wire.columns(("id", 23), ("secret", 25))


def test_a_value_is_masked_for_client_and_record_alike_and_the_rest_is_untouched(masked: Play) -> None:
    masked.client(wire.query("select * from t"))
    clean = [wire.row(b"1", b"fine"), wire.row(b"2", None)]
    masked.target(
        COLUMNS, *clean, wire.row(b"3", b"is hunter2!"), clean[0], wire.complete("SELECT 4"), wire.ready()
    )

    wanted = [
        COLUMNS,
        *clean,
        wire.row(b"3", b"is *****!"),
        clean[0],
        wire.complete("SELECT 4"),
        wire.ready(),
    ]
    assert masked.client_gets() == b"".join(wanted)
    assert recorded_rows(masked) == b"".join(wanted)


def test_rows_that_are_clean_as_they_stand_are_not_taken_apart_but_their_lengths_hold(masked: Play) -> None:
    rows = wire.row(b"1", b"clean as it stands") + wire.row(b"2", None)
    masked.client(wire.query("select * from t"))
    masked.target(COLUMNS, rows)
    assert masked.client_gets() == COLUMNS + rows

    masked.target(rows, wire.row(b"3"))
    assert b"a row that has not 2 columns" in masked.client_gets()


@pytest.mark.parametrize("length", range(7, 300))
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_value_of_any_length_in_any_column(masked: Play, length: int, place: int) -> None:
    values = [b"a" * 3, b"", b"zz"]
    values[place] = b"hunter2" + b"x" * (length - 7)
    masked.client(wire.query("select"))
    masked.target(wire.columns(("a", 25), ("b", 25), ("c", 25)), wire.row(*values), wire.complete("SELECT 1"))

    values[place] = b"*****" + b"x" * (length - 7)
    assert wire.row(*values) in masked.client_gets()


def test_the_stream_may_be_cut_anywhere(play: Play) -> None:
    answer = (
        COLUMNS + wire.row(b"1", b"hunter2") + wire.row(b"2", b"b") + wire.complete("SELECT 2") + wire.ready()
    )
    for place in range(1, len(answer)):
        from bodycam.protocols.postgres.machine import PostgresMachine

        one = Play(PostgresMachine, masking=Masked())
        log_in(one)
        one.client_gets()
        one.client(wire.query("select * from t"))
        one.target(answer[:place])
        one.target(answer[place:])
        assert one.client_gets() == answer.replace(wire.row(b"1", b"hunter2"), wire.row(b"1", b"*****"))


def test_a_type_that_holds_no_text_is_not_looked_into_and_one_that_takes_none_becomes_null(
    masked: Play,
) -> None:
    masked.client(wire.query("select"))
    masked.target(
        wire.columns(("n", 23), ("d", 1082)), wire.row(b"1", b"2026-01-01"), wire.complete("SELECT 1")
    )
    masked.target(
        wire.columns(("b", 17)), wire.row(b"\\x68756e74657232"), wire.complete("SELECT 1"), wire.ready()
    )

    assert wire.row(None) in masked.client_gets()
    assert masked.masking.columns == [["n nothing", "d nothing"], ["b hex"]]


def test_binary_values_are_read_before_they_are_looked_into(masked: Play) -> None:
    array = bytes.fromhex("00000001000000000000001900000001000000010000000768756e74657232")
    masked.client(
        wire.parse("select"), wire.bind(formats=(1,)), wire.describe("P"), wire.execute(), wire.SYNC
    )
    masked.target(
        wire.PARSED, wire.BOUND, wire.columns(("a", 1009), form=1), wire.row(array), wire.complete("SELECT 1")
    )

    assert wire.row(None) in masked.client_gets()


def test_rows_of_a_statement_described_long_ago_are_masked_by_its_description(masked: Play) -> None:
    masked.client(wire.parse("select", "s"), wire.describe("S", "s"), wire.SYNC)
    masked.target(wire.PARSED, wire.described(), COLUMNS, wire.ready())
    masked.client_gets()
    for _ in range(3):
        masked.client(wire.bind(statement="s"), wire.execute(), wire.SYNC)
        masked.target(wire.BOUND, wire.row(b"1", b"hunter2"), wire.complete("SELECT 1"), wire.ready())
        assert wire.row(b"1", b"*****") in masked.client_gets()
    assert masked.masking.columns[0] == ["id nothing", "secret text"]


def test_rows_that_nobody_described_are_looked_into_all_the_same(masked: Play) -> None:
    masked.client(wire.parse("select", "s"), wire.bind(statement="s"), wire.execute(), wire.SYNC)
    masked.target(
        wire.PARSED, wire.BOUND, wire.row(b"1", b"hunter2"), wire.complete("SELECT 1"), wire.ready()
    )

    assert wire.row(b"1", None) in masked.client_gets()


def test_copied_data_errors_notices_and_notifications(masked: Play) -> None:
    masked.client(wire.query("copy t to stdout"))
    masked.target(
        wire.copy_out(), wire.copy_data(b"1\tfine\n"), wire.copy_data(b"2\thunter2\n"), wire.COPY_DONE
    )
    masked.target(wire.notice("hunter2!"), wire.notification("ch", "hunter2"))
    masked.target(wire.error("22000", "bad: hunter2"), wire.ready())

    got = masked.client_gets()
    assert wire.copy_data(b"1\tfine\n") + wire.copy_data(b"2\t*****\n") in got
    assert b"hunter2" not in got
    assert got.count(b"*****") == 4
    assert b"hunter2" not in repr(masked.journal.entries).encode()


def test_for_the_record_alone(play: Play) -> None:
    play.masking = Masked(record_only=True)
    log_in(play)
    play.client_gets(), play.recorded()
    play.client(wire.query("select"))
    play.target(COLUMNS, wire.row(b"1", b"hunter2"), wire.complete("SELECT 1"), wire.ready())

    assert wire.row(b"1", b"hunter2") in play.client_gets()
    assert wire.row(b"1", b"*****") in recorded_rows(play)


FUNCTION = wire.message(b"F", b"\0\0\x0b\x6c\0\0\0\0\0\0")


def result_of(value: bytes | None) -> bytes:
    """A FunctionCallResponse."""
    size = -1 if value is None else len(value)
    return wire.message(b"V", size.to_bytes(4, "big", signed=True), value or b"")


@pytest.mark.parametrize(
    ("value", "shown"), [(b"is hunter2!", None), (b"fine", b"fine"), (None, None), (b"", b"")]
)
def test_what_a_function_gives_through_the_fast_path_is_masked(
    masked: Play, value: bytes | None, shown: bytes | None
) -> None:
    masked.client(FUNCTION)
    masked.target(result_of(value), wire.ready())

    assert masked.client_gets() == result_of(shown) + wire.ready()
    recorded = masked.recorded()
    assert not any(b"hunter2" in bytes(body[2]) for kind, _, body in recorded if kind is Kind.TO_CLIENT)
    assert [body[0] for kind, _, body in recorded if kind is Kind.FINISH] == ["ok"]


def test_a_name_of_a_column_is_masked_wherever_it_is_told(masked: Play) -> None:
    told, shown = wire.columns(("is hunter2!", 25)), wire.columns(("is *****!", 25))
    masked.client(wire.parse("select", "s"), wire.describe("S", "s"), wire.SYNC)
    masked.target(wire.PARSED, wire.described(), told, wire.ready())
    assert masked.client_gets() == wire.PARSED + wire.described() + shown + wire.ready()

    masked.client(wire.bind(statement="s"), wire.execute(), wire.SYNC)
    masked.target(wire.BOUND, wire.row(b"1"), wire.complete("SELECT 1"), wire.ready())
    masked.client(wire.query("select"))
    masked.target(told, wire.row(b"1"), wire.complete("SELECT 1"), wire.ready())
    assert masked.client_gets().endswith(shown + wire.row(b"1") + wire.complete("SELECT 1") + wire.ready())
    assert b"hunter2" not in repr(masked.recorded()).encode()


@pytest.mark.parametrize("record_only", [False, True])
@pytest.mark.parametrize("named", ["statement", "portal"])
def test_what_sql_put_under_a_name_is_masked_whatever_was_described_before(
    play: Play, named: str, record_only: bool
) -> None:
    play.masking = Masked(record_only=record_only)
    log_in(play)
    number = wire.columns(("n", 23))
    bound = wire.bind(statement="s", portal="p")
    play.client(
        wire.parse("select 1", "s"), wire.describe("S", "s"), bound, wire.describe("P", "p"), wire.FLUSH
    )
    play.target(wire.PARSED, wire.described(), number, wire.BOUND, number)
    play.client_gets(), play.recorded()

    play.client(*([wire.bind(statement="s")] if named == "statement" else []))
    play.client(wire.execute("" if named == "statement" else "p"), wire.SYNC)
    play.target(*([wire.BOUND] if named == "statement" else []))
    play.target(wire.row(b"is hunter2!"), wire.complete("SELECT 1"), wire.ready())

    assert (b"hunter2" in play.client_gets()) is record_only
    assert b"hunter2" not in repr(play.recorded()).encode()


def test_a_setting_that_the_target_reports_is_masked(masked: Play) -> None:
    masked.client(wire.query("select set_config('application_name', secret, false) from t"))
    masked.target(wire.status("application_name", "is hunter2!"), wire.complete("SELECT 1"), wire.ready())

    wanted = wire.status("application_name", "is *****!") + wire.complete("SELECT 1") + wire.ready()
    assert masked.client_gets() == wanted
    assert recorded_rows(masked) == wanted


def test_a_row_too_large_to_be_looked_into_ends_the_session_with_a_clear_error(play: Play) -> None:
    play.masking = Masked()
    log_in(play)
    play.client_gets()
    play.client(wire.query("select"))
    play.target(wire.columns(("a", 25)), wire.row(b"x" * (1 << 20))[:100])

    error = backend.error_map(play.client_gets())
    assert (error["severity"], error["code"]) == ("FATAL", "54000")
    assert error["message"].startswith(
        "the target sent more at once than the gateway holds: a message of type 'D'"
    )
    assert "limits.message_size" in error["hint"]
    assert play.closed


@pytest.mark.parametrize(
    "row",
    [
        wire.row(b"1"),
        wire.row(b"1", b"2", b"3"),
        wire.message(b"D", b"\0\2\0\0\0\1"),
        wire.message(b"D", b"\0\2\0\0\0\1a\0\0\0\x09b"),
        wire.message(b"D", b"\0\2\0\0\0\1a\0\0\0\1bc"),
        wire.message(b"D", b"\0"),
    ],
)
def test_rows_that_do_not_fit_their_description_end_the_session(masked: Play, row: bytes) -> None:
    masked.client(wire.query("select"))
    masked.target(COLUMNS, row, wire.complete("SELECT 1"))

    assert masked.closed
    assert row not in masked.client_gets()


def test_every_stretch_of_a_large_result_is_masked_and_the_rest_is_untouched(masked: Play) -> None:
    masked.client(wire.query("select"))
    rows = [wire.row(b"%d" % number, b"%d " % number + b"x" * 100) for number in range(3_000)]
    wanted = list(rows)
    for number in (0, 1, 300, 1_999, 2_000, 2_999):
        rows[number] = wire.row(b"1", b"is hunter2")
        wanted[number] = wire.row(b"1", b"is *****")
    masked.target(COLUMNS, *rows, wire.complete("SELECT 3000"), wire.ready())

    end = [wire.complete("SELECT 3000"), wire.ready()]
    assert masked.client_gets() == b"".join([COLUMNS, *wanted, *end])
    assert recorded_rows(masked) == b"".join([COLUMNS, *wanted, *end])


def test_a_row_that_does_not_fit_far_behind_others_lets_none_of_them_through(masked: Play) -> None:
    masked.client(wire.query("select"))
    rows = [wire.row(b"1", b"x" * 100)] * 2_000
    masked.target(COLUMNS, b"".join([*rows, wire.row(b"1"), *rows]))

    assert masked.closed
    assert wire.row(b"1", b"x" * 100) not in masked.client_gets()


def test_values_behind_a_row_without_any_end_the_session(masked: Play) -> None:
    masked.client(wire.query("select"))
    masked.target(wire.columns(), wire.row() + wire.row(b"hunter2"), wire.complete("SELECT 2"))

    assert masked.closed
    assert b"hunter2" not in masked.client_gets()


def test_a_row_of_no_columns_that_is_too_short_to_say_so_ends_the_session(masked: Play) -> None:
    masked.client(wire.query("select"))
    masked.target(wire.columns(), wire.message(b"D", b""))

    assert masked.closed
    assert b"doesn't say how many columns" in masked.client_gets()


def test_rows_without_columns(masked: Play) -> None:
    masked.client(wire.query("select"))
    masked.target(wire.columns(), wire.row(), wire.row(), wire.complete("SELECT 2"), wire.ready())

    assert masked.client_gets().endswith(wire.row() * 2 + wire.complete("SELECT 2") + wire.ready())


def test_what_the_target_reports_stays_as_it_is(masked: Play) -> None:
    said = wire.notice("plain") + wire.notification("ch", "x")
    masked.target(said)

    assert masked.client_gets() == said
    assert backend.error_map(wire.error("1", "x"))["code"] == "1"


def test_copied_in_the_target_gets_it_all_and_the_record_gets_it_masked(masked: Play) -> None:
    masked.client(wire.query("copy t from stdin"))
    masked.target(wire.copy_in())
    masked.target_sees(), masked.recorded()
    sent = [wire.copy_data(b"1\thun"), wire.copy_data(b"ter2\n2\tfine\n"), wire.COPY_DONE]
    masked.client(*sent)

    assert masked.target_sees() == b"".join(sent)
    kept = [body[2] for kind, _, body in masked.recorded() if kind is Kind.TO_TARGET]
    assert b"".join(part[5:] for part in kept[:-1]) == b"1\t*****\n2\tfine\n"
    assert kept[-1] == wire.COPY_DONE


def test_a_target_whose_data_is_not_kept(play: Play) -> None:
    play.masking = Masked()
    play.masking.keeps_rows = play.masking.keeps_parameters = False
    log_in(play)
    play.client_gets(), play.recorded()
    play.client(wire.parse("select $1"), wire.bind(b"mine"), wire.describe("P"), wire.execute(), wire.SYNC)
    answer = [
        wire.PARSED,
        wire.BOUND,
        COLUMNS,
        wire.row(b"1", b"theirs"),
        wire.complete("SELECT 1"),
        wire.ready(),
    ]
    play.target(*answer)

    assert play.client_gets() == b"".join(answer)
    assert b"mine" not in repr(play.journal.entries).encode()
    assert b"theirs" not in repr(play.journal.entries).encode()
    notes = [body for kind, _, body in play.recorded() if kind is Kind.NOTE]
    assert notes == [{"note": "truncated", "what": "rows are not kept at this target"}]
