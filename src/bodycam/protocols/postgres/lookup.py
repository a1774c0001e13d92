"""Asks a database which of its relations have masked columns, and which get values from them.

On a connection of the gateway's own, so that no client's transaction is in the way. What it asks is in the
system's catalogs, which every role may read.
https://www.postgresql.org/docs/current/catalogs.html
"""

import json
from collections.abc import Hashable, Sequence
from typing import Final, final

from bodycam.model.relation import Relation, RelationColumn, Relations
from bodycam.model.target import Dial
from bodycam.protocols.postgres import backend, frontend, looking
from bodycam.protocols.postgres.cells import row_cells
from bodycam.protocols.postgres.codec import Framer, ProtocolViolation
from bodycam.protocols.postgres.target_failure import TargetLoginFailed
from bodycam.protocols.postgres.target_login import TargetLogin
from bodycam.protocols.postgres.target_scram import Channel
from bodycam.protocols.postgres.view_tree import sources
from bodycam.session.errands import ErrandFailed

APPLICATION: Final = "bodycam/masked-columns"

ANSWER_MOST: Final = 64 * 1024 * 1024
"""Bytes of one answer; a database with more views on masked columns than fit is not served."""

TREE_MOST: Final = 256 * 1024
"""Bytes of a view's query tree; what a larger one's columns come from counts as lost."""

SECONDS: Final = 10
"""How long the database may work on it."""

# the first statement makes names and operators in the next mean the system's own, whatever the role's are;
# E'' is read the same whatever standard_conforming_strings is, which a setting of the role may turn off
QUERY: Final = """\
select pg_catalog.set_config('search_path', 'pg_catalog', true),
       pg_catalog.set_config('statement_timeout', '{seconds}s', true);
with recursive named(oid) as (
    select c.oid
      from pg_class c
      join pg_namespace n on n.oid = c.relnamespace
      join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
     where c.relkind in ('r', 'p', 'f', 'v', 'm') and ({named})
), code(oid, name, source) as materialized (
    select p.oid, p.proname, lower(p.prosrc)
      from pg_proc p
      join pg_namespace n on n.oid = p.pronamespace
     where n.nspname not in ('pg_catalog', 'information_schema')
), words(oid, source, word) as (
    select distinct p.oid, p.source, w.word
      from code p
      cross join lateral (select '' union all select regexp_split_to_table(p.source, E'\\\\W+')) w(word)
), names(kind, oid, name, word) as (
    select o.kind, o.oid, o.name, coalesce((regexp_match(o.name, E'\\\\w+'))[1], '')
      from (select 'r', c.oid, replace(lower(c.relname), '"', '""')
              from pg_class c where c.relkind in ('r', 'p', 'f', 'v', 'm')
            union all
            select 'f', p.oid, replace(lower(p.name), '"', '""') from code p) o(kind, oid, name)
), leads(of_kind, of_oid, kind, oid) as materialized (
    select 'r', i.inhparent, 'r', i.inhrelid from pg_inherits i
    union all
    select 'r', i.inhrelid, 'r', i.inhparent from pg_inherits i
    union all
    select case d.refclassid when 'pg_class'::regclass then 'r' else 'f' end, d.refobjid, 'r', r.ev_class
      from pg_depend d
      join pg_rewrite r on r.oid = d.objid and r.ev_type = '1'
     where d.classid = 'pg_rewrite'::regclass
       and d.refclassid in ('pg_class'::regclass, 'pg_proc'::regclass)
    union all
    select case d.refclassid when 'pg_class'::regclass then 'r' else 'f' end, d.refobjid, 'f', p.oid
      from pg_depend d
      join code p on p.oid = d.objid
     where d.classid = 'pg_proc'::regclass
       and d.refclassid in ('pg_class'::regclass, 'pg_proc'::regclass)
    union all
    select n.kind, n.oid, 'f', w.oid
      from names n
      join words w on w.word = n.word
     where n.name = n.word or strpos(w.source, n.name) > 0
), touched(kind, oid) as (
    select 'r', oid from named
    union
    select l.kind, l.oid from touched t join leads l on l.of_kind = t.kind and l.of_oid = t.oid
)
select c.oid, n.nspname, c.relname,
       (select json_agg(json_build_array(a.attnum, a.attname, a.atttypid::bigint,
                                         coalesce(to_jsonb(a) ->> 'attgenerated', '') <> '')
                        order by a.attnum)
          from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped),
       (select json_agg(i.inhparent::bigint) from pg_inherits i where i.inhrelid = c.oid),
       (select json_agg(distinct used.place)
          from pg_rewrite r
          join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid
          cross join lateral (
            select jsonb_build_array(d.refobjid::bigint, d.refobjsubid)
             where d.refclassid = 'pg_class'::regclass and d.refobjid <> c.oid
            union all
            select jsonb_build_array(0, 0)
             where d.refclassid = 'pg_proc'::regclass
               and d.refobjid in (select f.oid from touched f where f.kind = 'f')
          ) used(place)
         where r.ev_class = c.oid and r.ev_type = '1'),
       (select r.ev_action from pg_rewrite r
         where r.ev_class = c.oid and r.ev_type = '1' and octet_length(r.ev_action::text) <= {tree})
  from touched
  join pg_class c on c.oid = touched.oid
  join pg_namespace n on n.oid = c.relnamespace
 where touched.kind = 'r'
union all
select 0, null, code.name, null, null, null, null
  from touched
  join code on code.oid = touched.oid
 where touched.kind = 'f';
select max(oid::bigint) from pg_class"""
"""What has a masked column, and all that gets values from it: parts, views, functions by their text.

A view on such a function is said to use (0, 0), which may be anything.
"""

