"""Audit events on their way out of a real gateway, whose control process dies in between."""

import contextlib
import json
import os
import signal
import socketserver
import threading
import time
from collections.abc import Iterator
from typing import Any

from tests import stage
from tests.interop.raw import until
from tests.unit.api.hook import SECRET, receiver, verified


def test_every_act_reaches_a_file_though_the_control_process_is_killed() -> None:
    with stage.folder() as folder:
        file = folder / "audit.jsonl"
        audit = {"sinks": [{"name": "local", "type": "file", "path": str(file)}]}
        with stage.gateway({}, audit=audit) as gateway:
            until((gateway.data / "audit-sinks" / "local.json").exists, "the sink's place")
            for number in range(3):
                for name in (f"before{number}", f"after{number}"):
                    gateway.bodycam("accounts", "create", f"{name}", check=True)
                time.sleep(number)
                [control] = gateway.children()["control"]
                os.kill(control, signal.SIGKILL)
                gateway.wait_ready()
            wanted = {f"{when}{number}" for number in range(3) for when in ("before", "after")}

            def taken() -> set[str]:
                whole, _, _ = file.read_text().rpartition("\n") if file.exists() else ("", "", "")
                lines = whole.splitlines()
                said = [json.loads(line) for line in lines]
                return {
                    one["user"]["name"] for one in said if one["metadata"]["event_code"] == "account-added"
                }

            until(lambda: taken() == wanted, "every account in the file", 20)
            metrics = gateway.api("GET", "/metrics").text
            assert "bodycam_audit_behind 0.0" in metrics


@contextlib.contextmanager
def syslog() -> Iterator[tuple[int, list[bytes]]]:
    """A syslog server, and the messages that it got (RFC 6587, section 3.4.1)."""
    got: list[bytes] = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while size := b"".join(iter(lambda: self.rfile.read(1).strip(), b"")):
                got.append(self.rfile.read(int(size)))

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_address[1], got
        finally:
            server.shutdown()
            thread.join()


def test_each_use_of_the_break_glass_account_is_loud_in_every_sink() -> None:
    with stage.folder() as folder, syslog() as (port, messages), receiver([]) as hook:
        file, secret = folder / "audit.jsonl", folder / "hook.secret"
        secret.write_text(SECRET)
        secret.chmod(0o600)
        audit = {
            "sinks": [
                {"name": "local", "type": "file", "path": str(file)},
                {"name": "siem", "type": "syslog", "address": f"127.0.0.1:{port}", "tls": False},
                {"name": "hook", "type": "webhook", "url": hook.url, "secret": {"file": str(secret)}},
            ]
        }
        identity = {"break_glass": {"enabled": True, "account": "emergency", "max_ttl": "5m"}}
        with stage.gateway({}, audit=audit, identity=identity) as gateway:
            places = gateway.data / "audit-sinks"
            until(lambda: len(list(places.glob("*.json"))) == 3, "the sinks' places")
            gateway.bodycam("accounts", "create", "emergency", "--group", "admins", check=True)
            key = gateway.bodycam("accounts", "key", "emergency", check=True).stdout.strip()
            why = {"Bodycam-Reason": "INC-1"}
            assert gateway.api("GET", "/v1/runs", key=key).status_code == 403
            assert gateway.api("GET", "/v1/runs", key=key, headers=why).status_code == 200

            def uses() -> list[list[dict[str, Any]]]:
                lines, _, _ = file.read_text().rpartition("\n") if file.exists() else ("", "", "")
                told = [
                    [json.loads(one) for one in lines.splitlines()],
                    [json.loads(one.partition(b"\xef\xbb\xbf")[2]) for one in messages],
                    [event for one in hook.received for event in json.loads(one.body)["events"]],
                ]
                return [
                    [one for one in sink if one["metadata"]["event_code"] == "break-glass"] for sink in told
                ]

            until(lambda: all(uses()), "the use in every sink")
            assert all(verified(one) for one in hook.received)
            for (use,) in uses():
                assert (use["severity_id"], use["class_uid"]) == (5, 3002)
                assert use["user"]["name"] == "emergency@bodycam"
                assert use["unmapped"]["detail"]["reason"] == "INC-1"
                # in the ledger before the call was answered
                assert use["unmapped"]["ledger_leaf"] is not None
            by_loudness = {one.split(b">")[0] for one in messages if b'"break-glass"' in one}
            assert by_loudness == {b"<106"}
            assert all(one.startswith(b"<106>") is (b'"break-glass"' in one) for one in messages)
