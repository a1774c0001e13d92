"""Sign-ins that the gateway keeps: made by a provider's answer, bound to a browser, good until they are ended."""

import base64
import re
import shutil
import tempfile
import time
import zlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import pytest
from lxml import etree
from signxml.algorithms import SignatureMethod
from sqlalchemy import text

from bodycam.api import proof as proof_module
from bodycam.api.sign_in_desk import SignInDesk
from bodycam.catalog import audit
from bodycam.catalog.engine import reading, writing
from bodycam.config import parse
from bodycam.config.providers import Provider
from bodycam.identity.flows import Flows
from bodycam.identity.oidc.failure import ProviderAway
from bodycam.identity.saml.bindings import from_query, send
from bodycam.identity.saml.metadata import REDIRECT
from bodycam.identity.saml.ourselves import KeyPair
from bodycam.identity.saml.providers import SamlProviders
from bodycam.model.event import Kind
from bodycam.net.openid import challenge_of, spoken
from tests import saml
from tests.saml import Pair
from tests.unit.api.world import SETTINGS, World, living

URL = "https://gateway.example:7888"
CONSUMER, LOGOUT = f"{URL}/sign-in/saml/sso/acs", f"{URL}/sign-in/saml/sso/logout"
ENTITY = f"{URL}/sign-in/saml/sso/metadata"
WITH_PROVIDER = (
    SETTINGS
    + f"""
identity:
  sign_ins: {{url: '{URL}', lasts: 2h, idle: 30m}}
  providers:
    - {{name: sso, type: saml, metadata_file: idp.xml, groups: '{saml.GROUPS}'}}
"""
)
IDP, OTHER = Pair(), Pair()
VERIFIER = "v" * 64


class Played:
    """The provider's side; `away` takes its metadata away."""

    away = False

    async def metadata(self, _provider: Provider) -> bytes:
        if self.away:
            raise ProviderAway("nobody answers")
        return saml.metadata(IDP)


@pytest.fixture
def played() -> Played:
    return Played()


@pytest.fixture
async def world(played: Played) -> AsyncIterator[World]:
    folder = Path(tempfile.mkdtemp(prefix="api"))
    try:
        async with living(folder, WITH_PROVIDER, metadata=played.metadata) as one:
            yield one
    finally:
        shutil.rmtree(folder)


class Person:
    """Somebody with a browser at the gateway, whom the provider lets in."""

    def __init__(self, world: World, name: str = "ann", *groups: str) -> None:
        self.name, self.groups = name, groups or ("devs",)
        self.http = httpx.AsyncClient(transport=world.http._transport, base_url=URL)
        self.relay = self.request = ""

    async def begin(self, **query: Any) -> httpx.Response:
        """Go to the provider, with the gateway's request."""
        answer = await self.http.get("/sign-in/start", params={"provider": "sso", **query})
        if answer.status_code == 303:
            came = from_query(urlsplit(answer.headers["location"]).query)
            found = re.search(rb' ID="([^"]+)"', came.document)
            assert found is not None
            assert came.relay is not None
            self.request, self.relay = found[1].decode(), came.relay
        return answer

    def form(self, *, by: Pair = IDP, **changed: Any) -> dict[str, str]:
        """What the provider has the browser bring."""
        given = {"consumer": CONSUMER, "audience": ENTITY, "request": self.request, "name": self.name,
                 "groups": self.groups, "identifier": f"_{time.time_ns()}"}  # fmt: skip
        inside = saml.signed(saml.assertion(time.time(), **(given | changed)), by)
        document = saml.response(time.time(), inside, destination=CONSUMER, request=self.request)
        return {"SAMLResponse": base64.b64encode(document.encode()).decode(), "RelayState": self.relay}

    async def bring(self, form: dict[str, str], **headers: str) -> httpx.Response:
        """Bring it, and come back as the gateway says."""
        answer = await self.http.post("/sign-in/saml/sso/acs", data=form, headers=headers)
        if answer.status_code == 303:
            answer = await self.http.get(answer.headers["location"])
        return answer

    async def sign_in(self, **changed: Any) -> str:
        """All the way, to the token in the cookie."""
        await self.begin()
        answer = await self.bring(self.form(**changed))
        assert (answer.status_code, answer.headers.get("location")) == (303, "/sign-in"), answer.text
        return self.token

    @property
    def token(self) -> str:
        return self.http.cookies["__Host-bodycam-session"]

    async def call(self, method: str, path: str, **more: Any) -> httpx.Response:
        return await self.http.request(method, path, **more)


