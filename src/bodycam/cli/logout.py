"""`bodycam logout`: forgets the sign-in on this machine, and takes it back where it was given."""

import os
from dataclasses import replace

from bodycam.cli.options import Json, Url
from bodycam.cli.printing import print_json, tell
from bodycam.net.control_access import ControlAccess, find_gateway
from bodycam.net.control_client import ControlClient, ControlError
from bodycam.net.sign_in.failure import SignInFailed
from bodycam.net.sign_in.kept import Kept, sign_in_file
from bodycam.net.sign_in.provider import post


def command(as_json: Json = False, url: Url = None) -> None:
    """Forget the sign-in for this gateway, and take it back where it was given; runs go on."""
    access = find_gateway(os.environ, url=url)
    file = sign_in_file(os.environ, access.url)
    with file.locked():
        kept = file.read()
        was = file.forget()
    revoked = kept is not None and (_ended(access, kept) if kept.by_gateway else _revoked(kept))
    if as_json:
        print_json({"signed_out": was, "revoked": revoked})
    elif not was:
        tell("you were not signed in here")
    else:
        by = "the gateway" if kept is not None and kept.by_gateway else "the provider"
        tell("signed out" if revoked else f"signed out; {by} did not take the sign-in back")


def _ended(access: ControlAccess, kept: Kept) -> bool:
    """Ask the gateway to end the sign-in that it keeps; whether it is over."""
    try:
        with ControlClient(replace(access, key=kept.id_token)) as client:
            client.delete("/v1/sign-ins/own")
    except ControlError as error:
        return error.code == "signed-out"
    return True


def _revoked(kept: Kept) -> bool:
    """Ask the provider to take the refresh token back (RFC 7009); whether it did."""
    if kept.refresh_token is None or kept.revocation_endpoint is None:
        return False
    form = {"token": kept.refresh_token, "token_type_hint": "refresh_token"}
    try:
        return not post(kept.at(), kept.revocation_endpoint, form).error
    except SignInFailed:
        return False
