"""Which columns are masked in a database of tables, parts and views, and what a statement may look at."""

from pathlib import Path

import pytest

from bodycam.config import parse
from bodycam.config.masking import Then
from bodycam.model.column import Holds
from bodycam.model.relation import ANYTHING, Place, Relation, RelationColumn, Relations
from bodycam.policy.detectors.patterns import Patterns
from bodycam.policy.masking.copied_fields import copied_fields
from bodycam.policy.masking.leaving import FILES
from bodycam.policy.masking.origins import FRESH, LASTS, RETRY, Origins
from bodycam.policy.masking.policy import Masking, Plan
from bodycam.policy.masking.relations import MaskedRelations
from bodycam.policy.sql.analysis import analyse

NEWEST = 20_000
TEXT, NUMBER = Holds.TEXT, Holds.NOTHING


def relation(
    number: int,
    name: str,
    *columns: str,
    schema: str = "public",
    parents: tuple[int, ...] = (),
    sources: dict[int, Place] | None = None,
    uses: tuple[Place, ...] = (),
) -> Relation:
    described = {
        place: RelationColumn(column, NUMBER if column in ("id", "pin") else TEXT, column == "made")
        for place, column in enumerate(columns, 1)
    }
    return Relation(number, schema, name, described, parents, sources or {}, uses)


CUSTOMERS = relation(100, "customers", "id", "name", "ssn", "pin", "made")
PART = relation(101, "customers_2026", "ssn", "id", parents=(100,))
VIEW = relation(
    102, "v", "number", "id", "part", sources={1: (100, 3), 2: (100, 1)}, uses=((100, 1), (100, 3))
)
VIEW_ON_VIEW = relation(103, "vv", "x", "y", sources={1: (102, 1), 2: (102, 2)}, uses=((102, 1), (102, 2)))
NAMES_ONLY = relation(104, "names", "n", uses=((100, 2),))
WHOLE = relation(105, "whole", "row", uses=((100, 0),))
RELATIONS = [CUSTOMERS, PART, VIEW, VIEW_ON_VIEW, NAMES_ONLY, WHOLE]
FOUND = Relations(RELATIONS, NEWEST, frozenset({"tell"}))


def plan(patterns: Patterns, entries: str) -> Plan:
    text = "targets: {shop: {protocol: postgres, address: 'db:5432', user: app}}\nmasking:\n" + entries
    found = Masking(parse(text, file="x", folder=Path("/x")), patterns).for_target("shop", {})
    assert found is not None
    return found


@pytest.fixture
def masked(patterns: Patterns) -> MaskedRelations:
    made = plan(patterns, "  - {columns: [customers.ssn, customers.pin], then: partial}")
    return MaskedRelations(made.record, FOUND)


def test_a_column_is_masked_through_parts_and_views_and_whole_rows(masked: MaskedRelations) -> None:
    hidden = {
        place for one in RELATIONS for place in [(one.number, at) for at in one.columns] if masked.mask(place)
    }
    assert hidden == {(100, 3), (100, 4), (101, 1), (102, 1), (102, 3), (103, 1), (105, 1)}
    assert masked.mask((100, 0))
    assert masked.mask((102, 0))
    assert not masked.mask((104, 0))


def test_views_that_look_at_each_other_end(patterns: Patterns) -> None:
    one = relation(1, "one", "a", uses=((2, 1),))
    two = relation(2, "two", "a", uses=((1, 1), (2, 1)))
    masked = MaskedRelations(
        plan(patterns, "  - {columns: [customers.ssn]}").record, Relations([one, two], NEWEST)
    )
    assert masked.mask((1, 1)) is None


def test_what_was_made_since_has_no_origin_and_what_was_there_has_one(masked: MaskedRelations) -> None:
    assert masked.untold((0, 0))
    assert masked.untold((NEWEST + 1, 1))
    assert not masked.untold((NEWEST - 1, 1))
    assert not masked.untold((100, 1))


