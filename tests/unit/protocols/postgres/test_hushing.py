"""Which texts of the server's may quote a value, and what is left of them."""

import pytest

from bodycam.protocols.postgres import backend
from bodycam.protocols.postgres.hushing import MASKED, hushed
from bodycam.protocols.postgres.reading import message, text

ERROR, NOTICE = ord("E"), ord("N")


def said(tag: int = ERROR, **fields: str) -> bytes:
    return message(bytes((tag,)), *(letter.encode() + text(value) for letter, value in fields.items()), b"\0")


@pytest.mark.parametrize(
    "fields",
    [
        {"C": "42703", "M": 'column "nope" does not exist', "P": "8"},
        {"C": "22P02", "M": 'invalid input syntax for type integer: "x"', "P": "8"},
        {"C": "40001", "M": "could not serialize access"},
        {"C": "57014", "M": "canceling statement due to user request"},
        {"C": "42501", "M": "permission denied for table customers"},
        {"C": "00000", "M": 'table "x" does not exist, skipping'},
    ],
)
def test_what_is_said_of_the_clients_own_text_and_of_the_servers_state_stays(fields: dict[str, str]) -> None:
    assert hushed(ERROR, said(S="ERROR", **fields)) == said(S="ERROR", **fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"C": "22P02", "M": 'invalid input syntax for type integer: "123-45-6789"'},
        {"C": "42P01", "M": 'relation "123-45-6789" does not exist'},
        {"C": "23505", "M": "duplicate key", "D": "Key (ssn)=(123-45-6789) already exists."},
        {"C": "23514", "M": "check", "D": "Failing row contains (1, 123-45-6789)."},
        {"C": "P0001", "M": "123-45-6789", "W": "PL/pgSQL function f() line 1 at RAISE"},
        {"C": "42501", "M": "123-45-6789", "W": "PL/pgSQL function f() line 1 at RAISE"},
        {"C": "00000", "M": "123-45-6789", "W": "PL/pgSQL function f() line 1 at RAISE"},
        {"C": "42601", "M": "syntax error", "P": "3", "q": "select 123-45-6789", "p": "2"},
        {"C": "42622", "M": 'identifier "123-45-6789" will be truncated to "123"'},
    ],
)
def test_what_may_quote_a_value_goes_and_the_rest_stays(fields: dict[str, str]) -> None:
    raw = hushed(
        ERROR, said(S="ERROR", V="ERROR", **fields, H="Say 123-45-6789.", n="customers_pkey", F="x.c")
    )
    assert b"123-45-6789" not in raw
    found = dict(backend.error_fields(raw))
    assert found["S"] == found["V"] == "ERROR"
    assert found["C"] == fields["C"]
    assert found["n"] == "customers_pkey"
    assert found["M"] == f"{fields['C']}, constraint customers_pkey: {MASKED}"


def test_notices_are_hushed_as_errors_are() -> None:
    raw = hushed(NOTICE, said(NOTICE, S="NOTICE", C="00000", M="secret", W="PL/pgSQL function f()"))
    assert raw[:1] == b"N"
    assert b"secret" not in raw
