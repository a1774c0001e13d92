"""`bodycam serve`: the gateway itself."""

from pathlib import Path

from bodycam.cli.options import Settings


def command(settings: Settings = "bodycam.yaml") -> None:
    """Run the gateway until SIGTERM; SIGHUP takes a changed settings file over."""
    from bodycam.app.supervisor import serve  # the whole gateway is loaded only where it is wanted

    serve(Path(settings))
