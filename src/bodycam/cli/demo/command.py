"""The command `bodycam demo`."""

import secrets
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer

from bodycam.cli.demo import agent_program
from bodycam.cli.demo.approver import approver
from bodycam.cli.demo.database import database, path_with
from bodycam.cli.demo.expectation import counts, exchanges_of, faults, leaks, over_ssh
from bodycam.cli.demo.gateway import AGENT, PACKING, Gateway
from bodycam.cli.demo.host import Host, host
from bodycam.cli.demo.stores import decoded
from bodycam.cli.demo.web import web
from bodycam.cli.failure import NO
from bodycam.cli.options import Json
from bodycam.cli.printing import print_json, print_line, print_raw, tell


def command(
    once: Annotated[bool, typer.Option("--once", help="Stop everything when the run is over.")] = False,
    as_json: Json = False,
) -> None:
    """Record a real AutoGen run over PostgreSQL, HTTP and SSH, offline, and show what was recorded.

    Without --once the gateway and all behind it go on until Ctrl-C. Exits 0 only if the record is exactly as
    expected and verifies.
    """
    # ended from outside, it takes its children along as at Ctrl-C
    signal.signal(signal.SIGTERM, _interrupt)
    with ExitStack() as stack:
        # short, because the paths of Unix sockets are
        folder = Path(tempfile.mkdtemp(prefix="bcam-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        tell("starting the database")
        shop = stack.enter_context(database(secrets.token_hex(16)))
        there = stack.enter_context(web(shop.token))
        tell("starting a machine to reach by SSH")
        found = stack.enter_context(host())
        without = found if isinstance(found, str) else None
        if without is not None:
            tell(f"the run goes without SSH: {without}")
        machine = None if isinstance(found, str) else found
        tell("starting the gateway")
        gateway = Gateway(folder, shop, there, machine)
        gateway.command("init", "--settings", str(gateway.settings))
        stack.enter_context(gateway.serving())
        with approver(gateway) as approved:
            answer = _record(
                gateway,
                {
                    "PATH": path_with(shop.programs),
                    "SHOP_API": f"http://127.0.0.1:{there.warehouse_port}",
                    "MODEL_API": f"http://127.0.0.1:{there.model_port}/v1",
                    "DATABASE_AT": f"127.0.0.1:{shop.port}",
                    **_packing(machine),
                },
            )
        answer["ssh"] |= {"without": without}
        answer["approved"] = [one["id"] for one in approved]
        wrong = faults(answer, AGENT, curl=shutil.which("curl") is not None, ssh=machine is not None)
        wrong += leaks(decoded(gateway.folder), shop.token, there.model_key)
        if as_json:
            print_json({**answer, "ok": not wrong, "faults": wrong})
        else:
            _show(gateway, answer)
        for one in wrong:
            tell(f"not as expected: {one}")
        if not once:
            _stay(gateway, answer)
    if wrong:
        raise typer.Exit(NO)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _packing(machine: Host | None) -> Mapping[str, str]:
    """What the agent knows of the machine that it reaches by SSH."""
    return {} if machine is None else {"PACKING": PACKING, "SHELF": str(machine.shelf)}


def _record(gateway: Gateway, environment: Mapping[str, str]) -> dict[str, Any]:
    tell("an AutoGen run under `bodycam run`, with psql, psycopg, curl, requests, httpx, ssh and a model")
    if shutil.which("curl") is None:
        tell("there is no curl on this machine: the run goes without")
    program = [sys.executable, str(Path(agent_program.__file__))]
    done = gateway.command(
        *("run", "--agent", AGENT, "--label", "demo=1", "--", *program),
        environment=environment,
        capture=False,
        check=False,
    )
    run = gateway.ask("runs", "list", "--limit", "1")["runs"][0]
    sessions = gateway.ask("sessions", "--run", run["id"])["sessions"]
    sessions.sort(key=lambda one: one["opened"])
    transcripts = {one["id"]: gateway.ask("show", one["id"])["transcript"] for one in sessions}
    exchanges = [
        exchange | {"target": one["target"], "at": one["opened"] + exchange["at"]}
        for one in sessions
        for exchange in exchanges_of(one["id"], transcripts[one["id"]])
    ]
    return {
        "run": run["id"],
        "agent": run["agent"],
        "principal": run["principal"],
        "grade": run["grade"],
        "exit_code": done.returncode,
        "sessions": sessions,
        "exchanges": exchanges,
        "http": counts(exchanges),
        "ssh": over_ssh(exchanges),
        "rows": [
            row
            for entries in transcripts.values()
            for entry in entries
            if entry["type"] == "rows"
            for row in entry["rows"]
        ],
        "verify": _verify(gateway, run["id"]),
    }


def _verify(gateway: Gateway, run: str) -> Any:
    """Offline, with the public key and the head that the run's end left outside the gateway's data."""
    head = gateway.folder / "state" / "bodycam" / "heads" / f"{run}.json"
    key = gateway.folder / "keys" / "public" / "signing.pem"
    arguments = ["verify", "--offline", "--data", str(gateway.folder / "data"), "--key", str(key)]
    return gateway.ask(*arguments, *(["--head", str(head)] if head.exists() else []), check=False)


def _show(gateway: Gateway, answer: Mapping[str, Any]) -> None:
    print_line(f"\n== bodycam show {answer['run']}".lstrip())
    print_raw(gateway.command("show", answer["run"]).stdout)
    print_line(f"== bodycam replay {answer['run']}")
    print_raw(gateway.command("replay", "--no-wait", answer["run"]).stdout)
    verified = answer["verify"]
    print_line("== bodycam verify --offline --key ... --head ...")
    counts = (verified.get("counts") or {}).items()
    print_line(f"{verified.get('state')}: {', '.join(f'{number} {name}' for name, number in counts)}")


def _stay(gateway: Gateway, answer: Mapping[str, Any]) -> None:
    tell("\nAll of it goes on; look around from another terminal:\n")
    for name, value in gateway.variables.items():
        tell(f"  export {name}={value}")
    tell(f"  bodycam show {answer['run']}")
    tell("  bodycam search lamp")
    tell("  bodycam leaks")
    tell("  bodycam tail")
    tell(f"  bodycam run --agent {AGENT} -- psql")
    if answer["ssh"]["without"] is None:
        tell(f"  bodycam run --agent {AGENT} -- ssh {PACKING} uname -a")
    tell("")
    tell("Ctrl-C stops and removes all of it.")
    try:
        signal.pause()
    except KeyboardInterrupt:
        tell("stopping")
