"""Values as people read them: the server's own text output is the measure."""

import random
import struct

import psycopg
import pytest

from bodycam.protocols.postgres import types

VALUES = r"""
true | false | 1::int2 | (-32768)::int2 | 2147483647 | (-9223372036854775808)::int8 | 4294967295::oid
'x'::text | ''::text | 'ä€😀'::varchar | 'ab'::char(5) | 'n'::name | 'a'::"char" | ''::"char" | '\377'::"char"
'{"a": [1, null]}'::json | '{"b":1,"a":[1,2.50,null,true]}'::jsonb | '$.a[*]'::jsonpath | '\x00ff10'::bytea
0::numeric | 1::numeric | -1.50::numeric | 12345678901234567890.123456789::numeric | 0.0001::numeric
0.00000001::numeric | 1e20::numeric | 10000::numeric | 1e-20::numeric | 'NaN'::numeric | 'Infinity'::numeric
'-Infinity'::numeric | 0.000::numeric | 123.4500::numeric(10,4) | 99999999.9999::numeric | 1e300::numeric
-0.1::numeric | 100000000.00001::numeric | 1.0e-10::numeric(30,25)
1e23::float8 | 1e15::float8 | 1e14::float8 | 123456789012345678::float8 | 0.1::float8 | 1e-4::float8
1e-5::float8 | 5e-324::float8 | 1.7976931348623157e308::float8 | '-0'::float8 | 'NaN'::float8
'-Infinity'::float8 | 100::float8 | 1.5::float8 | 9007199254740993::float8 | 2^60::float8 | -1e16::float8
1e6::float4 | 1e5::float4 | 123456.7::float4 | 0.1::float4 | 3.4028235e38::float4 | 1e-45::float4
16777216::float4 | '-0'::float4 | 1.17549435e-38::float4 | 9e9::float4 | 33554432::float4 | 'NaN'::float4
'2024-02-29'::date | '0001-01-01'::date | '0001-12-31 BC'::date | '4713-01-01 BC'::date | 'infinity'::date
'-infinity'::date | '5874897-12-31'::date | '12000-01-01'::date | '2000-01-01'::date | '1900-02-28'::date
'00:00'::time | '24:00:00'::time | '23:59:59.999999'::time | '12:34:56.5'::time | '12:34:56+02'::timetz
'12:34:56.1-05:30'::timetz | '12:34:56+05:30:15'::timetz | '2024-01-02 03:04:05.678'::timestamp
'infinity'::timestamp | '-infinity'::timestamp | '294276-12-31 23:59:59.999999'::timestamp
'4713-01-01 00:00:00 BC'::timestamp | '1999-12-31 23:59:59.000001'::timestamptz | 'infinity'::timestamptz
'2024-07-01 12:00+02'::timestamptz | '0001-01-01 00:00:00+00 BC'::timestamptz
'0'::interval | '1 year 2 mons 3 days 04:05:06.789'::interval | '-1 year -2 mons +3 days -04:05:06'::interval
'-1 day +02:03'::interval | '1 day -00:00:01'::interval | '13 months'::interval | '-1 month 5 days'::interval
'100:00:00'::interval | '-00:00:00.5'::interval | '178000000 years'::interval | '1 mon -1 day'::interval
'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid | '10.0.0.1'::inet | '10.0.0.1/8'::inet | '10.0.0.0/8'::cidr
'10.1.2.3/32'::cidr | '::1'::inet | '::'::inet | '2001:db8::1/64'::inet | '::ffff:1.2.3.4'::inet
'::1.2.3.4'::inet | '1:0:0:2:0:0:0:3'::inet | '1:0:0:2:0:0:3:4'::inet | '2001:db8::/32'::cidr
'1:2:3:4:5:6:0:0'::inet | '::2:3'::inet | '1:2:3:4:5:6:7:0'::inet | '::1:2:3:4:5:6:7'::inet
'08:00:2b:01:02:03'::macaddr | '08:00:2b:01:02:03:04:05'::macaddr8
'1234.56'::money | '-0.01'::money | '-1234567.89'::money | '0'::money
B'101'::bit(3) | B''::varbit | B'1010101011'::varbit | B'00000001'::bit(8)
'{}'::int[] | '{1,2,NULL}'::int[] | '{{1,2},{3,4}}'::int[] | '[2:3]={5,6}'::int[]
'[0:1][-1:0]={{1,2},{3,4}}'::int[] | array[[['a']]]::text[] | array['{"a": "b c"}'::jsonb]
array['a','', 'NULL','null','a b','a"b','a\b','{x}','a,b',null,E'tab\t','ä']::text[] | array['x;y']::text[]
array[1.5,'NaN']::numeric[] | array['2024-01-01 00:00'::timestamptz] | array['\x01'::bytea]
array['(1,2),(3,4)'::box,'(1,2),(3,5)'::box] | array[true,false] | array[E'a\u00a0b',E'\v']
'[1,5)'::int4range | 'empty'::int4range | '(,5]'::numrange | '[2024-01-01 00:00,)'::tsrange
'[2024-01-01 00:00+00,2025-01-01 00:00+00]'::tstzrange | '[2024-01-01,2024-02-01)'::daterange
'(,)'::int8range | array['[1,2)'::int4range] | '{[1,2),[5,8)}'::int4multirange | '{}'::int4multirange
'{[2024-01-01 00:00,2024-01-02 00:00)}'::tsmultirange | '[-infinity,infinity]'::tsrange
row(1,'a',null,'','a b','a"b','a\b','(x)',1.5) | row(row(1,'x"y'),array['a b','c']) | row() | row(null)
array[row(1,'a'),row(2,null)] | row('[1,2)'::int4range, '2024-01-01'::date)
'(1.5,2)'::point | '[(1,2),(3,4)]'::lseg | '((1,2),(3,4))'::path | '[(1,2),(3,4)]'::path
'(1,2),(3,4)'::box | '((1,2),(3,4),(5,6))'::polygon | '{1,2,3}'::line | '<(1,2),3>'::circle
'16/B374D848'::pg_lsn | '(1,2)'::tid | '123'::xid | '18446744073709551615'::xid8 | '3'::cid
'1 2 3'::int2vector | '1 2'::oidvector | ''::int2vector
"""