@pytest.fixture
async def ann(world: World) -> AsyncIterator[Person]:
    person = Person(world)
    yield person
    await person.http.aclose()


@pytest.fixture
async def bob(world: World) -> AsyncIterator[Person]:
    person = Person(world, "bob", "dba")
    yield person
    await person.http.aclose()


def error(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


async def reasons(world: World) -> dict[str, int]:
    """Why logins failed, as the audit has it now."""
    await world.context.trail.failed_logins(world.context.admission.failures())
    with reading(world.context.catalog) as connection:
        events = audit.list_events(connection, limit=100).items
    return {one.detail["reason"]: one.detail["count"] for one in events if one.action == "login-failed"}


async def test_a_sign_in_is_in_the_ledger_and_its_token_only_as_a_hash_in_the_catalog(
    world: World, ann: Person
) -> None:
    token = await ann.sign_in()
    said = (await ann.call("GET", "/v1/whoami")).json()
    assert (said["principal"], said["kind"], said["groups"], said["role"]) == (
        "ann@sso", "human", ["devs"], "user",
    )  # fmt: skip
    assert said["provider"] == "sso"
    assert abs(said["expires"] - time.time() - 7200) < 30
    ((action, actor, name, detail),) = world.archivist.entered
    assert (action, actor, name) == ("signed-in", "ann@sso", said["sign_in"])
    assert (detail["provider"], detail["use"]) == ("sso", "browser")
    whole = b"".join(file.read_bytes() for file in world.folder.glob("catalog.db*"))
    assert said["sign_in"].encode() in whole
    assert token.encode() not in whole
    assert token.rpartition("_")[2].encode() not in whole


async def test_the_cookie_and_the_pages_are_kept_to_themselves(ann: Person) -> None:
    begun = await ann.begin()
    flow = begun.headers["set-cookie"]
    assert "__Host-bodycam-flow=" in flow
    for part in ("HttpOnly", "Secure", "SameSite=lax", "Path=/"):
        assert part in flow
    # whom and what for can't be read in it
    assert "sso" not in flow.partition(";")[0]
    await ann.bring(ann.form())
    page = await ann.call("GET", "/sign-in")
    assert "ann@sso" in page.text
    policy = page.headers["content-security-policy"]
    for part in ("default-src 'none'", "script-src 'self'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"):  # fmt: skip
        assert part in policy
    assert (page.headers["cache-control"], page.headers["x-content-type-options"]) == ("no-store", "nosniff")
    assert "<script" not in page.text
    assert "style=" not in page.text


async def test_names_are_text_on_the_pages(world: World) -> None:
    eve = Person(world, "<b>&amp;", "<script>alert(1)</script>")
    # as the provider writes them
    await eve.begin()
    await eve.bring(eve.form(name="&lt;b&gt;eve", groups=("&lt;script&gt;alert(1)&lt;/script&gt;",)))
    page = await eve.call("GET", "/sign-in")
    assert "&lt;b&gt;eve@sso" in page.text
    assert "<script" not in page.text
    await eve.http.aclose()


async def test_a_refusal_is_counted_in_the_audit_and_said_in_plain_words(world: World, ann: Person) -> None:
    rows: dict[str, dict[str, Any]] = {
        "saml-signature": {"by": OTHER},
        "saml-audience": {"audience": "https://other.example"},
        "saml-recipient": {"recipient": "https://other.example"},
        "saml-expired": {"confirmed_until": -60},
        "saml-comment": {"name": "a<!-- -->b"},
        "saml-unsolicited": {"request": "_unsolicited"},
    }
    for reason, changed in rows.items():
        await ann.begin()
        for _ in range(2):
            answer = await ann.bring(ann.form(**changed))
            assert (answer.status_code, reason in answer.text) == (403, True)
            assert "You are not signed in" in answer.text
            assert "other.example" not in answer.text
    assert await reasons(world) == dict.fromkeys(rows, 2)
    assert "__Host-bodycam-session" not in ann.http.cookies
    assert world.archivist.entered == []


async def test_a_form_that_is_none(world: World, ann: Person) -> None:
    rows: tuple[tuple[dict[str, str], str], ...] = (
        ({}, "saml-malformed"),
        ({"SAMLResponse": "!", "RelayState": "x"}, "saml-malformed"),
        ({"SAMLResponse": "PGEvPg==", "RelayState": "x"}, "saml-malformed"),
        ({"SAMLResponse": "PGEvPg=="}, "saml-unsolicited"),
        ({"SAMLRequest": "PGEvPg==", "RelayState": "x"}, "saml-unsolicited"),
        ({"SAMLRequest": "PGEvPg==", "SAMLResponse": "PGEvPg=="}, "saml-malformed"),
        ({"SAMLResponse": "A" * 400_000, "RelayState": "x"}, "saml-too-large"),
        ({"SAMLResponse": "A" * 600_000, "RelayState": "x"}, "saml-too-large"),
    )
    for form, reason in rows:
        answer = await ann.bring(form)
        assert (answer.status_code, reason in answer.text) == (403, True), (form, answer.text)
    assert await reasons(world) == {"saml-malformed": 4, "saml-unsolicited": 2, "saml-too-large": 2}


async def test_a_response_is_good_once_also_after_a_restart(
    world: World, ann: Person, played: Played
) -> None:
    await ann.begin()
    form = ann.form()
    assert (await ann.bring(form)).status_code == 303
    assert "saml-replayed" in (await ann.bring(form)).text
    # and another one for the same request is no better
    assert "saml-replayed" in (await ann.bring(ann.form())).text
    # a control process that was started anew has the same key and the same catalog
    context = world.context
    anew = SignInDesk(
        context.catalog,
        context.settings,
        context.trail,
        Flows(bytes(32)),
        SamlProviders(context.settings.settings, source=played.metadata),
    )
    app: Any = world.http._transport
    app.app.state.control = replace(context, sign_ins=anew)
    assert "saml-replayed" in (await ann.bring(form)).text
    with writing(world.context.catalog) as connection:
        kept = connection.execute(text("select count(*) from sign_in_messages")).scalar_one()
        assert kept == 2
        # what is too old to be taken is forgotten
        connection.execute(text("update sign_in_messages set until = 1"))
    assert (await ann.bring(form)).status_code == 403
    with reading(world.context.catalog) as connection:
        assert connection.execute(text("select count(*) from sign_in_messages")).scalar_one() == 2


async def test_a_response_is_good_in_the_browser_that_began_it_alone(
    world: World, ann: Person, bob: Person
) -> None:
    await ann.begin()
    taken = await bob.bring(ann.form())
    assert "sign-in-browser" in taken.text
    # also where that one has begun a sign-in of its own, or has the answer's RelayState
    await ann.begin()
    await bob.begin()
    assert "sign-in-browser" in (await bob.bring(ann.form())).text
    await ann.begin()
    form = ann.form() | {"RelayState": bob.relay}
    assert "sign-in-browser" in (await ann.bring(form)).text
    assert await reasons(world) == {"sign-in-browser": 3}


async def test_what_a_cookie_vouches_for_has_to_come_from_our_own_pages(world: World, ann: Person) -> None:
    token = await ann.sign_in()
    run = {"agent": "billing-bot"}
    for headers in ({}, {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "same-site"},
                    {"Sec-Fetch-Site": "none"}, {"Origin": URL, "Sec-Fetch-Site": "cross-site"}):  # fmt: skip
        assert error(await ann.call("POST", "/v1/runs", json=run, headers=headers)) == (403, "cross-site")
    assert error(await ann.call("GET", "/v1/runs", headers={"Sec-Fetch-Site": "cross-site"})) == (
        403, "cross-site",
    )  # fmt: skip
    refused = await ann.call("POST", "/sign-out", headers={"Origin": "https://evil.example"})
    assert (refused.status_code, (await ann.call("GET", "/v1/whoami")).status_code) == (403, 200)
    for headers in ({"Origin": URL}, {"Sec-Fetch-Site": "same-origin"}):
        started = await ann.call("POST", "/v1/runs", json=run, headers=headers)
        assert started.json()["run"]["principal"] == "ann@sso"
    # as a bearer it is no cookie, and a bearer that is bad is not saved by one
    world.keys["ann"] = token
    assert (await world.call("ann", "POST", "/v1/runs", json=run)).status_code == 201
    bad = await ann.call("GET", "/v1/whoami", headers={"Authorization": "Bearer bca_x"})
    assert error(bad) == (401, "bad-credential")


async def test_a_sign_out_ends_it_here_and_tells_the_provider(world: World, ann: Person) -> None:
    token = await ann.sign_in()
    page = await ann.call("POST", "/sign-out", headers={"Origin": URL})
    link = re.search(r'id="carry" href="([^"]+)"', page.text)
    assert link is not None, page.text
    came = from_query(urlsplit(link[1].replace("&amp;", "&")).query)
    assert b"LogoutRequest" in came.document
    assert b">ann</saml:NameID>" in came.document
    assert b">s1</samlp:SessionIndex>" in came.document
    world.keys["ann"] = token
    assert error(await world.call("ann", "GET", "/v1/whoami")) == (401, "signed-out")
    assert [one[0] for one in world.archivist.entered] == ["signed-in", "signed-out"]
    again = await ann.call("POST", "/sign-out", headers={"Origin": URL})
    assert "You are signed out" in again.text


async def test_a_sign_in_ends_when_it_is_idle_over_or_its_provider_another_one(
    world: World, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ann.sign_in()
    desk, begun = world.context.sign_ins, time.time()
    monkeypatch.setattr(desk, "_wall", lambda: begun + 1000)
    assert (await ann.call("GET", "/v1/whoami")).status_code == 200
    # used then: good for another half hour from then
    monkeypatch.setattr(desk, "_wall", lambda: begun + 2700)
    assert (await ann.call("GET", "/v1/whoami")).status_code == 200
    monkeypatch.setattr(desk, "_wall", lambda: begun + 2700 + 1801)
    assert error(await ann.call("GET", "/v1/whoami")) == (401, "signed-out")
    await ann.sign_in()
    for at in range(0, 7200, 1500):
        monkeypatch.setattr(desk, "_wall", lambda at=at: begun + 4501 + at)
        assert (await ann.call("GET", "/v1/whoami")).status_code == 200
    monkeypatch.setattr(desk, "_wall", lambda: begun + 4501 + 7201)
    assert error(await ann.call("GET", "/v1/whoami")) == (401, "signed-out")
    monkeypatch.setattr(desk, "_wall", time.time)
    await ann.sign_in()
    other = WITH_PROVIDER.replace("idp.xml", "other.xml")
    await world.context.adopt(parse(other, file="x", folder=world.folder))
    assert error(await ann.call("GET", "/v1/whoami")) == (401, "signed-out")
    assert (await reasons(world))["sign-in-over"] == 3


async def test_what_needs_a_fresh_sign_in_needs_one_at_the_provider(world: World, ann: Person) -> None:
    ann.groups = ("auditors",)
    await ann.sign_in(since=-3600)
    run = (await world.start_run("dev"))["run"]["id"]
    session = world.add_session(run, "dev")
    world.archivist.events[session] = [[Kind.REQUEST.value, 1, 1, ["query", "select 1"]]]
    path = f"/v1/sessions/{session}/transcript"
    assert error(await ann.call("GET", path)) == (403, "sign-in-too-old")
    assert (await ann.call("GET", "/v1/sessions")).status_code == 200
    begun = await ann.begin(fresh="true")
    assert b'ForceAuthn="true"' in from_query(urlsplit(begun.headers["location"]).query).document
    await ann.bring(ann.form())
    assert (await ann.call("GET", path)).status_code == 200


async def test_a_sign_in_that_is_ended_while_a_run_is_being_started_starts_none(
    world: World, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.keys["ann"] = await ann.sign_in()
    real = proof_module.hold
    monkeypatch.setattr("bodycam.api.runs.hold", lambda at, proof, now: real(at, proof, now + 8_000_000_000))
    assert error(await world.call("ann", "POST", "/v1/runs", json={"agent": "billing-bot"})) == (
        401, "signed-out",
    )  # fmt: skip


async def command(person: Person, **more: Any) -> httpx.Response:
    """As far as the question whether the command line may act for the person."""
    await person.begin(port=4711, state="st", challenge=challenge_of(VERIFIER), **more)
    return await person.bring(person.form())


async def test_the_command_line_gets_a_sign_in_for_a_code_and_its_verifier(world: World, ann: Person) -> None:
    asked = await command(ann)
    assert (spoken(challenge_of(VERIFIER)) in asked.text, "ann@sso" in asked.text) == (True, True)
    assert "form-action 'self' http://127.0.0.1:4711;" in asked.headers["content-security-policy"]
    # nobody is signed in by having come here
    assert "__Host-bodycam-session" not in ann.http.cookies
    outcome = re.search(r'name="outcome" value="([^"]+)"', asked.text)
    assert outcome is not None
    refused = await ann.call("POST", "/sign-in/command", data={"outcome": outcome[1]})
    assert refused.status_code == 403
    done = await ann.call("POST", "/sign-in/command", data={"outcome": outcome[1]}, headers={"Origin": URL})
    back = urlsplit(done.headers["location"])
    assert (back.scheme, back.netloc, back.path) == ("http", "127.0.0.1:4711", "/callback")
    query = parse_qs(back.query)
    assert query["state"] == ["st"]
    body = {"code": query["code"][0], "verifier": VERIFIER}
    wrong = await world.http.post("/v1/sign-ins", json=body | {"verifier": "w" * 64})
    assert error(wrong) == (401, "bad-code")
    # a code that was tried is gone
    assert error(await world.http.post("/v1/sign-ins", json=body)) == (401, "bad-code")
    assert await reasons(world) == {"sign-in-code": 2}


async def redeemed(world: World, person: Person) -> dict[str, Any]:
    asked = await command(person)
    outcome = re.search(r'name="outcome" value="([^"]+)"', asked.text)
    assert outcome is not None, asked.text
    form = {"outcome": outcome[1]}
    done = await person.call("POST", "/sign-in/command", data=form, headers={"Origin": URL})
    code = parse_qs(urlsplit(done.headers["location"]).query)["code"][0]
    answer = await world.http.post("/v1/sign-ins", json={"code": code, "verifier": VERIFIER})
    assert answer.status_code == 201, answer.text
    # the question was answered once
    again = await person.call("POST", "/sign-in/command", data=form, headers={"Origin": URL})
    assert again.status_code == 403
    return dict(answer.json())


async def test_sign_ins_are_listed_and_ended_by_their_owner_and_by_admins(
    world: World, ann: Person, bob: Person
) -> None:
    given = await redeemed(world, ann)
    world.keys["ann"], world.keys["bob"] = given["token"], await bob.sign_in()
    listed = (await world.call("ann", "GET", "/v1/sign-ins")).json()["sign_ins"]
    assert [(one["principal"], one["use"], one["provider"]) for one in listed] == [
        ("ann@sso", "command", "sso")
    ]
    assert given["token"].rpartition("_")[2] not in str(listed)
    everybody = (await world.call("ada", "GET", "/v1/sign-ins")).json()["sign_ins"]
    assert [one["principal"] for one in everybody] == ["bob@sso", "ann@sso"]
    assert error(await world.call("ann", "GET", "/v1/sign-ins?principal=bob@sso")) == (403, "forbidden")
    others = f"/v1/sign-ins/{everybody[0]['id']}"
    assert error(await world.call("ann", "DELETE", others)) == (404, "not-found")
    assert error(await world.call("aud", "DELETE", others)) == (404, "not-found")
    assert (await world.call("ada", "DELETE", others)).json()["page"] is None, "it is bob's to go there"
    assert error(await world.call("bob", "GET", "/v1/whoami")) == (401, "signed-out")
    over = (await world.call("ann", "DELETE", "/v1/sign-ins/own")).json()
    assert over["id"] == given["id"]
    # for the browser, to end the session at the provider too
    came = from_query(urlsplit(over["page"]).query)
    assert b"LogoutRequest" in came.document
    assert b">ann</saml:NameID>" in came.document
    assert error(await world.call("ann", "GET", "/v1/whoami")) == (401, "signed-out")
    assert error(await world.call("ada", "DELETE", "/v1/sign-ins/own")) == (422, "invalid")
    assert (await world.call("ada", "GET", "/v1/sign-ins")).json()["sign_ins"] == []
    past = (await world.call("ada", "GET", "/v1/sign-ins?ended=true")).json()["sign_ins"]
    assert [one["reason"] for one in past] == ["an admin ended it", "signed out"]
    ended = [one for one in world.archivist.entered if one[0] == "signed-out"]
    assert [one[1] for one in ended] == ["ada@bodycam", "ann@sso"]


async def test_without_the_archivist_nobody_is_signed_in_and_anybody_is_signed_out(
    world: World, ann: Person, bob: Person
) -> None:
    world.keys["ann"] = await ann.sign_in()
    world.archivist.away = True
    await bob.begin()
    answer = await bob.bring(bob.form())
    assert (answer.status_code, "__Host-bodycam-session" in bob.http.cookies) == (503, False)
    assert (await world.call("ann", "DELETE", "/v1/sign-ins/own")).status_code == 200
    assert error(await world.call("ann", "GET", "/v1/whoami")) == (401, "signed-out")


async def test_while_the_metadata_is_away_new_sign_ins_are_refused_and_the_others_go_on(
    world: World, ann: Person, bob: Person, played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ann.sign_in()
    played.away = True
    providers = world.context.sign_ins.saml
    now = time.monotonic()
    # for an hour what is known counts
    monkeypatch.setattr(providers._all["sso"], "_monotonic", lambda: now + 3500)
    await bob.sign_in()
    monkeypatch.setattr(providers._all["sso"], "_monotonic", lambda: now + 3700)
    refused = await bob.begin()
    assert (refused.status_code, "provider-away" in refused.text) == (503, True)
    assert (await ann.call("GET", "/v1/whoami")).status_code == 200
    assert (await reasons(world))["provider-away"] == 1
    played.away = False
    monkeypatch.setattr(providers._all["sso"], "_monotonic", lambda: now + 3710)
    assert (await bob.begin()).status_code == 303


def wanted(now: float, *, name: str = "ann", more: str = "", **changed: str) -> str:
    """A LogoutRequest of the provider."""
    head = {
        "ID": "_logout",
        "Version": "2.0",
        "IssueInstant": saml.when(now),
        "Destination": LOGOUT,
    } | changed
    names = " ".join(f'{key}="{value}"' for key, value in head.items())
    return (
        f'<samlp:LogoutRequest xmlns:samlp="{saml.NS["samlp"]}" xmlns:saml="{saml.NS["saml"]}" {names}>'
        f"<saml:Issuer>{saml.PROVIDER}</saml:Issuer><saml:NameID>{name}</saml:NameID>{more}"
        "</samlp:LogoutRequest>"
    )


# encrypted, where the gateway has no key
UNNAMED = saml.encrypted("<saml:NameID>ann</saml:NameID>", OTHER, element="EncryptedID")


async def by_redirect(person: Person, document: str, pair: Pair | None = IDP) -> httpx.Response:
    keys = None if pair is None else KeyPair(pair.key, pair.certificate)
    sent = send(etree.fromstring(document), "/sign-in/saml/sso/logout", REDIRECT, "theirs", keys)
    return await person.call("GET", sent.address)


async def by_post(person: Person, document: str) -> httpx.Response:
    form = {"SAMLRequest": base64.b64encode(document.encode()).decode()}
    return await person.call("POST", "/sign-in/saml/sso/logout", data=form)


async def test_a_logout_of_the_provider_ends_the_sign_ins_that_it_names(
    world: World, ann: Person, bob: Person
) -> None:
    world.keys["ann"], world.keys["bob"] = await ann.sign_in(), await bob.sign_in()
    other = await by_redirect(bob, wanted(time.time(), more="<samlp:SessionIndex>s2</samlp:SessionIndex>"))
    assert other.status_code == 303
    assert (await world.call("ann", "GET", "/v1/whoami")).status_code == 200
    answer = await by_redirect(
        bob, wanted(time.time(), ID="_2", more="<samlp:SessionIndex>s1</samlp:SessionIndex>")
    )
    came = from_query(urlsplit(answer.headers["location"]).query)
    assert (b"LogoutResponse" in came.document, b'InResponseTo="_2"' in came.document) == (True, True)
    assert came.relay == "theirs"
    assert error(await world.call("ann", "GET", "/v1/whoami")) == (401, "signed-out")
    assert (await world.call("bob", "GET", "/v1/whoami")).status_code == 200
    # without an index it is all of them, and by POST it is answered by POST
    answer = await by_post(ann, saml.signed(wanted(time.time(), name="bob", ID="_3"), IDP))
    assert 'action="https://idp.corp.example/slo"' in answer.text
    assert error(await world.call("bob", "GET", "/v1/whoami")) == (401, "signed-out")
    ended = [one for one in world.archivist.entered if one[0] == "signed-out"]
    assert [one[3]["reason"] for one in ended] == ["the identity provider ended it"] * 2


async def test_a_logout_that_is_not_the_providers_ends_nothing(world: World, ann: Person) -> None:
    await ann.sign_in()
    now = time.time()
    once = wanted(now, ID="_once", name="nobody")
    assert (await by_redirect(ann, once)).status_code == 303
    bomb = quote(base64.b64encode(zlib.compress(b"<a>" + b" " * 50_000_000, 9)[2:-4]).decode(), safe="")
    query = {"SAMLRequest": "x", "SAMLResponse": "y"}
    for answer, reason in (
        (await by_redirect(ann, once), "saml-replayed"),
        (await by_redirect(ann, wanted(now), None), "saml-unsigned"),
        (await by_post(ann, wanted(now)), "saml-unsigned"),
        (await by_redirect(ann, wanted(now), OTHER), "saml-signature"),
        (await by_post(ann, saml.signed(wanted(now), OTHER)), "saml-signature"),
        (
            await by_post(ann, saml.signed(wanted(now), IDP, method=SignatureMethod.RSA_SHA1)),
            "saml-algorithm",
        ),
        (await by_redirect(ann, wanted(now - 700)), "saml-expired"),
        (await by_redirect(ann, wanted(now, NotOnOrAfter=saml.when(now - 40))), "saml-expired"),
        (await by_redirect(ann, wanted(now + 90)), "saml-not-yet-valid"),
        (await by_redirect(ann, wanted(now, Destination="https://other.example")), "saml-destination"),
        (await by_redirect(ann, wanted(now).replace(saml.PROVIDER, "https://evil.example")), "saml-issuer"),
        (await by_redirect(ann, wanted(now, name="")), "saml-no-subject"),
        (
            await by_redirect(ann, wanted(now).replace("<saml:NameID>ann</saml:NameID>", UNNAMED)),
            "saml-encryption",
        ),
        (await by_post(ann, "<!DOCTYPE a>" + saml.signed(wanted(now), IDP)), "saml-dtd"),
        (await ann.call("GET", f"/sign-in/saml/sso/logout?SAMLRequest={bomb}"), "saml-too-large"),
        (await ann.call("GET", "/sign-in/saml/sso/logout?SAMLRequest=AAAA"), "saml-malformed"),
        (await ann.call("GET", "/sign-in/saml/sso/logout", params=query), "saml-malformed"),
        (await ann.call("GET", "/sign-in/saml/sso/logout?SAMLRequest=a&SAMLRequest=b"), "saml-malformed"),
        (await ann.call("GET", "/sign-in/saml/sso/logout"), "saml-malformed"),
    ):
        assert (answer.status_code, reason in answer.text) == (403, True), (reason, answer.text)
    assert (await ann.call("GET", "/v1/whoami")).status_code == 200
    assert set(await reasons(world)) >= {"saml-replayed", "saml-unsigned", "saml-too-large"}


async def test_a_provider_that_is_not_there_is_said_so(ann: Person) -> None:
    for path in ("/sign-in/start?provider=none", "/sign-in/saml/none/metadata", "/sign-in/oidc/sso/callback"):
        answer = await ann.call("GET", path)
        assert (answer.status_code, "there is no identity provider" in answer.text) == (404, True)
    metadata = await ann.call("GET", "/sign-in/saml/sso/metadata")
    assert f'entityID="{ENTITY}"' in metadata.text
    assert CONSUMER in metadata.text


async def test_a_start_takes_only_what_a_command_may_say(ann: Person) -> None:
    wrong: dict[str, Any]
    for wrong in ({"port": 80}, {"port": 4711}, {"port": 4711, "challenge": "short"}, {"port": 70000}):
        answer = await ann.begin(**wrong)
        assert (answer.status_code, "Begin again" in answer.text or "bodycam login" in answer.text) == (
            422,
            True,
        )
