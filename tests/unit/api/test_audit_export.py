"""Audit events reach files, syslog servers and webhooks: all of them, in order, whatever dies on the way."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from bodycam.api import audit_export
from bodycam.api.audit_events import ocsf
from bodycam.api.audit_export import AuditExport
from bodycam.api.audit_sinks import Outgoing, SinkFailed, syslog_message, taker
from bodycam.api.settings_in_use import SettingsInUse
from bodycam.catalog.audit import AuditEvent, add_event, newest_event
from bodycam.catalog.engine import reading, writing
from bodycam.config.auditing import Sink
from bodycam.net.authority import Authority, request
from bodycam.net.tls import server_context
from tests.unit.api.hook import SECRET, receiver, verified
from tests.unit.api.world import World


def enter(world: World, *names: str, at: int = 1) -> None:
    with writing(world.context.catalog) as connection:
        for name in names:
            add_event(
                connection, at=at, actor="ada@bodycam", action="viewed", object=name, detail={"run": "r"}
            )


def sinks(*described: dict[str, Any]) -> Any:
    """Settings in use with these sinks."""

    class Audit:
        sinks = tuple(Sink.model_validate(one) for one in described)

    class Settings:
        audit = Audit()

    class InUse:
        settings = Settings()

    return InUse()


@contextlib.asynccontextmanager
async def exporting(world: World, in_use: SettingsInUse) -> AsyncIterator[AuditExport]:
    export = AuditExport(
        world.context.catalog, in_use, world.folder / "sinks", "1.2.3", interval=0.01, first_pause=0.02
    )
    task = asyncio.create_task(export.run())
    try:
        yield export
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(true: Any, seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.01)


def remembered(world: World, name: str) -> bool:
    """Whether it is written down that the sink has all: who is ended before that hands over again."""
    with reading(world.context.catalog) as connection:
        newest = newest_event(connection)
    place = world.folder / "sinks" / f"{name}.json"
    return json.loads(place.read_bytes()) == {"after": newest}


def objects(file: Path) -> list[str]:
    if not file.exists():
        return []
    # what has no end yet is being written
    whole, _, _ = file.read_text().rpartition("\n")
    return [json.loads(line)["resources"][0]["uid"] for line in whole.splitlines()]


async def test_a_file_gets_what_comes_after_its_first_start_and_goes_on_where_it_was(world: World) -> None:
    file = world.folder / "audit.jsonl"
    in_use = sinks({"name": "local", "type": "file", "path": str(file)})
    enter(world, "before")
    place = world.folder / "sinks" / "local.json"
    async with exporting(world, in_use):
        await until(place.exists)
        enter(world, "one", "two")
        await until(lambda: objects(file) == ["one", "two"] and remembered(world, "local"))
    enter(world, *(f"n{number}" for number in range(250)))
    async with exporting(world, in_use) as export:
        await until(lambda: len(objects(file)) == 252)
        await until(lambda: export.most_behind == 0)
    assert objects(file) == ["one", "two", *(f"n{number}" for number in range(250))]
    assert file.stat().st_mode & 0o777 == 0o600


async def test_what_a_crash_left_between_sending_and_remembering_comes_again(world: World) -> None:
    file = world.folder / "audit.jsonl"
    in_use = sinks({"name": "local", "type": "file", "path": str(file)})
    place = world.folder / "sinks" / "local.json"
    async with exporting(world, in_use):
        await until(place.exists)
        was = place.read_bytes()
        enter(world, "one", "two")
        await until(lambda: objects(file) == ["one", "two"] and remembered(world, "local"))
    place.write_bytes(was)
    # and the last line was cut
    file.write_bytes(file.read_bytes()[:-30])
    async with exporting(world, in_use):
        await until(lambda: file.read_text().count("\n") == 4)
    said = []
    for line in file.read_text().splitlines():
        with contextlib.suppress(ValueError):
            said.append(json.loads(line)["resources"][0]["uid"])
    assert said == ["one", "one", "two"]


async def test_what_a_clock_says_holds_no_event_back(world: World) -> None:
    file = world.folder / "audit.jsonl"
    async with exporting(world, sinks({"name": "local", "type": "file", "path": str(file)})):
        await until((world.folder / "sinks" / "local.json").exists)
        enter(world, "old")
        enter(world, "of a clock that was ahead", at=2**52)
        enter(world, "behind it")
        await until(lambda: objects(file) == ["old", "of a clock that was ahead", "behind it"])


async def test_a_sink_that_fails_is_tried_again_and_no_other_waits_for_it(world: World) -> None:
    file, other = world.folder / "gone" / "audit.jsonl", world.folder / "other.jsonl"
    in_use = sinks(
        {"name": "broken", "type": "file", "path": str(file)},
        {"name": "other", "type": "file", "path": str(other)},
    )
    async with exporting(world, in_use) as export:
        await until(lambda: len(list((world.folder / "sinks").glob("*.json"))) == 2)
        enter(world, "one", "two")
        await until(lambda: objects(other) == ["one", "two"])
        await until(lambda: export.most_behind == 2)
        file.parent.mkdir()
        await until(lambda: objects(file) == ["one", "two"])
        await until(lambda: export.most_behind == 0)


async def test_a_catalog_that_fails_is_asked_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    file, failures = world.folder / "events.jsonl", iter([True, True])
    real = audit_export.events_after

    def fails(*given: Any) -> Any:
        if next(failures, False):
            raise OperationalError("select", {}, Exception("database is locked"))
        return real(*given)

    monkeypatch.setattr(audit_export, "events_after", fails)
    async with exporting(world, sinks({"name": "siem", "type": "file", "path": str(file)})):
        await until(lambda: (world.folder / "sinks" / "siem.json").exists())
        enter(world, "after")
        await until(lambda: objects(file) == ["after"])
    assert next(failures, None) is None


async def test_a_place_that_says_nothing_is_an_error_and_no_new_beginning(world: World) -> None:
    file = world.folder / "audit.jsonl"
    place = world.folder / "sinks" / "local.json"
    place.parent.mkdir()
    place.write_text("{}")
    async with exporting(world, sinks({"name": "local", "type": "file", "path": str(file)})):
        enter(world, "one")
        await asyncio.sleep(0.2)
        assert objects(file) == []
        place.write_text('{"after": 0}')
        await until(lambda: objects(file) == ["one"])


async def test_a_webhook_gets_signed_events_and_again_those_it_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    with receiver([503, 500]) as hook:
        described = {"name": "hook", "type": "webhook", "url": hook.url, "secret": {"env": "HOOK_SECRET"}}
        async with exporting(world, sinks(described)):
            await until((world.folder / "sinks" / "hook.json").exists)
            enter(world, "one", "two")
            await until(lambda: len(hook.received) >= 3)
            await asyncio.sleep(0.1)
        assert len(hook.received) == 3
        assert all(verified(one) for one in hook.received)
        assert len({one.headers["webhook-id"] for one in hook.received}) == 1
        said = json.loads(hook.received[-1].body)["events"]
        assert [one["resources"][0]["uid"] for one in said] == ["one", "two"]


class Server:
    """A syslog server, which keeps the messages that it got."""

    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.writers: list[asyncio.StreamWriter] = []

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                size = int(await reader.readuntil(b" "))
                self.got.append(await reader.readexactly(size))
        writer.close()


@contextlib.asynccontextmanager
async def syslog(context: ssl.SSLContext | None = None, port: int = 0) -> AsyncIterator[tuple[Server, int]]:
    kept = Server()
    server = await asyncio.start_server(kept.handle, "127.0.0.1", port, ssl=context)
    try:
        yield kept, server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in kept.writers:
            writer.close()


def uids(kept: Server) -> list[str]:
    return [json.loads(one.partition(b"\xef\xbb\xbf")[2])["resources"][0]["uid"] for one in kept.got]


async def test_a_syslog_server_gets_framed_messages_and_after_its_return_what_it_missed(world: World) -> None:
    async with syslog() as (kept, port):
        described = {"name": "siem", "type": "syslog", "address": f"127.0.0.1:{port}", "tls": False}
        async with exporting(world, sinks(described)):
            await until((world.folder / "sinks" / "siem.json").exists)
            enter(world, "one", "two")
            await until(lambda: uids(kept) == ["one", "two"])
            kept.writers[0].close()
            await asyncio.sleep(0.05)
            enter(world, "three")
            await until(lambda: "three" in uids(kept))
    assert kept.got[0].startswith(b"<109>1 1970-01-01T00:00:00.000Z ")


@pytest.fixture
def authority(tmp_path: Path) -> tuple[ssl.SSLContext, Path]:
    ours, asked = Authority.create("ours"), request("siem")
    ca = tmp_path / "ca.pem"
    ca.write_bytes(ours.certificate_pem)
    return server_context(asked.key_pem, ours.sign(asked.csr_pem, names=["127.0.0.1"])), ca


async def test_a_syslog_server_has_to_prove_itself(authority: tuple[ssl.SSLContext, Path]) -> None:
    context, ca = authority
    events = [Outgoing(7, 0, 1, b'{"resources":[{"uid":"one"}]}')]
    async with syslog(context) as (kept, port):
        address = f"127.0.0.1:{port}"
        known = taker(
            Sink.model_validate({"name": "a", "type": "syslog", "address": address, "ca_file": str(ca)})
        )
        await known.send(events)
        await until(lambda: uids(kept) == ["one"])
        await known.close()
        unknown = taker(Sink.model_validate({"name": "b", "type": "syslog", "address": address}))
        with pytest.raises(SinkFailed, match=address):
            await unknown.send(events)
        assert uids(kept) == ["one"]


async def test_a_syslog_server_that_is_not_there_is_said() -> None:
    nobody = taker(
        Sink.model_validate({"name": "a", "type": "syslog", "address": "127.0.0.1:1", "tls": False})
    )
    with pytest.raises(SinkFailed, match=r"127\.0\.0\.1:1"):
        await nobody.send([Outgoing(1, 0, 1, b"{}")])


def test_a_message_of_syslog_has_time_host_and_number() -> None:
    raw = syslog_message(Outgoing(42, 1_795_599_000_123_456, 1, '{"a":"ü"}'.encode()))
    head, _, said = raw.partition(b"\xef\xbb\xbf")
    assert head.startswith(b"<109>1 2026-11-25T09:30:00.123Z ")
    assert head.endswith(b" bodycam - 42 - ")
    assert json.loads(said) == {"a": "ü"}


@pytest.mark.parametrize(("severity", "priority"), [(1, 109), (2, 109), (3, 108), (5, 106)])
def test_what_matters_more_is_louder_in_syslog(severity: int, priority: int) -> None:
    assert syslog_message(Outgoing(1, 0, severity, b"{}")).startswith(f"<{priority}>1 ".encode())


def test_classes_have_what_their_schema_asks_for() -> None:
    detail = {"address": "10.0.0.9", "count": 3}
    failed = ocsf(AuditEvent(5, 1_000_000, "", "login-failed", "run_x", detail, None, None), "1.2.3")
    assert (failed["class_uid"], failed["type_uid"], failed["status_id"]) == (3002, 300201, 2)
    assert failed["user"]["name"] == "run_x"
    assert failed["src_endpoint"]["ip"] == "10.0.0.9"
    assert failed["metadata"]["uid"] == "5"
    killed = ocsf(AuditEvent(6, 2_000_000, "ada@bodycam", "session-killed", "ses_x", {}, b"\x01", 9), "1.2.3")
    assert (killed["class_uid"], killed["activity_id"], killed["severity_id"]) == (6003, 3, 3)
    assert killed["actor"]["user"]["name"] == "ada@bodycam"
    assert killed["resources"] == [{"uid": "ses_x"}]
    assert (killed["unmapped"]["ledger_leaf"], killed["unmapped"]["ledger_salt"]) == (9, "01")
    assert killed["time"] == 2000
    made = ocsf(AuditEvent(7, 1, "ada@bodycam", "key-issued", "ci", {}, None, 1), "1.2.3")
    assert (made["user"]["name"], made["activity_id"], made["activity_name"]) == ("ci", 99, "key-issued")
    strange = ocsf(AuditEvent(8, 1, "ada@bodycam", "something-new", "x", {}, None, 1), "1.2.3")
    assert (strange["class_uid"], strange["activity_name"]) == (6003, "something-new")


@pytest.mark.parametrize(
    ("described", "said"),
    [
        ({"type": "file"}, "expected a path"),
        ({"type": "file", "path": "/x", "url": "https://x/"}, "expected no url"),
        ({"type": "syslog"}, "expected an address"),
        ({"type": "syslog", "address": "siem:514", "tls": False}, "expected tls"),
        ({"type": "webhook", "url": "https://x/"}, "expected a secret"),
        ({"type": "webhook", "secret": {"env": "X"}}, "expected either url or url_from"),
        ({"type": "webhook", "url": "http://x/", "secret": {"env": "X"}}, "expected https"),
        ({"type": "pigeon"}, "file"),
    ],
)
def test_a_sink_that_is_not_whole_is_refused(described: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Sink.model_validate({"name": "one", **described})
