"""What the facts say that a statement touches is what a real server locks for it, with each difference named."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from bodycam.policy.sql.analysis import analyse
from tests import stage
from tests.interop.locks import Touched, Witness

SETUP = """
create extension if not exists plpgsql;
create schema archive;
create type address as (street text, city text);
create table customers (id int, name text, ssn text, limits numeric);
create table orders (id int, total numeric, customer int, note text, placed timestamptz, lines int[], home address);
create table staging (id int, total numeric, gone bool);
create table log (id int, note text);
create table parent (id int);
create table child () inherits (parent);
create table parted (id int) partition by range (id);
create table parted_1 partition of parted for values from (0) to (10);
create table archive.orders (id int, total numeric);
create table "Odd Name" ("Total" int);
create table keyed (id int primary key, total int);
create table refers (id int references keyed);
create sequence q;
create sequence archive.q;
create table counted (id int default nextval('q'));
create view names as select id, name from customers;
create materialized view totals as select customer, sum(total) from orders group by customer;
create table ruled (id int);
create rule r as on insert to ruled do also insert into log (id) values (new.id);
create table watched (id int);
create function watch() returns trigger language plpgsql as $$ begin insert into log (id) values (1); return new; end $$;
create trigger w after insert on watched for each row execute function watch();
create function purge() returns int language sql as 'delete from log returning 1';
create procedure wipe() language sql as 'delete from log';
create index orders_total on orders (total);
insert into customers values (1, 'a', 'b', 1);
insert into keyed values (1, 1);
select nextval('archive.q');
"""


@dataclass(frozen=True, slots=True)
class Differs:
    """What the server touches and a text can't say, and what the facts say and the server doesn't lock."""

    why: str
    server_reads: frozenset[str] = frozenset()
    server_writes: frozenset[str] = frozenset()
    told_reads: frozenset[str] = frozenset()
    told_writes: frozenset[str] = frozenset()


def differs(why: str, **sets: set[str]) -> Differs:
    return Differs(why, **{name: frozenset(names) for name, names in sets.items()})


SAME = [
    "select 1",
    "select * from orders",
    "table orders",
    "SELECT Id FROM Orders",
    'select "Total" from "Odd Name"',
    "select o.id from orders o, customers c where o.customer = c.id",
    "select * from orders natural join staging",
    "select id from orders join customers using (id)",
    "select * from archive.orders",
    "select orders.id from archive.orders as o, public.customers as orders",
    "select (select max(total) from orders) from customers",
    "select id from orders where customer in (select id from customers)",
    "select id from orders where exists (select from customers c where c.id = customer)",
    "select array(select id from orders)",
    "select id from orders union select id from archive.orders",
    "select id from orders except (select id from staging intersect select id from customers)",
    "select s.id from (select * from customers) s",
    "select * from customers c, lateral (select * from orders o where o.customer = c.id) q",
    "select * from generate_series(1, 3)",
    "select * from orders tablesample system (10)",
    "select case when id > 1 then (select 1 from customers limit 1) end from orders",
    "select sum(total) over (partition by customer) from orders",
    "select id from orders order by (select max(id) from customers)",
    "select id from orders offset (select count(*) from customers)",
    "select id from orders limit (select 1 from staging limit 1)",
    "select id from only parent",
    "select row_to_json(c) from customers c",
    "select c from customers c",
    "select distinct on (customer) id from orders",
    "select customer from orders group by customer having count(*) > (select 0 from staging limit 1)",
    "select id from orders for update",
    "select o.id from orders o join customers c on true for share of o",
    "values ((select id from orders limit 1))",
    "select xmlelement(name a, (select max(id) from orders))",
    "select 1 as delete, 2 as drop",
    "select 'delete from orders'",
    "select 1 /* from orders */",
    "insert into orders (id) values (1)",
    "insert into orders default values",
    "insert into orders (id) select id from staging",
    "insert into orders (id) values ((select max(id) from archive.orders))",
    "insert into log (id) select id from customers",
    "insert into keyed (id) values (1) on conflict (id) do nothing",
    "insert into keyed as k (id) values (1) on conflict (id) do update set total = (select max(id) from staging) + k.total",
    "insert into orders (id) values (1) returning (select max(id) from customers)",
    "insert into orders (lines[1], home.street) values (1, 'x')",
    'insert into "Odd Name" values (1)',
    "update orders set total = 1",
    "update orders set total = 1 where id = 1",
    "update orders o set total = s.total from staging s where s.id = o.id",
    "update orders set (total, note) = (select total, 'x' from staging limit 1)",
    "update only parent set id = 1",
    "update orders set total = 1 returning *",
    "update archive.orders set total = (select max(total) from orders)",
    "delete from orders",
    "delete from orders where id in (select id from archive.orders)",
    "delete from orders o using customers c where c.id = o.customer",
    "delete from orders returning (select 1 from staging limit 1)",
    "truncate orders",
    "truncate orders, archive.orders",
    "merge into orders o using staging s on o.id = s.id when matched then update set total = s.total",
    "merge into orders o using (select * from staging) s on o.id = s.id when matched and s.gone then delete",
    "merge into orders o using staging s on o.id = s.id when not matched then insert (id) values (s.id)",
    "with a as (select id from orders) select * from a",
    "with orders as (select * from orders) select id from orders",
    "with recursive orders as (select 1 as id union all select id + 1 from orders where id < 3) select id from orders",
    "with recursive t as (select id from orders union select t.id from t join staging s on s.id = t.id) select * from t",
    "with a as (delete from orders returning *) select * from a",
    "with a as (delete from orders returning id) insert into archive.orders (id) select id from a",
    "with a as (insert into log default values), b as (update staging set id = 1) select 1",
    "with customers as (select 1 as id) select * from customers, archive.orders",
    "select * from (with a as (select id from orders) select * from a) q",
    "with a as (select 1) select * from a, (with b as (select id from staging) select * from b) q",
    "explain select * from orders",
    "explain analyze delete from orders",
    "explain (analyze) insert into log default values",
    "explain analyze with a as (delete from orders returning id) select * from a",
    "explain (analyze off) select id from orders",
    "explain analyze create table made as select * from orders",
    "select * into made from orders",
    "create table made as select * from orders",
    "create table made as with a as (delete from orders returning *) select * from a",
    "create temp table made as table customers",
    "create table made (id int)",
    "create table made (like orders including all)",
    "create table archive.made as values (1)",
    "create view made as select * from customers",
    "create materialized view made as select * from archive.orders",
    "create sequence made",
    "create index on orders (id)",
    "comment on column orders.id is 'x'",
    "create trigger tr before insert on orders for each row execute function watch()",
    "create rule r as on delete to orders do instead nothing",
    "create policy p on orders using (true)",
    "alter table orders add column added int",
    "alter table orders drop column note, alter column id type bigint",
    "alter table orders rename column note to remark",
    "alter table orders rename to renamed",
    "alter table staging set schema archive",
    "alter table orders enable row level security",
    "alter table orders owner to app",
    "alter table archive.orders disable trigger all",
    "alter table parted detach partition parted_1",
    "alter view names rename to renamed",
    "alter sequence archive.q restart with 5",
    "comment on table orders is 'x'",
    "drop table staging",
    "drop table archive.orders, staging",
    "drop view names",
    "drop materialized view totals",
    "drop trigger w on watched",
    "drop rule r on ruled",
    "cluster orders using orders_total",
    "copy orders from stdin",
    "copy orders to stdout",
    "copy archive.orders (id) to stdout",
    "copy (select name from customers) to stdout",
    "copy (delete from orders returning *) to stdout",
    "copy orders to '/dev/null'",
    "copy log from '/dev/null'",
    "copy orders to program 'cat > /dev/null'",
    "select nextval('q')",
    "select nextval('archive.q'), setval('q', 5)",
    "select ('q'::regclass).nextval",
    "select (home).street from orders",
    "select query_to_xml('select name from customers', true, true, '')",
    "select table_to_xml('customers', true, true, '')",
    "select ts_stat('select to_tsvector(name) from customers')",
    "do $$ begin delete from orders; end $$",
    "do $$ begin execute 'drop table ' || 'staging'; end $$",
    "do $$ declare n int; begin select count(*) into n from orders; n := (select max(id) from customers); end $$",
    "do $$ declare r record; begin for r in select * from customers loop insert into log (id) values (r.id); end loop; end $$",
    "do $$ begin if exists (select 1 from customers) then truncate log; end if; end $$",
    "do $$ begin perform nextval('q'); end $$",
    "do $$ begin execute $q$do 'begin delete from log; end'$q$; end $$",
    "declare c cursor for select * from orders",
    "prepare p as select * from orders; execute p; deallocate p",
    "select 1; update staging set id = 1; table customers",
    "set local work_mem = '1MB'",
    "show work_mem",
    "grant select on log to app",
    "create role somebody",
    "create schema made",
    "create function made() returns int language sql as 'select 1'",
    "create function made() returns int language sql as 'delete from log returning 1'",
    "select from totals",
    "lock table orders in access share mode",
    "reindex table staging",
    "savepoint a",
]

DIFFERENT = {
    "select * from names": differs(
        "a view stands for what it selects from", server_reads={"public.customers"}
    ),
    "copy (select * from names) to stdout": differs("the same in COPY", server_reads={"public.customers"}),
    "update names set name = 'x'": differs(
        "a simple view writes through", server_writes={"public.customers"}
    ),
    "select * from parent": differs("children are read with their parent", server_reads={"public.child"}),
    "update parent set id = 1": differs("and written", server_writes={"public.child"}),
    "select * from parted": differs("and partitions with their table", server_reads={"public.parted_1"}),
    "insert into parted values (1)": differs(
        "a row goes to its partition", server_writes={"public.parted_1"}
    ),
    "drop table parted": differs("a table goes with its partitions", server_writes={"public.parted_1"}),
    "truncate parent": differs("and is emptied with its children", server_writes={"public.child"}),
    "insert into counted default values": differs(
        "a default takes from a sequence", server_writes={"public.q"}
    ),
    "insert into ruled values (1)": differs("a rule does more", server_writes={"public.log"}),
    "insert into watched values (1)": differs("a trigger does more", server_writes={"public.log"}),
    "insert into refers values (1)": differs("a foreign key is looked up", server_reads={"public.keyed"}),
    "truncate keyed cascade": differs("CASCADE goes further than the text", server_writes={"public.refers"}),
    "drop table keyed cascade": differs(
        "CASCADE goes further than the text", server_writes={"public.refers"}
    ),
    "drop schema archive cascade": differs(
        "a schema takes along what is in it", server_writes={"archive.orders", "archive.q"}
    ),
    "select purge()": differs("a function's body isn't in its call", server_writes={"public.log"}),
    "call wipe()": differs("a procedure's isn't either", server_writes={"public.log"}),
    "do $$ begin execute format('delete from %I', 'log'); end $$": differs(
        "a text that is put together (unknown says so)", server_writes={"public.log"}
    ),
    "refresh materialized view totals": differs(
        "its query isn't in the text", server_reads={"public.orders"}
    ),
    "explain delete from orders": differs(
        "a plan locks as the statement would, and does nothing",
        server_writes={"public.orders"},
        told_reads={"public.orders"},
    ),
    "lock table orders": differs(
        "a lock by itself changes nothing", server_writes={"public.orders"}, told_reads={"public.orders"}
    ),
    "analyze orders": differs(
        "statistics are no data", server_writes={"public.orders"}, told_reads={"public.orders"}
    ),
    "drop index orders_total": differs(
        "the text names the index and not its table",
        server_writes={"public.orders"},
        told_writes={"public.orders_total"},
    ),
    "create table made (id int references keyed)": differs(
        "a key that is referred to gets a trigger",
        server_writes={"public.keyed"},
        told_reads={"public.keyed"},
    ),
    "create table made partition of parted for values from (20) to (30)": differs(
        "a table that gets a partition changes", server_writes={"public.parted"}, told_reads={"public.parted"}
    ),
    "create table made () inherits (parent)": differs(
        "a table that gets a child changes", server_writes={"public.parent"}, told_reads={"public.parent"}
    ),
    "select nextval('q'), currval('archive.q')": differs(
        "a sequence's last number is read under the lock of the next one",
        server_writes={"archive.q"},
        told_reads={"archive.q"},
    ),
}


@pytest.fixture(scope="module")
def witness(server: stage.Postgres) -> Iterator[Witness]:
    server.sql("create database facts")
    made = Witness(server.direct("facts"))
    try:
        made.run(SETUP)
        yield made
    finally:
        made.close()


def told(sql: str) -> Touched:
    facts = analyse(sql)
    writes = {name if "." in name else f"public.{name}" for name in facts.writes}
    reads = {name if "." in name else f"public.{name}" for name in facts.reads}
    return Touched(frozenset(reads - writes), frozenset(writes))


@pytest.mark.parametrize("sql", SAME)
def test_the_server_touches_what_the_facts_say(witness: Witness, sql: str) -> None:
    assert witness.touched(sql) == told(sql)
    assert analyse(sql).unknown == ()


@pytest.mark.parametrize("sql", DIFFERENT)
def test_the_server_touches_more_or_less_for_a_reason(witness: Witness, sql: str) -> None:
    found, said, but = witness.touched(sql), told(sql), DIFFERENT[sql]
    assert found.reads - said.reads == but.server_reads, but.why
    assert found.writes - said.writes == but.server_writes, but.why
    assert said.reads - found.reads - found.writes == but.told_reads - but.server_writes, but.why
    assert said.writes - found.writes == but.told_writes, but.why


def test_there_are_enough_statements() -> None:
    assert len({*SAME, *DIFFERENT}) >= 120
