"""`bodycam logout`: forgets the sign-in on this machine, and takes it back where it was given."""

import os
import time
from dataclasses import dataclass, replace

from bodycam.cli.options import Json, Url
from bodycam.cli.page import show_page
from bodycam.cli.printing import print_json, tell, when
from bodycam.net.control_access import ControlAccess, find_gateway
from bodycam.net.control_client import ControlClient, ControlError
from bodycam.net.openid import leaving_page
from bodycam.net.sign_in.failure import SignInFailed
from bodycam.net.sign_in.kept import Kept, sign_in_file
from bodycam.net.sign_in.provider import post


@dataclass(frozen=True, slots=True)
class _Ended:
    """Whether what was given was taken back, what to say of it, and a page that ends the session there too.

    `until` is when a token that nobody can take back ends, in Unix seconds, if one is out.
    """

    revoked: bool
    said: str
    page: str | None
    until: float | None = None


def command(as_json: Json = False, url: Url = None) -> None:
    """Forget the sign-in for this gateway, and take it back where it was given; runs go on.

    A page is opened that ends the session at the provider too, where it has one.
    """
    access = find_gateway(os.environ, url=url)
    file = sign_in_file(os.environ, access.url)
    with file.locked():
        kept = file.read()
        was = file.forget()
    ended = _Ended(False, "", None)
    if kept is not None:
        ended = _by_gateway(access, kept) if kept.by_gateway else _by_provider(kept)
    if as_json:
        print_json(
            {"signed_out": was, "revoked": ended.revoked, "page": ended.page, "token_until": ended.until}
        )
    elif not was:
        tell("you were not signed in here")
    else:
        tell("signed out" + (ended.said and f"; {ended.said}"))
        if ended.until is not None:
            tell(f"nobody can take back the token that was last given: it ends at {when(ended.until)}")
        if ended.page is not None:
            tell("the provider may still know this browser; this page ends that too:")
            show_page(ended.page)


def _by_gateway(access: ControlAccess, kept: Kept) -> _Ended:
    """Ask the gateway to end the sign-in that it keeps."""
    try:
        with ControlClient(replace(access, key=kept.id_token)) as client:
            page = client.delete("/v1/sign-ins/own").get("page")
    except ControlError as error:
        if error.code == "signed-out":
            return _Ended(True, "the sign-in was over at the gateway already", None)
        return _Ended(False, f"the gateway did not take the sign-in back: {error.message}", None)
    # whatever the answer says, nothing but a page is opened
    opened = isinstance(page, str) and page.startswith(("https://", "http://"))
    return _Ended(True, "the gateway ended the sign-in", page if opened else None)


def _by_provider(kept: Kept) -> _Ended:
    """Ask the provider to take the refresh token back (RFC 7009)."""
    revoked, said = _revoked(kept)
    endpoint = kept.end_session_endpoint
    page = None if endpoint is None else leaving_page(endpoint, client_id=kept.client_id)
    return _Ended(revoked, said, page, kept.expires if kept.expires > time.time() else None)


def _revoked(kept: Kept) -> tuple[bool, str]:
    if kept.refresh_token is None:
        return False, f"{kept.provider} had given nothing that renews it"
    if kept.revocation_endpoint is None:
        return False, f"{kept.provider} has no way to take the refresh token back"
    form = {"token": kept.refresh_token, "token_type_hint": "refresh_token"}
    try:
        refused = post(kept.at(), kept.revocation_endpoint, form).error
    except SignInFailed as failure:
        return False, f"the refresh token was not taken back: {failure.message}"
    if refused:
        return False, f"{kept.provider} did not take the refresh token back: {refused}"
    return True, f"{kept.provider} took the refresh token back"
