"""A target's allow list: what it doesn't name is denied, before any rule is asked."""

from pathlib import Path

import pytest

from bodycam.config import parse
from bodycam.model.operation import Operation
from bodycam.model.target import Target
from bodycam.policy.allowing import allow_lists
from bodycam.policy.decision import DecisionPoint
from tests.made_up import REQUESTS, WITH_WEB
from tests.unit.policy.rules.cases import Subject, told

SETTINGS = """
targets:
  api:
    protocol: web
    address: "a:443"
    allow:
      - {methods: [GET, HEAD], paths: [/v1/users/*, /v1/docs/**]}
      - {methods: [POST], paths: [/v1/chat]}
      - {paths: [/health]}
  reads: {protocol: web, hosts: [x.y], allow: [{methods: [GET]}]}
  open: {protocol: web, hosts: [z.y]}
"""


def point(allow: bool = True) -> DecisionPoint:
    settings = parse(SETTINGS, file="f", folder=Path("/srv"), protocols=WITH_WEB)
    made = DecisionPoint(requests={"web": REQUESTS})
    made.adopt((), "p2", allowed=allow_lists(settings) if allow else {})
    return made


def asked(method: str, path: str) -> Operation:
    return Operation(method, f"https://a{path}?q=1", facts={"web.method": method, "web.path": path})


@pytest.mark.parametrize(
    ("target", "method", "path", "said"),
    [
        ("api", "GET", "/v1/users/7", "allow"),
        ("api", "HEAD", "/v1/docs/a/b", "allow"),
        ("api", "POST", "/v1/chat", "allow"),
        ("api", "DELETE", "/health", "allow"),
        ("api", "DELETE", "/v1/users/7", "deny target-allow"),
        ("api", "get", "/v1/users/7", "deny target-allow"),
        ("api", "GET", "/v1/chat", "deny target-allow"),
        ("api", "GET", "/v1/docs/../admin", "deny target-allow"),
        ("api", "GET", "/v1/docs/%2e%2e/admin", "deny target-allow"),
        ("api", "GET", "/v1/docs/a%2f..%2fadmin", "deny target-allow"),
        ("api", "GET", "/v1/docs//admin", "deny target-allow"),
        ("api", "GET", "/v1/docs/./a", "deny target-allow"),
        ("api", "GET", "/v1/docs/..;/admin", "deny target-allow"),
        ("reads", "GET", "/anything/at/all", "allow"),
        ("reads", "GET", "/anything/../all", "deny target-allow"),
        ("reads", "PUT", "/", "deny target-allow"),
        ("open", "PUT", "/a/../b", "allow"),
    ],
)
def test_what_is_allowed(target: str, method: str, path: str, said: str) -> None:
    judge = point().open(Subject(Target(target, "web")))
    assert told(judge.decide(asked(method, path))) == said


def test_what_does_not_say_what_it_asks_for_is_denied_unless_it_only_opens_the_way() -> None:
    judge = point().open(Subject(Target("api", "web")))

    assert told(judge.decide(Operation("connect", "a:443"))) == "allow"
    assert told(judge.decide(Operation("message", "hello"))) == "deny target-allow"
    assert (
        told(judge.decide(Operation("connect", "x", facts={"web.method": "connect", "web.path": "/"})))
        == "deny target-allow"
    )
    assert told(judge.decide(Operation("ping", "", inert=True))) == "allow"
    assert told(judge.decide(Operation("GET", "x", facts={"web.path": "/health"}))) == "deny target-allow"


def test_the_denial_tells_the_client_and_the_operator() -> None:
    verdict = point().open(Subject(Target("api", "web"))).decide(asked("PUT", "/v1/chat"))
    odd = point().open(Subject(Target("api", "web"))).decide(asked("POST", "/v1//chat"))

    assert verdict.message == "PUT with this path is not among what may be asked of target api"
    assert odd.message.startswith("a path that servers may read in different ways is not among")
    assert "targets.NAME.allow" in verdict.hint
    assert verdict.policy == "p2"


def test_a_list_that_is_changed_holds_in_open_sessions() -> None:
    decisions = point(allow=False)
    judge = decisions.open(Subject(Target("api", "web")))
    before = told(judge.decide(asked("PUT", "/")))
    settings = parse(SETTINGS, file="f", folder=Path("/srv"), protocols=WITH_WEB)
    decisions.adopt((), "p3", allowed=allow_lists(settings))

    assert (before, told(judge.decide(asked("PUT", "/")))) == ("allow", "deny target-allow")


def test_a_protocol_without_requests_is_denied_whole() -> None:
    made = DecisionPoint()
    made.adopt(
        (), "p", allowed=allow_lists(parse(SETTINGS, file="f", folder=Path("/srv"), protocols=WITH_WEB))
    )
    assert (
        told(made.open(Subject(Target("api", "web"))).decide(asked("GET", "/health"))) == "deny target-allow"
    )
