"""Statements within constants within comments: where each begins and ends, and that nothing is shielded."""

import pytest

from bodycam.policy.redaction import Redactor

REDACTOR = Redactor()
R = "[redacted]"

FORMS = [
    ("SELECT E'it\\'s', 'pwd=S3cr3t'", f"SELECT E'it\\'s', 'pwd={R}'"),
    ("SELECT 'it\\', 'pwd=S3cr3t'", f"SELECT 'it\\', 'pwd={R}'"),
    ("SELECT namE'it\\', 'pwd=S3cr3t'", f"SELECT namE'it\\', 'pwd={R}'"),
    ("SELECT 'a''b', 'c''pwd=S3cr3t', 'd'", f"SELECT 'a''b', 'c''pwd={R}', 'd'"),
    ("SELECT $1$ 'x' $1$, 'pwd=S3cr3t'", f"SELECT $1$ 'x' $1$, 'pwd={R}'"),
    ("SELECT a$b$ 'pwd=S3cr3t' $b$", f"SELECT a$b$ 'pwd={R}' $b$"),
    ("SELECT $pwd$ ' $pwd$, 'pwd=S3cr3t'", f"SELECT $pwd$ ' $pwd$, 'pwd={R}'"),
    ("SELECT $é$ ' $é$, 'pwd=S3cr3t', 'é'", f"SELECT $é$ ' $é$, 'pwd={R}', 'é'"),
    ("DO $a$ x := $b$pwd='S3cr3t'$b$; $a$; SELECT 1", f"DO $a$ x := $b$pwd='{R}'$b$; $a$; SELECT 1"),
    ("SELECT 1 /* ' /* \" */ $$ */, 'pwd=S3cr3t'", f"SELECT 1 /* ' /* \" */ $$ */, 'pwd={R}'"),
    ("SELECT 1 /*/**/ ' */ , 'pwd=S3cr3t'", f"SELECT 1 /*/**/ ' */ , 'pwd={R}'"),
    (
        "SELECT 1 /* /* /* /* /* ' */*/*/*/*/, 'pwd=S3cr3t'",
        f"SELECT 1 /* /* /* /* /* ' */*/*/*/*/, 'pwd={R}'",
    ),
    ("SELECT 1 -- it's\n, 'pwd=S3cr3t'", f"SELECT 1 -- it's\n, 'pwd={R}'"),
    ("SELECT 'http://*/', pwd = 'S3cr3t' /* */", f"SELECT 'http://*/', pwd = '{R}' /* */"),
    ("SELECT \"it's\", 'pwd=S3cr3t'", f"SELECT \"it's\", 'pwd={R}'"),
    ('SELECT "a""\'b", \'pwd=S3cr3t\'', f'SELECT "a""\'b", \'pwd={R}\''),
    ('SELECT \'{"a": "\\"", "pwd": "S3cr3t"}\'', f'SELECT \'{{"a": "\\"", "pwd": "{R}"}}\''),
    ("SELECT E'pwd\\n=\\t\\'S3cr3t\\' x'", f"SELECT E'pwd\\n=\\t\\'{R}\\' x'"),
    ("SELECT E'x y\\nhost=h pwd=S3cr3t\\n'", f"SELECT E'x y\\nhost=h pwd={R}\\n'"),
    ("EXECUTE E'ALTER ROLE r PASSWORD x\\'S3cr3t\\''", f"EXECUTE E'ALTER ROLE r PASSWORD x\\'{R}\\''"),
    ("SELECT E'x\\\\', 'a://u:S3cr3t@h'", f"SELECT E'x\\\\', 'a://u:{R}@h'"),
    ("SELECT E'a://\\u:S3cr3t@h'", f"SELECT E'a://\\u:{R}@h'"),
    ("SELECT pwd, E'p\\assword=\\'S3cr3t\\''", f"SELECT pwd, E'p\\assword=\\'{R}\\''"),
]


@pytest.mark.parametrize(("text", "expected"), FORMS)
def test_the_value_is_found_where_the_server_would_find_it(text: str, expected: str) -> None:
    redacted, count = REDACTOR.redact(text)
    assert redacted == expected
    assert count >= 1
    assert REDACTOR.redact_bytes(text.encode())[0] == expected.encode()


EVERY_BYTE = bytes(range(256)).replace(b"'", b"").replace(b"\\", b"\\\\")


@pytest.mark.parametrize("more", [b"", EVERY_BYTE], ids=["some bytes", "every byte"])
def test_escapes_are_undone_alike_whatever_bytes_there_are(more: bytes) -> None:
    secret = rb"S3cr3t\\\'''S3cr3t"
    value = rb"E'\\ '''' \n\'x\' pwd\t=\n\'" + secret + rb"\' " + more + b"'"
    assert REDACTOR.redact_bytes(value) == (value.replace(secret, R.encode()), 1)


@pytest.mark.parametrize("size", [0, 1, 60, 61, 62, 63, 64, 300, 1100, 5000, 70_000])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("/*/*/*/*/*", "*/*/*/*/*/"),
        ("/*" + " /* */" * 40, "*/"),
        ("$tag$", "$tag$"),
        ("E'\\'", "\\''"),
        ("'", "'"),
        ('"', '"'),
        ("--", "\n"),
    ],
)
def test_a_piece_of_any_length_ends_where_it_ends(before: str, after: str, size: int) -> None:
    for fill in ("x", "*", "/", "''"):
        filler = fill * (size // len(fill))
        if before[-1:] + filler in ("**", "*/") or (before.endswith('"') and fill == "''"):
            continue
        filler = filler if fill in ("x", "''") else f" {filler.replace('*/', '* ')} "
        text = f"SELECT pwd = 'S3cr3t' {before}{filler}{after}, pwd='S3cr3t'; DROP TABLE t; PASSWORD 'S3cr3t'"
        assert REDACTOR.redact(text) == (text.replace("S3cr3t", R), 3)
