"""The command `bodycam run`: options, and every failure as one message with its exit code."""

import os
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from bodycam.net.control_access import NoAccess, find_access
from bodycam.net.control_client import ControlClient, ControlError
from bodycam.run.attempt import Attempt, Wish
from bodycam.run.failure import NOTHING_STARTED, RunFailure

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def run(
    command: Annotated[list[str], typer.Argument(help="The command and its arguments, after --.")],
    agent: Annotated[str, typer.Option("--agent", help="The declared agent that acts.")],
    label: Annotated[
        list[str] | None, typer.Option("--label", help="A label, KEY=VALUE; may repeat.")
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option("--target", help="The target that clients open by default, where several fit."),
    ] = None,
    keep_env: Annotated[
        bool, typer.Option("--keep-env", help="Start although a variable names a target's real host.")
    ] = False,
    private_home: Annotated[
        bool,
        typer.Option(
            "--private-home", help="Give the child a HOME with what leads to the gateway, and no more."
        ),
    ] = False,
    ttl: Annotated[
        str | None, typer.Option("--ttl", help="The lease between renewals: 90s, 30m, 12h.")
    ] = None,
    url: Annotated[str | None, typer.Option("--url", help="The control API; else BODYCAM_URL.")] = None,
) -> None:
    """Run a command whose clients reach their targets through the gateway, recorded.

    Exits with the command's own code, 128+n if signal n ended it, 127 if it was not found, 126 if it is
    not executable, and 125 if nothing was started. There is no unrecorded mode.
    """
    wish = Wish(
        agent,
        command,
        _labels(label or []),
        tuple(target or ()),
        _seconds(ttl),
        keep_env=keep_env,
        private_home=private_home,
    )
    code = _guarded(lambda: _go(wish, url))
    raise typer.Exit(code)


def _go(wish: Wish, url: str | None) -> int:
    with ControlClient(find_access(os.environ, url=url)) as client:
        return Attempt(client, os.environ, _say).go(wish)


def _guarded(action: Callable[[], int]) -> int:
    try:
        return action()
    except RunFailure as failure:
        _say(failure.message, failure.hint)
        return failure.code
    except (ControlError, NoAccess) as error:
        _say(f"nothing was started: {error.message}", error.hint)
        return NOTHING_STARTED
    except OSError as error:
        _say(f"nothing was started: {error}", "check the space and the rights in the temporary folder")
        return NOTHING_STARTED


def _say(line: str, hint: str = "") -> None:
    shown = f"bodycam: {line}{f'; {hint}' if hint else ''}"
    # one line, whatever a server or a variable's name put into it
    print("".join(c if c.isprintable() else "\\x%02x" % ord(c) for c in shown), file=sys.stderr, flush=True)  # noqa: T201, UP031


def _labels(given: list[str]) -> dict[str, str]:
    labels = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not name or not equals:
            raise typer.BadParameter("expected KEY=VALUE", param_hint="--label")
        labels[name] = value
    return labels


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    number, unit = text[:-1], text[-1:]
    if not number.isascii() or not number.isdigit() or unit not in _UNITS or len(number) > 9:
        raise typer.BadParameter("expected a duration such as 90s, 30m or 12h", param_hint="--ttl")
    return float(int(number) * _UNITS[unit])
