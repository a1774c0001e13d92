"""An AutoGen run whose code dumps a secret, by SSH too, tries to drop a table, and may once a person agrees.

What the run did is looked for afterwards in everything that the gateway keeps, decrypted.
"""

import json
import secrets
import string
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bodycam.cli.demo.stores import FILE, JOURNAL, RECORDING, decoded
from tests import openssh, stage

TOKEN = "sk_live_" + "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(24))
SSN = "321-54-9876"
RULES = [
    {
        "name": "drops-need-a-person",
        "when": 'op.sql.kinds.exists(k, k == "drop")',
        "then": "require_approval",
        "message": "a person has to agree that a table goes",
        "by": ["dba"],
        "wait": "1s",
    }
]
PROGRAM = '''\
import asyncio, sys, tempfile
from autogen_agentchat.agents import AssistantAgent, CodeExecutorAgent
from autogen_agentchat.conditions import TextMentionTermination
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_ext.code_executors.local import LocalCommandLineCodeExecutor
from autogen_ext.models.replay import ReplayChatCompletionClient

DUMP = """```bash
psql -X -At -c "select * from wallets" -c "copy wallets to stdout" -c "select upper(token), reverse(ssn) from wallets"
pg_dump --data-only -t wallets || echo "no dump"
ssh web1 "cat DUMPED; cut -c1-20 DUMPED >&2; exit 3" || echo "ssh ended with $?"
echo "put dump.txt DUMPED.copy" > batch; ssh web1 cat DUMPED > dump.txt; sftp -q -b batch web1
ssh -o ExitOnForwardFailure=yes -W 127.0.0.1:DATABASE web1 || echo "no way on"
```"""
DROP = """```python
import time
import psycopg

with psycopg.connect("", autocommit=True) as connection:
    for attempt in range(60):
        try:
            connection.execute("drop table old_wallets")
            print("dropped at last" if attempt else "dropped at once")
            break
        except psycopg.errors.InsufficientPrivilege as error:
            if attempt == 0:
                print(error)
            print(*connection.execute("select 'still here', count(*) from old_wallets").fetchone())
            time.sleep(0.3)
```"""

async def main():
    model = ReplayChatCompletionClient([DUMP, DROP, "ALL DONE"])
    with tempfile.TemporaryDirectory() as folder:
        async with LocalCommandLineCodeExecutor(work_dir=folder, timeout=90) as executor:
            team = RoundRobinGroupChat(
                [
                    AssistantAgent("analyst", model_client=model, description="Writes code."),
                    CodeExecutorAgent("computer", code_executor=executor, supported_languages=["python", "bash"]),
                ],
                termination_condition=TextMentionTermination("ALL DONE", sources=["analyst"]),
                max_turns=8,
            )
            async for message in team.run_stream(task="Clean up."):
                if hasattr(message, "to_text") and getattr(message, "source", "") == "computer":
                    print(message.to_text(), flush=True)

asyncio.run(main())
'''


@pytest.fixture(scope="module")
def office(server: stage.Postgres, sshd: openssh.OpenSsh) -> Iterator[stage.Gateway]:
    server.sql(
        "drop table if exists wallets, old_wallets",
        "create table wallets (id int, token text, ssn text)",
        f"insert into wallets values (1, '{TOKEN}', '{SSN}')",
        "create table old_wallets as select * from wallets",
    )
    masking = [{"detect": ["secrets"]}, {"columns": ["*wallets.ssn"]}]
    web1 = {
        "protocol": "ssh",
        "address": f"127.0.0.1:{sshd.port}",
        "user": sshd.user,
        "private_key": {"file": str(sshd.key)},
        "host_keys": [" ".join(sshd.host_key.split()[:2])],
    }
    with stage.gateway(
        {"shop": stage.shop(server), "web1": web1},
        listen={"ssh": f"127.0.0.1:{stage.free_port()}"},
        rules=RULES,
        masking=masking,
    ) as made:
        made.bodycam("accounts", "create", "ann", "--human", "--group", "dba", check=True)
        yield made


class Person(threading.Thread):
    """Looks for what waits and lets it go through, after a while in which the client was told to come again."""

    def __init__(self, office: stage.Gateway) -> None:
        super().__init__(daemon=True)
        self._office = office
        self._key = office.bodycam("accounts", "key", "ann", check=True).stdout.strip()
        self.approved: list[dict[str, Any]] = []
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.5):
            for one in self._ask("list", "--json")["approvals"]:
                if one["state"] == "pending":
                    time.sleep(2)
                    self._ask("approve", one["id"], "--reason", "it is empty", "--json")
                    self.approved.append(one)

    def _ask(self, *arguments: str) -> Any:
        done = subprocess.run(
            [sys.executable, "-m", "bodycam", "approvals", *arguments],
            cwd=self._office.folder,
            env=stage.clean_environment() | {"BODYCAM_API_KEY": self._key},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return json.loads(done.stdout)


@pytest.mark.timeout(180)
def test_a_run_that_dumps_is_masked_and_a_drop_waits_for_a_person(
    server: stage.Postgres, office: stage.Gateway, tmp_path: Path
) -> None:
    dumped = tmp_path / "dumped"
    dumped.write_text(f"payments {TOKEN}\n")
    program = tmp_path / "agent.py"
    program.write_text(PROGRAM.replace("DUMPED", str(dumped)).replace("DATABASE", str(server.port)))
    person = Person(office)
    person.start()
    try:
        done = office.bodycam(
            "run", "--agent", "billing-bot", "--target", "shop", "--", sys.executable, str(program)
        )
    finally:
        person.over.set()
        person.join(timeout=30)
    said = done.stdout + done.stderr

    assert done.returncode == 0, said
    assert TOKEN not in said
    assert SSN not in said
    assert TOKEN.upper() not in said
    assert SSN[::-1] not in said
    assert "[bodycam:secrets.stripe-access-token]" in said
    assert "[bodycam:column]" in said
    assert "payments [bodycam:secrets.stripe-access-token]" in said
    assert "ssh ended with 3" in said
    assert "no way on" in said
    assert "[bodycam:secrets.stripe-access-token]" in (tmp_path / "dumped.copy").read_text()
    assert "pending approval" in said
    assert "still here 1" in said
    assert "dropped at last" in said
    [approved] = person.approved
    assert approved["text"] == "drop table old_wallets"
    assert server.sql("select count(*) from pg_class where relname = 'old_wallets'") == "0"
    assert server.sql("select token from wallets") == TOKEN

    [run] = {one["run"] for one in office.api("GET", "/v1/sessions?limit=50").json()["sessions"]}
    ways = {(one["verb"], one["status"]) for one in office.exchanges(run)}
    assert {("exec", "error"), ("exec", "ok"), ("write", "ok"), ("forward", "denied")} <= ways

    # session by session, in the order in which they were opened
    played = office.bodycam("replay", "--no-wait", run).stdout
    places = [played.index(part) for part in ("copy wallets to stdout", f"$ cat {dumped};", "drop table old")]
    assert places == sorted(places)
    assert "forward 127.0.0.1:" in played

    kinds: dict[str, int] = {}
    for kind, where, content in decoded(office.folder):
        for secret in (TOKEN, SSN, TOKEN.encode().hex(), SSN[::-1]):
            assert secret.encode() not in content, where
        kinds[kind] = kinds.get(kind, 0) + (b"[bodycam:" in content)
    assert kinds[JOURNAL] >= 3, kinds
    assert kinds[RECORDING] >= 3, kinds
    assert FILE in kinds
