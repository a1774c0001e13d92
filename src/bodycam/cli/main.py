"""The whole command line: every command registered once, and every failure shown the same way."""

import importlib
import sys
from collections.abc import Callable, Mapping

import typer

from bodycam.cli.failure import INTERRUPTED, NO, OK, UNREACHABLE, USAGE, Failure
from bodycam.cli.printing import tell

# name -> module of this package; a module has `command`, or `app` where the command has its own commands
COMMANDS: Mapping[str, str] = {
    "init": "init",
    "serve": "serve",
    "demo": "demo.command",
    "runs": "runs",
    "sessions": "sessions",
    "show": "show",
    "replay": "replay",
    "search": "search",
    "leaks": "leaks",
    "tail": "tail",
    "kill": "kill",
    "verify": "verify",
    "export": "export",
    "reindex": "reindex",
    "keys": "keys",
    "redact": "redact",
    "doctor": "doctor",
    "config": "config",
    "policy": "policy",
    "targets": "targets",
    "accounts": "accounts",
    "approvals": "approvals",
    "audit": "audit",
    "legal-hold": "legal_hold",
    "retention": "retention",
    "login": "login",
    "logout": "logout",
    "whoami": "whoami",
    "sign-ins": "sign_ins",
}


def build(extra: Mapping[str, Callable[..., None]] | None = None, *, only: str | None = None) -> typer.Typer:
    """The Typer app; `extra` are commands that live outside this package.

    With `only` the one command of that name is loaded, which spares the others' imports; for a name that is
    not a command, all are, so that help and errors know them.
    """
    app = typer.Typer(
        name="bodycam",
        help="The session-recording gateway for AI agents.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog="Exit codes: 0 done, 1 no, 2 usage or settings, 3 gateway unreachable, 125 nothing started.",
    )
    app.callback(invoke_without_command=True)(_root)
    chosen = COMMANDS
    if only is not None and only in {**COMMANDS, **(extra or {})}:
        chosen = {name: module for name, module in COMMANDS.items() if name == only}
    for name, module in chosen.items():
        found = importlib.import_module(f"bodycam.cli.{module}")
        if hasattr(found, "app"):
            app.add_typer(found.app, name=name)
        else:
            app.command(name)(found.command)
    for name, function in (extra or {}).items():
        app.command(name, context_settings={"ignore_unknown_options": False})(function)
    return app


def invoke(app: typer.Typer, arguments: list[str]) -> int:
    """Run one command line and return its exit code; what goes wrong is told on standard error."""
    try:
        app(args=arguments, prog_name="bodycam")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else NO
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        return _closed_pipe()
    except Exception as error:
        said = _told(error)
        if said is None:
            raise
        message, hint, code = said
        tell(f"bodycam: {message}" + (f"\n  {hint}" if hint else ""))
        return code
    return OK


def _told(error: Exception) -> tuple[str, str, int] | None:
    # what can go wrong is known by those parts that not every command has loaded
    from bodycam.config import SettingsError
    from bodycam.net.control_access import InClear, NoAccess
    from bodycam.net.control_client import ControlError, GatewayUnreachable
    from bodycam.net.sign_in.failure import SignInFailed

    match error:
        case Failure():
            return error.message, error.hint, error.code
        case GatewayUnreachable():
            return error.message, error.hint, UNREACHABLE
        case ControlError() | SignInFailed():
            return error.message, error.hint, NO
        case InClear():
            return error.message, error.hint, USAGE
        case NoAccess():
            return error.message, error.hint, UNREACHABLE
        case SettingsError():
            return (
                str(error),
                "`bodycam config schema` and docs/configuration.md say what belongs where",
                USAGE,
            )
        case OSError():
            return str(error), "", NO
        case _:
            return None


def _closed_pipe() -> int:
    # the reader (head, less) has seen enough; leave nothing for the interpreter to flush into it
    sys.stdout = None
    return OK


def _root(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Show the version and exit.", is_eager=True),
) -> None:
    if version:
        import bodycam

        typer.echo(bodycam.__version__)
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(USAGE)
