"""Webhooks against a real server on loopback: what arrives, how it is signed, what is tried again."""

import asyncio
import json
import re
import socket
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog

from bodycam.api import webhooks
from bodycam.api.settings_in_use import SettingsInUse
from bodycam.api.signed_post import signature, signing_key
from bodycam.api.webhook_bodies import body_of
from bodycam.api.webhooks import Notifier, Patience
from bodycam.catalog.approvals import Approval, Standing
from bodycam.config import parse
from bodycam.config.approvals import WebhookFormat
from bodycam.model.identity import Principal, PrincipalKind
from bodycam.net.authority import Authority, request
from bodycam.net.tls import server_context
from tests.unit.api.hook import SECRET, receiver, verified

APPROVAL = Approval(
    1, "apr_1", Standing.PENDING, "run_1", Principal("bodycam", "ci", PrincipalKind.SERVICE), "billing-bot",
    "ses_1", 3, "orders", "shop", "writes-need-a-human", "p1", "query", "DROP TABLE old", ("7", "null"),
    ("dba", "leads"), 2, "", 1_700_000_000_000_000, 4_000_000_000_000_000, None, None,
)  # fmt: skip
QUICK = Patience(attempt=5.0, first=0.01, longest=0.05, overall=30.0, attempts=4)


def notifier(url: str, more: str = "secret: {env: HOOK_SECRET}", **patience: Any) -> Notifier:
    text = f'approvals: {{webhooks: [{{name: chat, url: "{url}", {more}}}]}}'
    settings = SettingsInUse(parse(text, file="x", folder=Path("/x")))
    return Notifier(settings, patience=replace(QUICK, **patience))


async def told(one: Notifier, approval: Approval = APPROVAL, link: str = "") -> None:
    one.tell(approval, link)
    async with asyncio.timeout(30):
        while one.waiting:
            await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)


def test_the_signature_is_that_of_standard_webhooks() -> None:
    # the vector of the specification's own libraries
    key = signing_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    assert signing_key("plain") == b"plain"
    with pytest.raises(ValueError, match="base64"):
        signing_key("whsec_?")


async def test_what_arrives_is_signed_and_says_what_waits() -> None:
    with receiver() as hook:
        await told(one := notifier(hook.url), link="https://gateway.internal/approvals/apr_1")
    (received,) = hook.received
    assert received.path == "/hook?key=abc"
    assert verified(received)
    assert not verified(replace(received, body=received.body + b" "))
    assert abs(int(received.headers["webhook-timestamp"]) - time.time()) < 300
    assert received.headers["content-type"] == "application/json"
    plain = json.loads(received.body)
    assert (plain["type"], plain["timestamp"]) == ("approval.pending", "2023-11-14T22:13:20Z")
    assert plain["data"]["text"] == "DROP TABLE old"
    assert (plain["data"]["by"], plain["data"]["minimum"], plain["data"]["cut"]) == (
        ["dba", "leads"],
        2,
        False,
    )
    assert plain["data"]["url"] == "https://gateway.internal/approvals/apr_1"
    assert (one.sent, one.failed) == (1, 0)


async def test_a_server_that_fails_is_tried_again_under_the_same_id() -> None:
    with receiver([500, 503, 429]) as hook:
        await told(one := notifier(hook.url))
    assert len(hook.received) == 4
    assert {received.headers["webhook-id"] for received in hook.received} == {"msg_apr_1"}
    assert all(verified(received) for received in hook.received)
    assert (one.sent, one.failed) == (1, 0)


async def test_it_gives_up_after_so_many_tries() -> None:
    with receiver([500] * 99) as hook, structlog.testing.capture_logs() as logged:
        await told(one := notifier(hook.url))
    assert len(hook.received) == QUICK.attempts
    assert (one.sent, one.failed) == (0, 1)
    (line,) = logged
    assert (line["webhook"], line["approval"], line["tries"]) == ("chat", "apr_1", 4)
    assert line["error"] == "it answered with status 500"
    assert "key=abc" not in str(logged)


async def test_it_gives_up_after_so_much_time() -> None:
    with receiver([500] * 99) as hook:
        await told(one := notifier(hook.url, first=0.2, longest=0.2, overall=1.0, attempts=99))
    assert 1 < len(hook.received) < 20
    assert one.failed == 1


async def test_an_expired_approval_is_told_to_nobody_for_long() -> None:
    over = replace(APPROVAL, expires=1)
    with receiver([500] * 99) as hook:
        await told(one := notifier(hook.url, first=0.2, longest=0.2, attempts=99), over)
    assert len(hook.received) < 20
    assert one.failed == 1


@pytest.mark.parametrize("status", [301, 307, 400, 401, 404, 410])
async def test_a_refusal_and_a_redirect_are_final(status: int) -> None:
    with receiver() as elsewhere, receiver([status] * 9, location=elsewhere.url) as hook:
        await told(one := notifier(hook.url))
    assert (len(hook.received), len(elsewhere.received)) == (1, 0)
    assert one.failed == 1


async def test_it_waits_as_long_as_it_is_asked_to_within_bounds() -> None:
    with receiver([429], retry_after="0.3") as hook:
        one, begun = notifier(hook.url, longest=1.0), time.monotonic()
        await told(one)
        assert time.monotonic() - begun >= 0.3
    with receiver([429], retry_after="86400") as hook:
        await told(one := notifier(hook.url))
        assert (len(hook.received), one.sent) == (2, 1)
    with receiver([503], retry_after="Wed, 21 Oct 2026 07:28:00 GMT") as hook:
        await told(one := notifier(hook.url))
        assert (len(hook.received), one.sent) == (2, 1)


