"""Clients that name a host instead of a target: which target they get, and what they are told if none."""

import pytest

from bodycam.model.target import Reach, TlsMode
from bodycam.session.grant import Grant, Refusal, RefusalCode, Wanted
from tests.unit.session.test_admission import Desk, refused

SETTINGS = """
targets:
  orders: {protocol: postgres, address: "db:5432", user: app}
  api: {protocol: web, address: "API.corp.example:8443", headers: {X-Key: {env: BODYCAM_TEST_PW}}}
  also-api: {protocol: web, address: "api.corp.example:8443"}
  here: {protocol: web, address: "[::1]:9443", tls: {sslmode: disable}}
  python: {protocol: web, hosts: ["*.python.example", pypi.example], password: {env: BODYCAM_TEST_PW}, user: u}
  docs: {protocol: web, hosts: ["*.docs.python.example"]}
  main: {protocol: web, hosts: [www.python.example, "*.python.example:8080", "10.0.0.1"], private: true}
  alt: {protocol: web, hosts: ["www.python.example:443", "127.0.0.1:8080", "localhost:8080"], private: true, intercept: false}
  all: {protocol: web, hosts: ["*"]}
  wide: {protocol: web, hosts: ["*:8080"], private: true}
  locked: {protocol: web, hosts: [locked.example]}
agents: {billing-bot: {may_start: {groups: [payments]}}}
access:
  - {agents: [billing-bot], targets: {names: [orders, api, also-api, here, python, docs, main, alt, all, wide]}}
"""


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("BODYCAM_TEST_PW", "target-secret")
    return Desk(text=SETTINGS)


async def asked(desk: Desk, host: str, target: str = "", protocol: str = "web") -> Grant | Refusal:
    answer = await desk.scram(wanted=Wanted(protocol, target, None, "127.0.0.1:9", host=host))
    if isinstance(answer, Grant):
        desk.admission.closed(answer.session)
    return answer


@pytest.mark.parametrize(
    ("host", "target"),
    [
        ("api.corp.example:8443", "api"),
        ("API.corp.example.:8443", "api"),
        ("api.corp.example:443", "all"),
        ("[0:0:0::1]:9443", "here"),
        ("pypi.example:443", "python"),
        ("files.python.example:443", "python"),
        ("python.example:443", "all"),
        ("a.docs.python.example:443", "docs"),
        ("docs.python.example:443", "python"),
        ("www.python.example:80", "main"),
        ("www.python.example:443", "alt"),
        ("www.python.example:8080", "main"),
        ("[::ffff:10.0.0.1]:80", "main"),
        ("evilpython.example:443", "all"),
        ("elsewhere.example:8080", "wide"),
    ],
)
async def test_the_narrowest_target_of_a_host(desk: Desk, host: str, target: str) -> None:
    grant = await asked(desk, host)
    assert isinstance(grant, Grant)
    assert (grant.target.name, grant.target.protocol) == (target, "web")


async def test_the_dial_says_where_and_how(desk: Desk) -> None:
    dials = {}
    for host in (
        "Files.python.example:443", "api.corp.example:8443", "[::1]:9443", "www.python.example:80",
        "www.python.example:443", "any.example:443", "127.0.0.1:8080", "localhost:8080", "127.0.0.2:8080",
    ):  # fmt: skip
        grant = await asked(desk, host)
        assert isinstance(grant, Grant)
        dial = grant.dial
        assert dial is not None
        dials[host] = (dial.host, dial.port, dial.reach, dial.tls, dial.intercept)
    full, none = TlsMode.VERIFY_FULL, TlsMode.DISABLE
    assert dials == {
        "Files.python.example:443": ("files.python.example", 443, Reach.PUBLIC, full, True),
        "api.corp.example:8443": ("API.corp.example", 8443, Reach.ANY, full, True),
        "[::1]:9443": ("::1", 9443, Reach.ANY, none, True),
        "www.python.example:80": ("www.python.example", 80, Reach.PRIVATE, none, True),
        "www.python.example:443": ("www.python.example", 443, Reach.PRIVATE, full, False),
        "any.example:443": ("any.example", 443, Reach.PUBLIC, full, True),
        "127.0.0.1:8080": ("127.0.0.1", 8080, Reach.ANY, full, False),
        "localhost:8080": ("localhost", 8080, Reach.ANY, full, False),
        "127.0.0.2:8080": ("127.0.0.2", 8080, Reach.PRIVATE, full, True),
    }


