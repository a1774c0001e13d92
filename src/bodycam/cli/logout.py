"""`bodycam logout`: forgets the sign-in on this machine, and takes it back at the provider."""

import os

from bodycam.cli.options import Json, Url
from bodycam.cli.printing import print_json, tell
from bodycam.net.control_access import find_gateway
from bodycam.net.sign_in.failure import SignInFailed
from bodycam.net.sign_in.kept import Kept, sign_in_file
from bodycam.net.sign_in.provider import post


def command(as_json: Json = False, url: Url = None) -> None:
    """Forget the sign-in for this gateway, and take it back at the provider; runs go on."""
    file = sign_in_file(os.environ, find_gateway(os.environ, url=url).url)
    with file.locked():
        kept = file.read()
        was = file.forget()
    revoked = kept is not None and _revoked(kept)
    if as_json:
        print_json({"signed_out": was, "revoked": revoked})
    elif not was:
        tell("you were not signed in here")
    else:
        tell("signed out" if revoked else "signed out; the provider did not take the sign-in back")


def _revoked(kept: Kept) -> bool:
    """Ask the provider to take the refresh token back (RFC 7009); whether it did."""
    if kept.refresh_token is None or kept.revocation_endpoint is None:
        return False
    form = {"token": kept.refresh_token, "token_type_hint": "refresh_token"}
    try:
        return not post(kept.at(), kept.revocation_endpoint, form).error
    except SignInFailed:
        return False