@pytest.mark.parametrize(
    ("text", "reads"),
    [
        ("select upper(ssn) from customers", True),
        ("select c.ssn || 'x' from customers c", True),
        ("select count(*) from customers", False),
        ("select max(id) from customers where name = 'x'", False),
        ("select count(*) from customers where ssn = 'x'", True),
        ("select ssn from customers union select 'x'", True),
        ("select row_to_json(c) from customers c", True),
        ("select c.row_to_json from customers c", True),
        ("select upper(c.name) from customers c", False),
        ("select count(x) from (select * from customers) s(x)", True),
        ("select lower(number) from v", True),
        ("select lower(part) from v", True),
        ("select id + 1 from v", False),
        ("select upper(x) from vv", True),
        ("select upper(n) from names", False),
        ("select upper(ssn) from customers_2026", True),
        ("select upper(ssn) from other.customers", True),
        ("select upper(ssn) from public.customers", True),
        ("select upper(note) from orders", False),
        ("select upper(ssn) from orders", False),
        ("select upper(ssn) from orders, customers", True),
        ("with q as (select ssn as z from customers) select upper(z) from q", True),
        ("select (select ssn from customers limit 1) || 'x'", True),
        ("insert into customers values (1) returning upper(ssn)", True),
        ("update customers set name = 'x' returning id + 1", False),
        ("select 1", False),
        ("select tell(1)", True),
        ("select * from public.tell(1)", True),
        ("call tell()", True),
        ("select told(1)", False),
        ("not sql at all", True),
        ('select upper("ssn") from "customers"', True),
        ('select upper("SSN") from "Customers"', True),
    ],
)
def test_a_statement_looks_at_masked_columns_or_does_not(
    masked: MaskedRelations, text: str, reads: bool
) -> None:
    assert (masked.read(analyse(text)) is not None) is reads


def test_a_value_of_lost_origin_shows_no_part_and_a_plan_shows_no_value(masked: MaskedRelations) -> None:
    lost = masked.lost(analyse("select reverse(ssn) from customers"))
    assert lost is not None
    assert lost.then is Then.REDACT
    assert masked.lost(analyse("explain analyze select upper(ssn) from customers")) is None
    assert masked.lost(analyse("explain select 1; select upper(ssn) from customers")) is not None
    assert masked.lost(analyse("explain verbose select tell(1)")) is not None
    assert masked.lost(None) is not None


def test_a_table_that_is_named_in_full_counts_before_anything_is_known_of_it(patterns: Patterns) -> None:
    masked = MaskedRelations(plan(patterns, "  - {columns: [customers.ssn, '*.pin']}").record, Relations())
    assert masked.read(analyse("select upper(ssn) from customers"))
    assert masked.read(analyse("select upper(id) from customers")) is None
    assert masked.read(analyse("select upper(pin) from orders")) is None


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("copy customers to stdout", ["id", "name", "ssn text", "pin null"]),
        ("copy customers (ssn, id) to stdout", ["ssn text", "id"]),
        ("copy public.customers (pin) to stdout", ["pin null"]),
        ("copy (select id, ssn from customers) to stdout", ["column 0 null", "column 1 null"]),
        ("copy (select id from customers) to stdout", None),
        ("copy orders to stdout", None),
        ("copy customers (id, name) to stdout", None),
        ("copy customers to stdout; copy orders to stdout", ["column 0 null"]),
    ],
)
def test_the_fields_of_a_copy_are_told_by_its_statement(
    masked: MaskedRelations, text: str, fields: list[str] | None
) -> None:
    width = 4 if fields is None else len(fields)
    found = copied_fields(masked, analyse(text), width)
    shown = (
        None
        if found is None
        else [
            one.name + ("" if one.mask is None else " text" if one.holds_text else " null") for one in found
        ]
    )
    assert shown == fields


