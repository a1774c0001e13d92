"""The command line's way to the control API."""

import os

from bodycam.cli.failure import USAGE, Failure
from bodycam.net.control_access import find_access
from bodycam.net.control_client import ControlClient


def knock(url: str | None) -> ControlClient:
    """A client of the control API that the option or the environment names; use it in a `with` block.

    Raises:
        NoAccess: it is not known where the gateway is or which key to use.
    """
    return ControlClient(find_access(os.environ, url=url))


def kind_of(identifier: str) -> str:
    """`run` or `ses`, from an identifier, which then is safe to put into a path.

    Raises:
        Failure: it is neither.
    """
    kind, _, rest = identifier.partition("_")
    if kind not in ("run", "ses") or not rest.isascii() or not rest.isalnum():
        raise Failure(
            f"{identifier} is neither a run nor a session",
            hint="`bodycam runs` and `bodycam sessions` list their ids: run_... and ses_...",
            code=USAGE,
        )
    return kind
