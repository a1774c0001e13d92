"""`bodycam login`: signs in at an identity provider, and keeps that for the commands that follow."""

import os
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

import typer

from bodycam.cli.failure import USAGE, Failure
from bodycam.cli.options import Json, Url
from bodycam.cli.page import show_page
from bodycam.cli.printing import print_json, tell
from bodycam.cli.whoami import said
from bodycam.net.control_access import ControlAccess, find_gateway
from bodycam.net.control_client import ControlClient
from bodycam.net.openid import Metadata
from bodycam.net.sign_in.browser import by_browser
from bodycam.net.sign_in.by_gateway import by_gateway
from bodycam.net.sign_in.device import by_device
from bodycam.net.sign_in.kept import Kept, SignInFile, sign_in_file
from bodycam.net.sign_in.provider import Provider, discover
from bodycam.net.sign_in.tokens import Tokens

# who signed in longer ago at the provider is asked to do it again: what comes after often needs it fresh
MAX_AGE_SECONDS = 60


def command(
    provider: Annotated[
        str | None, typer.Option("--provider", help="By which provider; else the settings' first.")
    ] = None,
    device: Annotated[
        bool, typer.Option("--device", help="By a code that you type in on any device with a browser.")
    ] = False,
    as_json: Json = False,
    url: Url = None,
) -> None:
    """Sign in at the gateway's identity provider; the commands that follow act in your name.

    Used where no API key is given. It is kept for this gateway, renewed when needed, until `bodycam logout`.
    """
    access = find_gateway(os.environ, url=url)
    with ControlClient(access) as client:
        chosen = _chosen(client.get("/v1/providers"), provider)
    file = sign_in_file(os.environ, access.url)
    if chosen.asked_by_gateway:
        kept = _through_gateway(access, chosen, file, device)
    else:
        metadata = discover(chosen)
        if device:
            tokens = by_device(chosen, metadata, tell, max_age=MAX_AGE_SECONDS)
        else:
            tokens = by_browser(chosen, metadata, show_page, max_age=MAX_AGE_SECONDS)
        kept = _kept(file, chosen, metadata, tokens)
    # the gateway has to take it before it is kept
    with ControlClient(replace(access, key=kept.id_token)) as client:
        answer = client.get("/v1/whoami")
    with file.locked():
        file.write(kept)
    if as_json:
        print_json(answer)
    else:
        tell(f"signed in: {said(answer)}")
    if answer.get("fresh") is False:
        tell(
            f"{chosen.name} did not have you sign in anew, or does not say when you did: to approve, to view "
            "recordings and to issue keys will be refused (docs/identity.md)"
        )


def _through_gateway(access: ControlAccess, chosen: Provider, file: SignInFile, device: bool) -> Kept:
    if device or chosen.page is None:
        raise Failure(
            f"{chosen.name} is asked by the gateway, for a browser on this machine only",
            hint="run `bodycam login` without --device; identity.sign_ins.url has to be set at the gateway",
        )

    def redeem(body: Mapping[str, str]) -> Mapping[str, Any]:
        with ControlClient(access) as client:
            return client.post("/v1/sign-ins", body)

    def show(page: str, code: str) -> None:
        show_page(page)
        tell(f"in the browser you are asked whether this is your command; its code is {code}")

    return by_gateway(chosen.name, chosen.page, file.gateway, redeem, show)


def _kept(file: SignInFile, chosen: Provider, metadata: Metadata, tokens: Tokens) -> Kept:
    assert metadata.token is not None
    return Kept(
        gateway=file.gateway,
        provider=chosen.name,
        issuer=chosen.issuer,
        client_id=chosen.client_id,
        ca_pem=chosen.ca_pem,
        token_endpoint=metadata.token,
        revocation_endpoint=metadata.revocation,
        subject=tokens.subject,
        since=time.time(),
        expires=tokens.expires,
        id_token=tokens.id_token,
        refresh_token=tokens.refresh_token,
        end_session_endpoint=metadata.end_session,
    )


def _chosen(answer: Mapping[str, Any], name: str | None) -> Provider:
    listed = [_provider(one) for one in answer.get("providers") or []]
    if not listed:
        raise Failure(
            "the gateway has no identity provider for people",
            hint="identity.providers in its settings names one; until then use an API key",
        )
    if name is None:
        return listed[0]
    for one in listed:
        if one.name == name:
            return one
    names = ", ".join(one.name for one in listed)
    raise Failure(f"there is no identity provider {name}", hint=f"choose one of: {names}", code=USAGE)


def _provider(plain: Mapping[str, Any]) -> Provider:
    try:
        return Provider(
            str(plain["name"]),
            str(plain["issuer"]),
            str(plain["client_id"]),
            tuple(map(str, plain["scopes"])),
            None if plain["ca_pem"] is None else str(plain["ca_pem"]),
            asked_by_gateway=plain.get("type", "oidc") != "oidc",
            page=None if plain.get("page") is None else str(plain["page"]),
        )
    except (KeyError, TypeError) as error:
        raise Failure("what the gateway says of its identity providers can't be understood") from error
