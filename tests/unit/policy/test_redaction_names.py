"""The names under which secrets stand, and what a name alone does not do: S3cr3t must never come out."""

import pytest

from bodycam.policy.detectors.names import IDENTIFIED, NAMES, WORDY, suspicious
from bodycam.policy.redaction import Redactor

REDACTOR = Redactor()
R = "[redacted]"

FORMS = [
    ("COPY t FROM PROGRAM 'MYSQL_PWD=S3cr3t mysql'", f"COPY t FROM PROGRAM 'MYSQL_PWD={R} mysql'"),
    (
        "COPY t FROM PROGRAM 'env AWS_SECRET_ACCESS_KEY=S3cr3t aws s3 ls'",
        f"COPY t FROM PROGRAM 'env AWS_SECRET_ACCESS_KEY={R} aws s3 ls'",
    ),
    ("PGPASSWORD=S3cr3t psql -h x", f"PGPASSWORD={R} psql -h x"),
    ("API_KEY=S3cr3t ./agent", f"API_KEY={R} ./agent"),
    ("OPENAI_API_KEY=S3cr3t ./agent", f"OPENAI_API_KEY={R} ./agent"),
    ("host=h sslkey=k sslpassword=S3cr3t dbname=d", f"host=h sslkey=k sslpassword={R} dbname=d"),
    ("no: host=h sslpassword=S3cr3t dbname=d", f"no: host=h sslpassword={R} dbname=d"),
    ("https://h/v1?api_key=S3cr3t&x=y", f"https://h/v1?api_key={R}&x=y"),
    ("https://h/v1?x=y&access_token=S3cr3t#z", f"https://h/v1?x=y&access_token={R}#z"),
    ("Endpoint=h;ApiKey=S3cr3t;x=y", f"Endpoint=h;ApiKey={R};x=y"),
    ('{"client_id": "u", "client_secret": "S3cr3t"}', f'{{"client_id": "u", "client_secret": "{R}"}}'),
    ('{"SecretAccessKey": "S3cr3t"}', f'{{"SecretAccessKey": "{R}"}}'),
    ('{"accessToken": "S3cr3t", "x-api-key": "S3cr3t"}', f'{{"accessToken": "{R}", "x-api-key": "{R}"}}'),
    (
        "CREATE SERVER s OPTIONS (api_key 'S3cr3t', passphrase 'S3cr3t', sslpassword 'S3cr3t')",
        f"CREATE SERVER s OPTIONS (api_key '{R}', passphrase '{R}', sslpassword '{R}')",
    ),
    ("SELECT vault_put(passphrase => 'S3cr3t')", f"SELECT vault_put(passphrase => '{R}')"),
    ("SELECT vault_put(secret := 'S3cr3t')", f"SELECT vault_put(secret := '{R}')"),
    ("INSERT INTO s VALUES ('api_key', 'S3cr3t')", f"INSERT INTO s VALUES ('api_key', '{R}')"),
    ("SELECT f('x=y secret=' || 'S3cr3t')", f"SELECT f('x=y secret=' || '{R}')"),
    ("SELECT f('x=y secret=S3cr3t z=z')", f"SELECT f('x=y secret={R} z=z')"),
    # a comparison is redacted under this name as it is under `password`
    ("SELECT 1 FROM t WHERE secret = 'S3cr3t'", f"SELECT 1 FROM t WHERE secret = '{R}'"),
    ("UPDATE t SET secret_key = E'S3cr3t\\'S3cr3t'", f"UPDATE t SET secret_key = E'{R}'"),
]

PLAIN = [
    "SELECT secret FROM t WHERE secret IS NULL",
    "SELECT secret, 'x' FROM t",
    "INSERT INTO words VALUES ('secret', 'x')",
    "SELECT 'a secret' || 'x'",
    "COMMENT ON COLUMN t.secret IS 'x'",
    "SELECT name AS secret 'x'",
    "SELECT secrets = 'x', secret_name = 'x', secretary = 'x'",
    "SELECT api_key, access_token, passphrase FROM t WHERE api_key = $1",
    "SELECT key, token FROM t WHERE token = 'x'",
    "SELECT 'the secret: x'",
]


@pytest.mark.parametrize(("text", "expected"), FORMS)
def test_what_stands_behind_a_name_is_replaced(text: str, expected: str) -> None:
    assert REDACTOR.redact(text)[0] == expected
    assert REDACTOR.redact_bytes(text.encode())[0] == expected.encode()


@pytest.mark.parametrize("text", PLAIN)
def test_a_name_alone_changes_nothing(text: str) -> None:
    assert REDACTOR.redact(text)[0] is text
    assert REDACTOR.redact(text) == (text, 0)


@pytest.mark.parametrize("name", [*NAMES, WORDY, IDENTIFIED], ids=bytes.decode)
def test_the_cheap_question_knows_every_name(name: bytes) -> None:
    assert suspicious(f"my {name.decode()} = 'x'")


@pytest.mark.parametrize("name", [*NAMES, WORDY], ids=bytes.decode)
@pytest.mark.parametrize(
    "form", ["{}=S3cr3t", "x {} = 'S3cr3t'", '"{}": "S3cr3t"', "a://h?{}=S3cr3t", "x;{}=S3cr3t;"]
)
def test_every_name_counts_in_every_form_and_in_both_cases(name: bytes, form: str) -> None:
    if b"-" in name and form.endswith(("=S3cr3t", "=S3cr3t;")) and "?" not in form:
        # a minus between two columns
        return
    for written in (name.decode(), name.decode().upper()):
        assert "S3cr3t" not in REDACTOR.redact(form.format(written))[0]
        assert (
            "S3cr3t"
            not in REDACTOR.redact(f"SELECT '{form.format(written).replace(chr(39), chr(39) * 2)}'")[0]
        )


def test_the_values_of_a_message_are_looked_at_together() -> None:
    values = [b"7", None, b"host=h password=S3cr3t", b"", b"\x00\x00\x00\x01", b"pwd='S3cr3t' \xff"]
    redacted, count = REDACTOR.redact_values(values)
    assert redacted == [
        b"7",
        None,
        b"host=h password=[redacted]",
        b"",
        b"\x00\x00\x00\x01",
        b"pwd='[redacted]' \xff",
    ]
    assert count == 2


@pytest.mark.parametrize(
    "values", [[], [None], [b"a", b"12"], [b"password"], [b"pass", b"word='x'"], [b"x" * 9000]]
)
def test_values_without_a_secret_stay_the_same_object(values: list[bytes | None]) -> None:
    assert REDACTOR.redact_values(values) == (values, 0)
    assert REDACTOR.redact_values(values)[0] is values


def test_a_statement_that_comes_again_is_answered_alike() -> None:
    redactor = Redactor()
    for _ in range(3):
        assert redactor.redact("SELECT 1") == ("SELECT 1", 0)
        assert redactor.redact("SELECT password FROM t") == ("SELECT password FROM t", 0)
        assert redactor.redact("ALTER ROLE r PASSWORD 'S3cr3t'")[0] == f"ALTER ROLE r PASSWORD '{R}'"
    for number in range(5000):
        assert redactor.redact(f"SELECT {number}")[1] == 0
    assert redactor.redact("SELECT 'pwd=S3cr3t'")[1] == 1
