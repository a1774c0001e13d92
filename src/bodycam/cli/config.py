"""`bodycam config`: is the settings file right, and what may stand in it."""

from pathlib import Path

import typer

from bodycam import config
from bodycam.app.judging import load_settings
from bodycam.cli.options import Json, Settings
from bodycam.cli.printing import print_json, tell

app = typer.Typer(help="Check the settings file, or print its JSON Schema.", no_args_is_help=True)


@app.command("check")
def check(settings: Settings = "bodycam.yaml", as_json: Json = False) -> None:
    """Say what is wrong with the settings, by line and key; exits 2 if anything is."""
    try:
        load_settings(Path(settings))
    except config.SettingsError as error:
        if not as_json:
            raise
        found = [
            {"file": one.file, "line": one.line, "key": one.key, "message": one.message}
            for one in error.problems
        ]
        print_json({"ok": False, "problems": found})
        raise typer.Exit(2) from error
    if as_json:
        print_json({"ok": True, "problems": []})
    else:
        tell(f"{settings} is right")


@app.command("schema")
def schema() -> None:
    """Print the JSON Schema of the settings file, for editors."""
    print_json(config.schema())
