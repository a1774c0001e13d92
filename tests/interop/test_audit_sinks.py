"""Audit events on their way out of a real gateway, whose control process dies in between."""

import json
import os
import signal
import time

from tests import stage
from tests.interop.raw import until


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