async def test_a_server_that_never_answers_holds_nobody_up() -> None:
    # the system takes connections for it, and nobody accepts them
    silent = socket.create_server(("127.0.0.1", 0))
    port = silent.getsockname()[1]
    one = notifier(f"http://127.0.0.1:{port}/", attempt=0.2, attempts=2)
    one.tell(APPROVAL, "")
    assert one.waiting == 1
    with structlog.testing.capture_logs() as logged:
        await told(one, replace(APPROVAL, id="apr_2"))
    assert {line["error"] for line in logged} == {"no answer within 0.2 seconds"}
    assert one.failed == 2
    silent.close()


async def test_a_closed_port_a_wrong_secret_and_a_wrong_url_are_failures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOOK_URL", "http://elsewhere.example/T000/B000/secret")
    with structlog.testing.capture_logs() as logged:
        await told(notifier("http://127.0.0.1:1/", attempts=1))
        await told(notifier("http://127.0.0.1:1/", "secret: {env: NOT_SET}", attempts=1))
        await told(
            notifier("http://127.0.0.1:1/", "secret: {env: HOOK_SECRET}, ca_file: /nowhere.pem", attempts=1)
        )
        text = "approvals: {webhooks: [{name: chat, format: slack, url_from: {env: HOOK_URL}}]}"
        await told(Notifier(SettingsInUse(parse(text, file="x", folder=Path("/x"))), patience=QUICK))
        monkeypatch.setenv("HOOK_SECRET", "whsec_not base64")
        await told(notifier("http://127.0.0.1:1/", attempts=1))
    said = [line["error"] for line in logged]
    assert said == [
        "it can't be reached: ConnectError",
        "the gateway's environment variable NOT_SET is not set",
        "its CA file can't be used: No such file or directory",
        "its URL or its secret has not the expected form",
        "its URL or its secret has not the expected form",
    ]
    assert "T000" not in str(logged)


async def test_a_url_that_is_a_secret_and_a_slack_text(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiver() as hook:
        monkeypatch.setenv("HOOK_URL", hook.url)
        text = "approvals: {webhooks: [{name: chat, format: slack, url_from: {env: HOOK_URL}}]}"
        await told(Notifier(SettingsInUse(parse(text, file="x", folder=Path("/x")))))
    (received,) = hook.received
    assert "webhook-signature" not in received.headers
    assert list(json.loads(received.body)) == ["text"]


def test_nothing_that_is_recorded_drives_slack() -> None:
    evil = replace(
        APPROVAL,
        text="SELECT '<!channel> <https://evil|click>' ``` *bold* & co",
        agent="*bot*",
        target="t\n<@U1>",
        parameters=("<!here>", "`x`"),
    )
    text = json.loads(body_of(WebhookFormat.SLACK, evil, "https://g/approvals/apr_1"))["text"]
    assert re.findall(r"<[^>]*>", text) == ["<https://g/approvals/apr_1|apr_1>"]
    assert text.count("```") == 4
    assert "&lt;!channel&gt;" in text
    assert "2 of dba or leads to decide by 2096-10-02" in text
    without = json.loads(body_of(WebhookFormat.SLACK, replace(APPROVAL, by=(), minimum=1), ""))["text"]
    assert "admins to decide" in without
    assert without.endswith("`bodycam approvals show apr_1`")


def test_a_notice_is_short_and_says_when_it_is_not_all() -> None:
    long = replace(APPROVAL, text="x" * 60_000, parameters=("y" * 5000,) * 100)
    for form in WebhookFormat:
        body = body_of(form, long, "")
        assert len(body) < 10_000
        assert (b'"cut": true' in body) or (b"This is not all of it" in body)


async def test_too_many_at_once_are_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "MOST_WAITING", 2)
    with receiver() as hook:
        one = notifier(hook.url)
        for _ in range(5):
            one.tell(APPROVAL, "")
        assert (one.waiting, one.failed) == (2, 3)
        await told(one)
        assert (one.sent, one.failed) == (2, 4)
        await told(one)
    assert one.sent == 3


async def test_closing_gives_up_what_is_under_way() -> None:
    with receiver([500] * 99) as hook:
        one = notifier(hook.url, first=60.0, longest=60.0)
        one.tell(APPROVAL, "")
        async with asyncio.timeout(30):
            while not hook.received:
                await asyncio.sleep(0.01)
        await one.close()
        await asyncio.sleep(0)
    assert one.waiting == 0


async def test_over_tls_it_is_sure_whom_it_talks_to(tmp_path: Path) -> None:
    authority, key = Authority.create("test"), request("hook")
    (tmp_path / "ca.pem").write_bytes(authority.certificate_pem)
    (tmp_path / "other.pem").write_bytes(Authority.create("other").certificate_pem)
    context = server_context(key.key_pem, authority.sign(key.csr_pem, names=["127.0.0.1"]))
    more = "secret: {env: HOOK_SECRET}, ca_file: %s"
    with receiver(tls=context) as hook, structlog.testing.capture_logs() as logged:
        await told(one := notifier(hook.url, more % (tmp_path / "ca.pem")))
        assert (one.sent, len(hook.received)) == (1, 1)
        for ca in (more % (tmp_path / "other.pem"), "secret: {env: HOOK_SECRET}"):
            await told(one := notifier(hook.url, ca, attempts=1))
            assert one.failed == 1
    assert len(hook.received) == 1
    assert {line["error"] for line in logged} == {"it can't be reached: ConnectError"}
