"""A process between real clients of files and real servers, `sftp -D` and `scp -S` start it as `python -m`.

The relay runs over standard input and output; what was recorded is written to a file as lines of JSON. With
`--scp` what it is called with ends in the command, as ssh is called; without, it is the SFTP server's.
"""

import argparse
import json
import os
import selectors
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from bodycam.model.event import Kind
from bodycam.model.operation import Operation
from bodycam.model.target import Target
from bodycam.protocols.ssh.files.fault import FilesFault
from bodycam.protocols.ssh.files.relay import SftpRelay
from bodycam.protocols.ssh.files.scp import ScpRelay
from tests.playbook.play import GRANT, Play
from tests.playbook.sftp_stage import Desk, judging

_AT_ONCE = 1 << 16


def recorded(file: Path) -> list[tuple[str, int, Any]]:
    """What a process between wrote down: kind, exchange and body of each event, data left out."""
    return [tuple(json.loads(line)) for line in file.read_text().splitlines()]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("record", type=Path)
    parser.add_argument("--deny", default="")
    parser.add_argument("--scp", action="store_true")
    parser.add_argument("server", nargs="+")
    asked = parser.parse_args()
    command = ["sh", "-c", asked.server[-1]] if asked.scp else asked.server
    play = Play(lambda play: None, policy=judging(**{asked.deny: "deny"} if asked.deny else {}))  # type: ignore[arg-type, return-value]
    session = play.open(replace(GRANT, target=Target("build", "ssh"), database="", dial=None), {})
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert server.stdin is not None
    assert server.stdout is not None
    to_server, from_server = server.stdin.fileno(), server.stdout.fileno()
    channel = session.request(Operation("exec" if asked.scp else "sftp", ""))
    ways = (lambda data: _write(1, data), lambda data: _write(to_server, data))
    relay: SftpRelay | ScpRelay | None
    if asked.scp:
        relay = ScpRelay.of(asked.server[-1], session, channel, *ways, Desk())
    else:
        told = lambda line: _write(2, f"bodycam: {line}\n".encode())  # noqa: E731
        relay = SftpRelay(session, channel, *ways, Desk(), told)
    assert relay is not None
    with selectors.DefaultSelector() as selector:
        selector.register(0, selectors.EVENT_READ)
        selector.register(from_server, selectors.EVENT_READ)
        try:
            _carry(selector, relay, server, from_server)
        except FilesFault as fault:
            _write(2, f"bodycam: {fault}\n".encode())
    relay.target_ended()
    server.stdin.close()
    server.stdout.close()
    code = server.wait(20)
    with asked.record.open("w") as file:
        for kind, exchange, body in play.journal.entries:
            if kind not in (Kind.TO_CLIENT, Kind.TO_TARGET):
                file.write(json.dumps([kind.name, exchange, body], default=lambda value: value.hex()) + "\n")
    sys.exit(code)


def _carry(
    selector: selectors.BaseSelector,
    relay: SftpRelay | ScpRelay,
    server: subprocess.Popen[bytes],
    from_server: int,
) -> None:
    """Until the server is through. It reads what is asked before it ends."""
    assert server.stdin is not None
    while True:
        for key, _ in selector.select(30):
            data = os.read(key.fd, _AT_ONCE)
            if key.fd == 0:
                if data:
                    relay.from_client(data)
                else:
                    selector.unregister(0)
                    relay.client_ended()
                    server.stdin.close()
            elif data:
                relay.from_target(data)
            else:
                return


def _write(where: int, data: bytes) -> None:
    while data:
        data = data[os.write(where, data) :]


if __name__ == "__main__":
    main()
