"""Law 3: no credential of ours or of a target is ever at rest, wherever one looks."""

import base64
from pathlib import Path

import psycopg
import pytest

from tests import stage


def content(path: Path) -> bytes:
    """What a file holds; nothing if the gateway is done with it and has taken it away."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def test_no_credential_is_at_rest_in_journal_recording_index_catalog_or_log(gateway: stage.Gateway) -> None:
    run = gateway.run()
    for target in ("by-scram", "by-clear", "by-md5"):
        with psycopg.connect(run.dsn(target)) as connection:
            connection.execute("select 1")
    token = run.dsn().replace(run.run, "token", 1)
    with psycopg.connect(token) as connection:
        connection.execute("select 2")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(run.dsn("wrong-password"))
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(run.dsn().replace(run.secret, f"{run.secret}x"))
    gateway.end(run)

    key = (gateway.folder / "keys" / "admin.key").read_text().strip()
    secrets = [run.secret, stage.PASSWORD, "not-it", key]
    wanted = [form for text in secrets for form in (text.encode(), base64.b64encode(text.encode()))]
    places = [path for path in gateway.data.rglob("*") if path.is_file()] + [gateway.log]
    assert len(places) > 5
    found = [(path.name, form[:4]) for path in places for form in wanted if form in content(path)]
    assert found == []


def test_the_transcripts_hold_no_credential_either(gateway: stage.Gateway) -> None:
    run = gateway.run()
    with psycopg.connect(run.dsn("by-clear"), application_name="hinted") as connection:
        connection.execute("select 3")
    ended = gateway.end(run)

    (session,) = ended["sessions"]
    said = gateway.api("GET", f"/v1/sessions/{session}/transcript").text
    assert "hinted" in said
    assert "select 3" in said
    assert run.secret not in said
    assert stage.PASSWORD not in said