def both_ways(server: str, expressions: list[str]) -> list[tuple[str, str, str]]:
    """Each expression with what the server writes, and what we write of its binary form."""
    found = []
    with psycopg.connect(server, autocommit=True) as connection:
        for expression in expressions:
            shown = []
            for binary in (False, True):
                result = connection.cursor(binary=binary).execute("select " + expression).pgresult
                assert result is not None
                value = result.get_value(0, 0)
                assert value is not None
                shown.append(types.decode(result.ftype(0), int(binary), bytes(value)))
            found.append((expression, shown[0], shown[1]))
    return found


def test_binary_values_are_written_as_the_server_writes_them(server: str) -> None:
    expressions = [one for line in VALUES.strip().splitlines() for one in line.split(" | ")]

    assert len(expressions) > 150
    assert [one for one in both_ways(server, expressions) if one[1] != one[2]] == []


def test_random_values_are_written_as_the_server_writes_them(server: str) -> None:
    chance = random.Random(3)
    expressions = [f"(2.0::float8^({power}))::float4" for power in range(-148, 127, 5)]
    expressions += [f"2.0::float8^({power})" for power in range(-1070, 1023, 13)]
    for _ in range(150):
        (wide,), (narrow,) = (
            struct.unpack(">d", chance.randbytes(8)),
            struct.unpack(">f", chance.randbytes(4)),
        )
        groups = ":".join(chance.choice(["0", "0", "ffff", "1", "ab"]) for _ in range(8))
        expressions += [
            f"'{wide!r}'::float8",
            f"'{narrow!r}'::float4",
            f"'{chance.randint(-(10**30), 10**30)}e{chance.randint(-40, 40)}'::numeric",
            f"'2000-01-01'::date + {chance.randint(-2_451_545, 100_000_000)}",
            f"'2000-01-01'::timestamp + '{chance.randint(-2 * 10**11, 9 * 10**12)} s'::interval",
            f"make_interval(months => {chance.randint(-50, 50)}, secs => {chance.randint(-5000, 5000)}.25)",
            f"'{groups}/{chance.randint(0, 128)}'::inet",
        ]

    assert [one for one in both_ways(server, expressions) if one[1] != one[2]] == []