def test_a_copy_of_another_width_than_its_relation_is_masked_whole(masked: MaskedRelations) -> None:
    found = copied_fields(masked, analyse("copy customers to stdout"), 3)
    assert found is not None
    assert all(one.mask is not None for one in found)


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("create table x as select ssn from customers", "customers.ssn"),
        ("create table x as select id, name from customers", None),
        ("select * into x from customers", "customers.*"),
        ("create view w as select number from v", "v.number"),
        ("create view w as select id from v", None),
        ("create materialized view m as select upper(ssn) from customers", "customers.ssn"),
        ("insert into x select ssn from customers", "customers.ssn"),
        ("insert into x values ((select ssn from customers limit 1))", "customers.ssn"),
        ("insert into customers (ssn) values ('1')", None),
        ("update customers set name = ssn", "customers.ssn"),
        ("update customers set name = 'x' where ssn = 'y'", None),
        ("update customers set ssn = upper(ssn)", None),
        ("update orders set note = c.ssn from customers c where c.id = customer", "customers.ssn"),
        ("merge into orders o using customers c on o.id = c.id when matched then update set note = c.ssn", "customers.ssn"),
        ("delete from customers where ssn = 'x'", None),
        ("copy customers to program 'cat'", "customers.*"),
        ("copy (select ssn from customers) to '/x'", "customers.ssn"),
        ("copy customers to stdout", None),
        ("do $$ begin perform ssn from customers; end $$", "customers.ssn"),
        ("create function f() returns text language sql as $$ select ssn from customers $$", "customers.ssn"),
        ("create function f() returns int language sql as $$ select id from customers $$", None),
        ("alter table customers rename ssn to x", "customers"),
        ("alter table customers set schema other", "customers"),
        ("alter table v rename to z", "v"),
        ("alter table orders rename note to x", None),
        ("alter table names rename n to m", None),
        ("create rule r as on insert to customers do also insert into l values (new.ssn)", "customers"),
        ("create trigger t after insert on customers for each row execute function f()", "customers"),
        ("create index on customers (ssn)", None),
        ("comment on table customers is 'x'", None),
        ("select pg_notify('x', ssn) from customers", "customers.ssn"),
        ("select set_config('a.b', ssn, false) from customers", "customers.ssn"),
        ("begin isolation level serializable; select ssn from customers; commit", None),
        ("drop table customers", None),
        ("truncate customers", None),
        ("insert into customers select * from customers", "customers.*"),
        ("insert into customers (ssn) select ssn from customers", None),
        ("insert into customers (name, ssn) select ssn, name from customers", "customers.ssn"),
        ("insert into x values (1, tell(1))", "tell"),
        ("insert into x select public.tell(1)", "public.tell"),
        ("update x set a = tell(1)", "tell"),
        ("insert into customers (ssn) values (tell(1))", None),
        ("create table x (a text default tell(1))", "tell"),
        ("create table x as select tell(1)", "tell"),
        ("create view x as select tell(1)", "tell"),
        ("create trigger t after insert on x for each row execute function tell()", "tell"),
        ("alter table x alter a type text using tell(a)", "tell"),
        ("create function f() returns text language sql as $$ select tell(1) $$", "tell"),
        ("select set_config('a.b', tell(1), false)", "tell"),
        ("do $$ begin perform tell(1); end $$", "tell"),
        ("call tell()", None),
        ("alter function tell(int) rename to harmless", "function:tell"),
        ("alter procedure public.tell(int) set schema other", "procedure:public.tell"),
        ("alter function pg_notify(text, text) rename to harmless", "function:pg_notify"),
        ("alter function f(int) rename to g", None),
        ("create function f(t text) returns void language sql as $$ insert into x values (t) $$", "function:f"),
        ("create function f(t text) returns text language sql as $$ select set_config('a.b', t, false) $$",
         "function:f"),
        ("create procedure p(t text) language plpgsql as $$ begin update x set a = t; end $$", "procedure:p"),
        ("create function f(c refcursor) returns text language plpgsql as "
         "$$ declare r record; begin fetch c into r; return r::text; end $$", "function:f"),
        ("create function f(t text) returns text language sql as $$ select upper(t) $$", None),
        ("create operator === (function = f, rightarg = int)", "operator:==="),
        ("create cast (text as x) with function f(text)", "cast:x"),
        ("create aggregate a(text) (sfunc = f, stype = text)", "aggregate:a"),
        ("drop operator === (none, int)", None),
        ("create policy p on customers using (f(ssn))", "customers"),
        ("create policy p on orders using (true)", None),
        ("alter schema public rename to other", "schema:public"),
        ("alter schema other rename to another", None),
        ("alter table parts attach partition customers for values in (1)", "customers"),
        ("create foreign table f (a text) server s options (table_name 'customers')", "foreign-table:f"),
        ("import foreign schema public from server s into local", "server:s"),
        ("create publication p for table customers", "publication:p"),
        ("select pg_read_binary_file('base/5/16384')", FILES),
        ("copy x from program 'psql -c \"table customers\"'", FILES),
        ("select * from heap_page_items(get_raw_page('customers', 0))", "heap_page_items"),
        ("select * from pg_logical_slot_peek_changes('s', null, null)", "pg_logical_slot_peek_changes"),
        ("select setseed(ssn::float) from customers", "customers.ssn"),
        ("select setseed(0.5)", None),
    ],
)  # fmt: skip
def test_values_of_masked_columns_are_not_put_where_no_mask_follows(
    patterns: Patterns, text: str, stored: str | None
) -> None:
    origins = Origins(plan(patterns, "  - {columns: [customers.ssn]}"))
    origins.learn(FOUND)
    assert origins.stores(analyse(text)) == stored


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("update customers set pin = ssn", "customers.ssn"),
        ("update customers set ssn = pin", None),
        ("update customers set note = ssn", "customers.ssn"),
        ("update customers set seen = ssn", "customers.ssn"),
        ("update customers set ssn = seen", None),
    ],
)
def test_a_value_may_go_where_no_more_of_it_shows(patterns: Patterns, text: str, stored: str | None) -> None:
    origins = Origins(
        plan(
            patterns,
            "  - {columns: [customers.ssn]}\n  - {columns: [customers.pin], then: partial}\n"
            "  - {columns: [customers.note], mask: record}\n"
            "  - {columns: [customers.seen], unless: {columns: [v.seen]}}",
        )
    )
    table = relation(100, "customers", "ssn", "pin", "note", "seen")
    origins.learn(Relations([table, relation(101, "v", "seen", sources={1: (100, 4)})], NEWEST))
    assert origins.stores(analyse(text)) == stored


