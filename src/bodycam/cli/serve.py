"""`bodycam serve`: the gateway itself."""

import gc
from pathlib import Path

from bodycam.archive.keys import KeysUnusable
from bodycam.cli.failure import USAGE, Failure
from bodycam.cli.options import Settings
from bodycam.policy.detectors.secrets import RulesUnreadable


def command(settings: Settings = "bodycam.yaml") -> None:
    """Run the gateway until SIGTERM; SIGHUP takes a changed settings file over."""
    gc.disable()
    from bodycam.app.supervisor import serve  # the whole gateway is loaded only where it is wanted

    gc.freeze()
    gc.enable()

    try:
        serve(Path(settings))
    except RulesUnreadable as error:
        hint = "pip install kingfisher-bin; its program has to run here"
        raise Failure(f"nothing was started: {error}", hint=hint, code=USAGE) from error
    except KeysUnusable as error:
        raise Failure(f"nothing was started: {error}", hint="bodycam doctor", code=USAGE) from error
