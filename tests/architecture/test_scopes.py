"""Every route that asks who calls has one scope, and docs/operations.md says what each scope lets a key do."""

import re
from pathlib import Path

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from bodycam.api.app import RESOURCES
from bodycam.api.caller import caller
from bodycam.api.scopes import NEEDED
from bodycam.identity.scopes import Scope

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()


def asks_who(dependant: Dependant) -> bool:
    return dependant.call is caller or any(asks_who(one) for one in dependant.dependencies)


def test_the_table_has_the_routes_that_ask_who_calls_and_no_others() -> None:
    routes = {
        (method, route.path)
        for resource in RESOURCES
        for route in resource.router.routes
        if isinstance(route, APIRoute) and asks_who(route.dependant)
        for method in route.methods
    }
    assert routes == set(NEEDED)


def test_no_scope_is_for_nothing_and_each_is_documented() -> None:
    assert set(NEEDED.values()) - {None} == set(Scope)
    section = re.split(r"\n##+ ", PAGE.split("### Scopes of keys\n", 1)[1])[0]
    listed = re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)
    expected = [one.value for one in Scope]
    expected.insert(expected.index(Scope.RUNS) + 1, "runs:AGENT")
    assert listed == expected
