"""Passwords in statements, connection strings and messages: S3cr3t must never come out."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bodycam.policy.redaction import Redactor

REDACTOR = Redactor()
R = "[redacted]"

FORMS = [
    ("CREATE ROLE bob PASSWORD 'S3cr3t'", f"CREATE ROLE bob PASSWORD '{R}'"),
    (
        "create user bob with login encrypted password 'S3cr3t' valid until 'x'",
        f"create user bob with login encrypted password '{R}' valid until 'x'",
    ),
    ("ALTER ROLE bob PASSWORD E'S3cr3t\\'S3cr3t'", f"ALTER ROLE bob PASSWORD E'{R}'"),
    ("ALTER ROLE bob PASSWORD U&'S3cr3t'", f"ALTER ROLE bob PASSWORD U&'{R}'"),
    ("ALTER ROLE bob PASSWORD $$S3cr3t$$", f"ALTER ROLE bob PASSWORD $${R}$$"),
    ("ALTER GROUP bob PASSWORD $tag$S3cr3t$x$S3cr3t$tag$;", f"ALTER GROUP bob PASSWORD $tag${R}$tag$;"),
    (
        "ALTER ROLE bob PASSWORD -- hm 'no'\n /* a /* b */ c */ 'S3cr3t'",
        f"ALTER ROLE bob PASSWORD -- hm 'no'\n /* a /* b */ c */ '{R}'",
    ),
    ("ALTER ROLE bob PASSWORD 'S3cr3t''S3cr3t'; SELECT 1", f"ALTER ROLE bob PASSWORD '{R}'; SELECT 1"),
    ("ALTER ROLE bob PASSWORD 'S3cr3t'\n  'S3cr3t'", f"ALTER ROLE bob PASSWORD '{R}'\n  '{R}'"),
    ("ALTER ROLE bob PASSWORD 'S3cr3t", f"ALTER ROLE bob PASSWORD '{R}"),
    ("ALTER ROLE bob PASSWORD $a$S3cr3t$b$", f"ALTER ROLE bob PASSWORD $a${R}"),
    ("CREATE USER bob IDENTIFIED BY 'S3cr3t'", f"CREATE USER bob IDENTIFIED BY '{R}'"),
    (
        'CREATE USER bob IDENTIFIED WITH native BY "S3cr3t"',
        f'CREATE USER bob IDENTIFIED WITH native BY "{R}"',
    ),
    ("SET PASSWORD FOR bob = PASSWORD('S3cr3t')", f"SET PASSWORD FOR bob = PASSWORD('{R}')"),
    (
        "CREATE USER MAPPING FOR bob SERVER s OPTIONS (user 'bob', password 'S3cr3t')",
        f"CREATE USER MAPPING FOR bob SERVER s OPTIONS (user 'bob', password '{R}')",
    ),
    (
        "ALTER SERVER s OPTIONS (SET \"password\" 'S3cr3t')",
        f"ALTER SERVER s OPTIONS (SET \"password\" '{R}')",
    ),
    (
        "CREATE SUBSCRIPTION s CONNECTION 'host=h user=u password=S3cr3t dbname=d' PUBLICATION p",
        f"CREATE SUBSCRIPTION s CONNECTION 'host=h user=u password={R} dbname=d' PUBLICATION p",
    ),
    (
        "CREATE SUBSCRIPTION s CONNECTION 'password = ''S3cr3t S3cr3t'' host=h' PUBLICATION p",
        f"CREATE SUBSCRIPTION s CONNECTION 'password = ''{R}'' host=h' PUBLICATION p",
    ),
    (
        "SELECT dblink_connect('host=h password=''S3cr3t\\''S3cr3t''')",
        f"SELECT dblink_connect('host=h password=''{R}''')",
    ),
    (
        "SELECT dblink('host=h password=S3cr3t', 'SELECT 1')",
        f"SELECT dblink('host=h password={R}', 'SELECT 1')",
    ),
    (
        "SELECT dblink('postgresql://u:S3cr3t@h:5432/d', 'SELECT 1')",
        f"SELECT dblink('postgresql://u:{R}@h:5432/d', 'SELECT 1')",
    ),
    (
        "DO $$ BEGIN EXECUTE 'ALTER ROLE x PASSWORD ''S3cr3t'''; END $$",
        f"DO $$ BEGIN EXECUTE 'ALTER ROLE x PASSWORD ''{R}'''; END $$",
    ),
    (
        "EXECUTE 'ALTER ROLE x PASSWORD ' || quote_literal('S3cr3t')",
        f"EXECUTE 'ALTER ROLE x PASSWORD ' || quote_literal('{R}')",
    ),
    ("UPDATE users SET password = 'S3cr3t' WHERE id = 1", f"UPDATE users SET password = '{R}' WHERE id = 1"),
    ("COPY t FROM PROGRAM 'PGPASSWORD=S3cr3t psql -h x'", f"COPY t FROM PROGRAM 'PGPASSWORD={R} psql -h x'"),
    ("SELECT 1 -- postgres://u:S3cr3t@h/d", f"SELECT 1 -- postgres://u:{R}@h/d"),
    (
        'INSERT INTO c VALUES (\'{"user": "u", "password": "S3cr3t"}\')',
        f'INSERT INTO c VALUES (\'{{"user": "u", "password": "{R}"}}\')',
    ),
    ("host=h password=S3cr3t\\ S3cr3t dbname=d", f"host=h password={R} dbname=d"),
    ("host=h password='S3cr3t\\'S3cr3t' dbname=d", f"host=h password='{R}' dbname=d"),
    ("https://u:S3cr3t@h/x?y", f"https://u:{R}@h/x?y"),
    (
        "postgresql://h/d?user=u&password=S3cr3t&sslmode=require",
        f"postgresql://h/d?user=u&password={R}&sslmode=require",
    ),
    ("redis://:S3cr3t%40S3cr3t@h", f"redis://:{R}@h"),
    ("Server=h;User Id=u;Password=S3cr3t S3cr3t;Database=d", f"Server=h;User Id=u;Password={R};Database=d"),
    ("jdbc:sqlserver://h;user=u;password=S3cr3t;x=y", f"jdbc:sqlserver://h;user=u;password={R};x=y"),
    ("PGPASSWORD=S3cr3t psql", f"PGPASSWORD={R} psql"),
    (
        "could not connect with host=h password=S3cr3t dbname=d",
        f"could not connect with host=h password={R} dbname=d",
    ),
    ("it's wrong near PASSWORD 'S3cr3t'", f"it's wrong near PASSWORD '{R}'"),
    ("near \"ALTER ROLE bob PASSWORD 'S3cr3t'\"", f"near \"ALTER ROLE bob PASSWORD '{R}'\""),
]

PLAIN = [
    "SELECT password FROM users WHERE password IS NULL",
    "SELECT * FROM users WHERE password = $1",
    "SELECT * FROM users u JOIN v ON u.password = v.password",
    "SELECT * FROM users u JOIN v ON u.password=v.password",
    "UPDATE users SET password = crypt($1, gen_salt('bf'))",
    "SET password_encryption = 'scram-sha-256'",
    "SELECT password::text FROM users",
    "ALTER ROLE bob PASSWORD NULL",
    "SELECT 'https://host:8080/path@x'",
    "SELECT 'http://host/a:b'",
    "INSERT INTO passwords VALUES ('x')",
    "ALTER ROLE bob PASSWORD '[redacted]'",
]


@pytest.mark.parametrize(("text", "expected"), FORMS)
def test_the_value_is_replaced_and_the_rest_still_reads(text: str, expected: str) -> None:
    redacted, count = REDACTOR.redact(text)
    assert redacted == expected
    assert count >= 1
    assert "S3cr3t" not in redacted


@pytest.mark.parametrize(("text", "expected"), FORMS)
def test_bytes_are_redacted_as_text_is(text: str, expected: str) -> None:
    assert (
        REDACTOR.redact_bytes(text.encode() + b" \xff\x85")[0].removesuffix(b" \xff\x85") == expected.encode()
    )


@pytest.mark.parametrize("text", PLAIN)
def test_what_holds_no_password_stays_the_same_object(text: str) -> None:
    assert REDACTOR.redact(text) == (text, 0)
    assert REDACTOR.redact(text)[0] is text


@pytest.mark.parametrize(
    "text",
    ["SELECT 1 /* password ' */ ; DROP TABLE t; -- '", "SELECT $a$password '$a$, 1; DROP TABLE t; -- '"],
)
def test_a_value_never_reaches_beyond_its_comment_or_constant(text: str) -> None:
    assert "; DROP TABLE t;" in REDACTOR.redact(text)[0]


@pytest.mark.parametrize(("text", "_"), FORMS)
def test_twice_is_once(text: str, _: str) -> None:
    once = REDACTOR.redact(text)[0]
    assert "S3cr3t" not in REDACTOR.redact(once)[0]


@pytest.mark.parametrize("level", [1, 2, 3, 4])
@pytest.mark.parametrize("statement", ["ALTER ROLE x PASSWORD 'S3cr3t'", "SELECT dblink('password=S3cr3t')"])
def test_a_constant_within_constants_is_found_at_any_depth(level: int, statement: str) -> None:
    for _ in range(level):
        statement = "EXECUTE '" + statement.replace("'", "''") + "'"
    assert "S3cr3t" not in REDACTOR.redact(statement)[0]


PIECES = st.sampled_from(
    [
        "'",
        "''",
        '"',
        "$$",
        "$a$",
        "--",
        "\n",
        "/*",
        "*/",
        "password",
        "PASSWORD ",
        "=",
        " ",
        "E'",
        "\\",
        "://",
        "u:p@h",
        "identified by ",
        "x",
        "pwd=",
        ";",
        "(",
        "&",
        "?",
        "é",
        "\0",
        "||",
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=40).map("".join))
def test_any_text_is_redacted_without_an_error(text: str) -> None:
    redacted, count = REDACTOR.redact(text)
    assert (count == 0) == (redacted is text)
    REDACTOR.redact_bytes(text.encode())


HOSTILE = [
    "'",
    "''",
    '"',
    "$$",
    "$a$",
    "$a",
    "--",
    "-- password\n",
    "/*",
    "/* */",
    "password ",
    "password='",
    "E'\\",
    "://",
    "://a:b",
    "a://b:c@",
    "identified with ",
    "password /*",
    "passwordpassword",
    "password=",
    "'password",
    "password '",
    "\\'password ",
    "PASSWORD 'a'\n",
    "password --",
    '"password" ',
    "?password=a",
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_the_time_grows_with_the_length_and_not_with_its_square(piece: str) -> None:
    def seconds(size: int) -> float:
        text = "password" + piece * (size // len(piece))
        start = time.process_time()
        REDACTOR.redact(text)
        return time.process_time() - start

    small = min(seconds(1 << 15) for _ in range(3))
    large = min(seconds(1 << 18) for _ in range(1))
    # eight times the length; a square would be sixty-four times
    assert large < 30 * small + 0.05