_ANSWERS: Final = {7: "relations", 1: "newest"}
"""The results by the number of their columns; the first has two, which say nothing."""


@final
class Lookup:
    """One look-up, without I/O (`session.link.Errand`)."""

    def __init__(self, dial: Dial, wanted: Sequence[Sequence[str]]) -> None:
        self._dial, self._wanted = dial, wanted
        self._framer = Framer(limit=ANSWER_MOST, streamed=frozenset())
        self._login: TargetLogin | None = None
        self._asked = False
        self._columns = self._came = 0
        self._relations: list[Relation] = []
        self._functions: set[str] = set()
        self._newest = 0
        self.over = False

    @property
    def purpose(self) -> Hashable:
        """Look-ups of the same names find the same."""
        return tuple(map(tuple, self._wanted))

    @property
    def found(self) -> Relations:
        """What it found, once it is over."""
        return Relations(tuple(self._relations), self._newest, frozenset(self._functions))

    def begun(self, secure: bool, certificate: bytes) -> bytes:
        """The connection stands; what to send first."""
        parameters = {"application_name": APPLICATION, "client_encoding": "UTF8"}
        self._login = TargetLogin(self._dial, parameters, Channel(secure, certificate))
        return self._login.start()

    def receive(self, data: bytes) -> bytes:
        """Take what the target sent; returns what to send back.

        Raises:
            ErrandFailed: the target refused, or what it said makes no sense.
        """
        self._came += len(data)
        if self._came > ANSWER_MOST:
            raise ErrandFailed(f"the answer has more than {ANSWER_MOST} bytes")
        try:
            buffer, frames = self._framer.feed(data)
            return b"".join(self._message(buffer[start:end]) for _, start, end, _ in frames)
        except TargetLoginFailed as error:
            raise ErrandFailed(error.message) from error
        except (ProtocolViolation, ValueError, TypeError, IndexError) as error:
            raise ErrandFailed(f"the answer makes no sense: {error}") from error

    def _message(self, raw: bytes) -> bytes:
        login = self._login
        assert login is not None
        if not self._asked:
            reply = login.receive(raw) or b""
            if login.ready:
                self._asked = True
                return reply + frontend.query_message(question(self._wanted))
            return reply
        match raw[:1]:
            case b"T":
                self._columns = len(backend.row_description(raw))
            case b"D":
                self._row(row_cells(raw, 0, len(raw), self._columns))
            case b"E":
                said = backend.error_map(raw)
                raise ErrandFailed(said["message"])
            case b"Z":
                self.over = True
                return frontend.terminate()
        return b""

    def _row(self, cells: Sequence[bytes | None]) -> None:
        match _ANSWERS.get(self._columns):
            case "relations" if cells[0] == b"0":
                self._functions.add((cells[2] or b"").decode("utf-8", "replace"))
            case "relations":
                self._relations.append(_relation(cells))
            case "newest":
                self._newest = int(cells[0] or 0)


def question(wanted: Sequence[Sequence[str]]) -> str:
    """The statements that ask for columns of these names; each is two or three parts, * for any letters."""
    return QUERY.format(
        seconds=SECONDS,
        tree=TREE_MOST,
        named="\n        or ".join(map(_condition, wanted)),
    )


def _condition(parts: Sequence[str]) -> str:
    columns = ("n.nspname", "c.relname", "a.attname")[-len(parts) :]
    return " and ".join(
        f"{column} ~* {_literal('^(?:' + _pattern(part) + ')$')}"
        for column, part in zip(columns, parts, strict=True)
    )


def _pattern(part: str) -> str:
    """A name as a regular expression of PostgreSQL's; a backslash makes any sign stand for itself."""
    return "".join(
        ".*" if sign == "*" else sign if sign.isalnum() or sign == "_" else "\\" + sign for sign in part
    )


def _literal(value: str) -> str:
    # E'' reads the same whatever standard_conforming_strings is
    return "E'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def _relation(cells: Sequence[bytes | None]) -> Relation:
    number, schema, name, columns, parents, uses, tree = (
        None if cell is None else cell.decode("utf-8", "replace") for cell in cells
    )
    return Relation(
        number=int(number or 0),
        schema=schema or "",
        name=name or "",
        columns={
            place: RelationColumn(column, looking.holds(of_type), made)
            for place, column, of_type, made in json.loads(columns or "[]")
        },
        parents=tuple(json.loads(parents or "[]")),
        sources=sources(tree or ""),
        uses=tuple((relation, place) for relation, place in json.loads(uses or "[]")),
    )
