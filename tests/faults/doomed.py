"""Acts of the archivist in processes that are to be killed: `python -m tests.faults.doomed`.

One process has everything imported, and forks a child for each order, a line of JSON on its standard input. It
answers with how the child ended. A child is killed by itself at a step, or `kill` seconds after it is at work.
"""

import json
import os
import signal
import sqlite3
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bodycam.archive import keeper, keystore, rewording
from bodycam.archive.keyring import Keyring
from bodycam.archive.keystore import KeyStore
from tests.unit.archive.kept import Kept, rules
from tests.unit.archive.test_redacting import STEPS, redact, redactor

SHORT = "[{name: short, keep: 1s}]"
AT_ONCE = 7


def dying(work: Callable[..., Any], *, after: bool) -> Callable[..., Any]:
    """The same, killed before or after it is done."""

    def call(*given: Any, **named: Any) -> Any:
        if after:
            work(*given, **named)
        os.kill(os.getpid(), signal.SIGKILL)

    return call


def patch(owner: Any, name: str, *, after: bool) -> None:
    setattr(owner, name, dying(getattr(owner, name), after=after))


def redaction(folder: Path, order: dict[str, Any], _ready: Callable[[], object]) -> None:
    """Redact, and die at a step."""
    kept = Kept(folder)
    kept.start()
    made = redactor(kept)
    named = {name: where for name, where, _ in STEPS} | RECORD_STEPS
    owner, attribute = named[order["step"]](kept, made)
    patch(owner, attribute, after=order["after"])
    redact(made)


RECORD_STEPS: dict[str, Callable[[Kept, Any], tuple[Any, str]]] = {
    "a record is written anew": lambda _kept, _made: (rewording, "reword"),
}


def rewrapping(folder: Path, order: dict[str, Any], ready: Callable[[], object]) -> None:
    """Wrap keys anew, and die at a step, or whenever somebody says so."""
    store = KeyStore(folder / "keys.db", Keyring(folder / "keys" / "archivist"))
    match order["step"]:
        case "a key is wrapped":
            patch(keystore, "wrap", after=order["after"])
        case "the journal is overwritten":
            patch(store, "_scrub", after=order["after"])
        case "it is committed":
            database: sqlite3.Connection = store._database
            database.set_trace_callback(
                lambda said: os.kill(os.getpid(), signal.SIGKILL) if said.startswith("COMMIT") else None
            )
    ready()
    while store.rewrap(AT_ONCE):
        pass


def keeping(folder: Path, _order: dict[str, Any], ready: Callable[[], object]) -> None:
    """Delete what is due, until somebody ends it."""
    kept = Kept(folder)
    kept.rules = rules(SHORT)
    keeper.BATCH = 3  # so that a pass has many steps
    kept.start()
    kept.clock.pass_(3600)
    ready()
    while kept.apply(trust_clock=True).deleted:
        pass


ACTS = {"redact": redaction, "rewrap": rewrapping, "keep": keeping}


def main() -> None:
    for line in sys.stdin:
        print(ended(json.loads(line)), flush=True)  # noqa: T201


def ended(order: dict[str, Any]) -> int:
    """Fork a child for an order; how it ended."""
    heard, said = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(2, 1)  # what is logged is no answer
        try:
            ACTS[order["act"]](Path(order["folder"]), order, lambda: os.write(said, b"."))
        except BaseException:  # this child must not go on as its parent
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    os.close(said)
    os.read(heard, 1)
    os.close(heard)
    if order["kill"] is not None:
        time.sleep(order["kill"])
        os.kill(child, signal.SIGKILL)  # nobody else has its id before it was waited for
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    main()