def test_what_has_a_masked_part_is_masked_and_another_part_is_not(patterns: Patterns) -> None:
    whole = relation(1, "whole", "id", "tax")
    parts = [relation(2, "one", "id", "tax", parents=(1,)), relation(3, "two", "id", "tax", parents=(1,))]
    view = relation(4, "v", "t", sources={1: (1, 2)}, uses=((1, 2),))
    masked = MaskedRelations(
        plan(patterns, "  - {columns: [one.tax]}").record, Relations([whole, *parts, view], NEWEST)
    )
    assert masked.mask((1, 2))
    assert masked.mask((2, 2))
    assert masked.mask((4, 1))
    assert not masked.mask((3, 2))
    assert not masked.mask((1, 1))


def test_what_comes_from_very_many_columns_is_masked(patterns: Patterns) -> None:
    wide = relation(1, "wide", *(f"c{place}" for place in range(1500)))
    view = relation(2, "v", "up", uses=tuple((1, place + 1) for place in range(1500)))
    views = [
        relation(3 + at, f"w{at}", *(f"d{place}" for place in range(1500)), uses=((1, 0),)) for at in range(2)
    ]
    sum_of_all = relation(9, "all_of_it", "x", uses=((3, 0), (4, 0), (1, 0)))
    masked = MaskedRelations(
        plan(patterns, "  - {columns: [wide.c1499]}").record,
        Relations([wide, view, *views, sum_of_all], NEWEST),
    )
    assert masked.mask((1, 1500))
    assert not masked.mask((1, 1))
    assert masked.mask((2, 1))
    assert masked.mask((9, 1))


def test_a_view_on_a_function_that_looks_at_masked_relations_is_masked(patterns: Patterns) -> None:
    view = relation(2, "v", "id", "given", sources={1: (100, 1)}, uses=((100, 1), ANYTHING))
    masked = MaskedRelations(
        plan(patterns, "  - {columns: [customers.ssn]}").record, Relations([CUSTOMERS, view], NEWEST)
    )
    assert masked.mask((2, 2))
    assert not masked.mask((2, 1))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("analyze customers", True),
        ("analyze", True),
        ("vacuum customers", True),
        ("reindex table customers", True),
        ("analyze orders", False),
        ("select id from customers", False),
    ],
)
def test_upkeep_of_a_masked_relation_may_say_what_is_in_it(
    masked: MaskedRelations, text: str, says: bool
) -> None:
    assert masked.maintains(analyse(text)) is says


def test_where_columns_are_masked_the_samples_of_statistics_are_too(patterns: Patterns) -> None:
    stats = relation(9000, "pg_stats", "tablename", "most_common_vals", "null_frac", schema="pg_catalog")
    masked = MaskedRelations(plan(patterns, "  - {columns: [a.b]}").record, Relations([stats], NEWEST))
    assert masked.mask((9000, 2))
    assert not masked.mask((9000, 3))


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_what_is_known_is_looked_up_again_each_minute_by_one_at_a_time(patterns: Patterns) -> None:
    clock = Clock()
    origins = Origins(plan(patterns, "  - {columns: [customers.ssn], unless: {columns: [v.shown]}}"), clock)
    names = origins.wanted()
    assert names is not None
    assert ("customers", "ssn") in names
    assert ("v", "shown") in names
    assert origins.wanted() is not None, "nothing is known yet, and everybody has to wait for it"
    assert not origins.lasting

    origins.learn(FOUND)
    assert origins.version == 1
    assert origins.lasting
    assert origins.wanted() is None
    clock.now += FRESH
    assert origins.wanted() is not None
    assert origins.wanted() is None, "somebody looks it up already"
    clock.now += RETRY
    assert origins.wanted() is not None, "whoever did got no answer"

    origins.learn(FOUND)
    assert origins.version == 1, "nothing has changed"
    origins.learn(Relations([CUSTOMERS], NEWEST))
    assert origins.version == 2
    clock.now += LASTS
    assert not origins.lasting
    assert origins.wanted() is not None
    assert origins.wanted() is not None


def test_a_mask_for_the_record_alone_leaves_clients_the_value(patterns: Patterns) -> None:
    only = Origins(plan(patterns, "  - {columns: [customers.ssn], mask: record}"))
    only.learn(FOUND)
    assert only.client is None
    mixed = Origins(
        plan(patterns, "  - {columns: [customers.ssn], mask: record}\n  - {columns: [customers.pin]}")
    )
    mixed.learn(FOUND)
    assert mixed.client is not None
    assert mixed.record is not None
    assert not mixed.client.mask((100, 3))
    assert mixed.client.mask((100, 4))
    assert mixed.record.mask((100, 3))
    assert mixed.record.mask((100, 4))