async def test_credentials_go_into_the_dial_and_never_without_tls(desk: Desk) -> None:
    grant = await asked(desk, "pypi.example:443")
    assert isinstance(grant, Grant)
    assert grant.dial is not None
    assert (grant.dial.user, grant.dial.password) == ("u", "target-secret")
    assert "target-secret" not in repr(grant)

    plain = refused(await asked(desk, "pypi.example:80"))
    assert plain.code is RefusalCode.UNAVAILABLE
    assert "without TLS, at port 80: ask it by https" in plain.message
    assert desk.admission.sessions.of_run(desk.store.known.run.id) == []


@pytest.mark.parametrize(
    ("host", "named"),
    [
        ("Unknown.Example.:22", "unknown.example:22"),
        ("0x7f.1:80", "'0x7f.1:80'"),
        ("2130706433:80", "'2130706433:80'"),
        ("a\x1b[2J\u202eb:80", r"'a\x1b[2J\u202eb:80'"),
        ("x" * 9000, "'" + "x" * 252),
        ("db:5432", "db:5432"),
    ],
)
async def test_a_host_of_nobody_is_refused_with_what_is_to_be_recorded(
    desk: Desk, host: str, named: str
) -> None:
    refusal = refused(await asked(desk, host))
    assert refusal.code is RefusalCode.UNKNOWN_TARGET
    assert refusal.grant is not None
    assert (refusal.grant.target.name, refusal.grant.target.protocol) == (named, "web")
    assert refusal.grant.dial is None


async def test_the_refusal_says_what_to_do(desk: Desk) -> None:
    unknown, odd = refused(await asked(desk, "a.example:22")), refused(await asked(desk, "127.1:80"))

    assert unknown.message == "a.example:22 is not among the hosts that may be reached through this gateway"
    assert unknown.hint.startswith(
        "For the gateway's operator: name it in the `hosts` of a target of protocol web"
    )
    assert "This run may open: api, also-api, here" in unknown.hint
    assert odd.message.startswith(
        "that host can't be reached: an IPv4 address is written as four decimal numbers"
    )


async def test_access_decides_about_the_target_of_a_host(desk: Desk) -> None:
    refusal = refused(await asked(desk, "locked.example:443"))
    assert (refusal.code, refusal.grant and refusal.grant.target.name) == (RefusalCode.NOT_ALLOWED, "locked")


@pytest.mark.parametrize(
    ("target", "host", "said"),
    [
        ("api", "", "api"),
        ("api", "api.corp.example:8443", "api"),
        ("api", "pypi.example:443", RefusalCode.UNKNOWN_TARGET),
        ("also-api", "api.corp.example:8443", "also-api"),
        ("python", "files.python.example:443", "python"),
        ("python", "www.python.example:443", RefusalCode.UNKNOWN_TARGET),
        ("python", "elsewhere.example:443", RefusalCode.UNKNOWN_TARGET),
        ("python", "", RefusalCode.UNKNOWN_TARGET),
        ("locked", "", RefusalCode.NOT_ALLOWED),
        ("orders", "", RefusalCode.UNKNOWN_TARGET),
        ("orders", "db:5432", RefusalCode.UNKNOWN_TARGET),
        ("nothing", "pypi.example:443", RefusalCode.UNKNOWN_TARGET),
    ],
)
async def test_a_target_by_its_name(desk: Desk, target: str, host: str, said: str) -> None:
    answer = await asked(desk, host, target)
    assert (answer.target.name if isinstance(answer, Grant) else answer.code) == said


async def test_a_set_of_hosts_is_no_place_by_itself(desk: Desk) -> None:
    refusal = refused(await asked(desk, "", "python"))
    assert refusal.message == 'target "python" is a set of hosts, and none of them is named'
    assert "as the proxy" in refusal.hint