def test_every_built_in_type_has_the_servers_name(server: str) -> None:
    with psycopg.connect(server) as connection:
        rows = connection.execute(
            "select oid::int8, coalesce(array_of.typname || '[]', pg_type.typname) from pg_type"
            " left join lateral (select typname from pg_type element where element.typarray = pg_type.oid)"
            " array_of on true"
            " where typtype in ('b', 'r', 'm') and oid < 10000 and typsend <> 0 and typcategory <> 'Z'"
        ).fetchall()
    known = [(oid, name) for oid, name in rows if name not in CATALOGS]

    assert len(known) > 120
    assert [(oid, name, types.name(oid)) for oid, name in known if types.name(oid) != name] == []


CATALOGS = {"pg_type[]", "pg_attribute[]", "pg_proc[]", "pg_class[]"}


def test_types_that_a_database_made_are_shown_as_far_as_they_tell(server: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("create type mood as enum ('ok', 'very sad')")
        connection.execute("create type pair as (number int, label text)")
    values = ["'ok'::mood", "'{ok,\"very sad\"}'::mood[]", "(1,'a b')::pair", "array[(1,'a')::pair]"]

    assert [one for one in both_ways(server, values) if one[1] != one[2]] == []


@pytest.mark.parametrize(
    ("oid", "value", "shown"),
    [
        (16, "01", "t"),
        (21, "ffff", "-1"),
        (23, "0000002a", "42"),
        (20, "8000000000000000", "-9223372036854775808"),
        (1700, "000100000000000000010001", "\\x000100000000000000010001"),  # two digits where one is promised
        (1700, "0001000040000001002a", "-42.0"),
        (1082, "7fffffff", "infinity"),
        (1186, "7fffffffffffffff7fffffff7fffffff", "infinity"),  # from PostgreSQL 17 on
        (1186, "80000000000000008000000080000000", "-infinity"),
        (3802, "017b7d", "{}"),
        (3802, "027b7d", "\\x027b7d"),
        (2278, "", ""),
        (99999, "6f6b", "ok"),  # an enum of some database
        (99999, "00ff", "\\x00ff"),
        (5017, "6f6b", "\\x6f6b"),
        (0, "00000001", "\\x00000001"),
    ],
)
def test_a_binary_value_by_its_bytes(oid: int, value: str, shown: str) -> None:
    assert types.decode(oid, 1, bytes.fromhex(value)) == shown


@pytest.mark.parametrize("oid", [16, 18, 21, 23, 20, 700, 701, 1082, 1114, 1186, 1266, 1700, 2950, 869, 829,
                                 790, 1560, 1007, 3904, 4451, 2249, 600, 602, 604, 3220, 27, 22, 3802])  # fmt: skip
@pytest.mark.parametrize("value", [b"\xff", b"\xff" * 3, b"\xfe" * 13, b"\x7f\xff\xff\xff" * 5])
def test_bytes_that_are_no_value_of_the_type_are_shown_in_hexadecimal(oid: int, value: bytes) -> None:
    shown = types.decode(oid, 1, value)

    assert isinstance(shown, str)
    assert shown.encode("utf-8")


def test_text_is_read_in_the_clients_encoding() -> None:
    assert types.decode(25, 0, "grün".encode("latin-1"), "iso8859-1") == "grün"
    assert types.decode(25, 1, "grün".encode("latin-1"), "iso8859-1") == "grün"
    assert types.decode(25, 0, "grün".encode("latin-1")) == "\\x6772fc6e"
    assert types.decode(25, 0, b"a\0b") == "\\x610062"


def test_ten_bytes_can_not_ask_for_a_hundred_thousand_digits() -> None:
    huge = struct.pack(">HhHHH", 1, 32000, 0, 0, 1)

    assert types.decode(1700, 1, huge) == "\\x" + huge.hex()
    assert types.decode(1700, 1, struct.pack(">HhHHH", 0, 0, 0, 16383, 0)[:8]).startswith("\\x")


def test_records_inside_records_end_at_a_depth() -> None:
    value = struct.pack(">iIi", 1, 25, 1) + b'"'
    for _ in range(40):
        value = struct.pack(">iIi", 1, 2249, len(value)) + value

    assert types.decode(2249, 1, value) == "\\x" + value.hex()


def test_an_unknown_format_is_shown_in_hexadecimal() -> None:
    assert types.decode(23, 7, b"1") == "\\x31"
