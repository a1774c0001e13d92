"""`bodycam whoami`: who the gateway takes you for."""

from collections.abc import Mapping
from typing import Any

from bodycam.cli.door import knock
from bodycam.cli.options import Json, Url
from bodycam.cli.printing import print_facts, print_json, when


def command(as_json: Json = False, url: Url = None) -> None:
    """Show who you are to the gateway, with which groups and roles, and by which proof."""
    with knock(url) as client:
        answer = client.get("/v1/whoami")
    if as_json:
        print_json(answer)
        return
    print_facts(
        {
            "principal": answer.get("principal"),
            "kind": answer.get("kind"),
            "groups": answer.get("groups"),
            "roles": answer.get("roles"),
            "by key": answer.get("key"),
            "scopes": answer.get("scopes"),
            "by provider": answer.get("provider"),
            "signed in": when(answer.get("signed_in")),
            "fresh": answer.get("fresh"),
            "token until": when(answer.get("expires")),
        }
    )


def said(answer: Mapping[str, Any]) -> str:
    """The answer in one line."""
    groups = ", ".join(map(str, answer.get("groups") or [])) or "none"
    roles = ", ".join(map(str, answer.get("roles") or [])) or "none"
    return f"{answer.get('principal')}, groups: {groups}, roles: {roles}"
