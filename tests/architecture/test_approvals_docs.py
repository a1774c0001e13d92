"""docs/approvals.md says what the code does: states, acts, bounds, settings, and how a signature is checked."""

import re
import time
from pathlib import Path
from typing import Any

from bodycam.api import approval_desk, approvals, signed_post, webhook_bodies, webhooks
from bodycam.catalog.approvals import Standing
from bodycam.config import parse

PAGE = (Path(__file__).parents[2] / "docs" / "approvals.md").read_text()
SOURCE = Path(__file__).parents[2] / "src" / "bodycam" / "api"


def fenced(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_states_are_those_of_the_code() -> None:
    table = PAGE.split("| state | means |")[1].split("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == [one.value for one in Standing]


def test_the_acts_are_those_of_the_code() -> None:
    code = "".join((SOURCE / name).read_text() for name in ("approvals.py", "approval_desk.py"))
    acts = set(re.findall(r'"(approval-\w+)"', code))
    assert set(re.findall(r"`(approval-\w+)`", PAGE)) == acts
    assert set(approval_desk.entry.__annotations__) == {"approval", "return"}
    assert len(acts) == 4


def test_the_bounds_are_those_of_the_code() -> None:
    table = PAGE.split("| bound | is |")[1].split("\n\n")[0]
    bounds = [
        row.split("|")[2].strip() for row in table.splitlines() if row.startswith("| ") and "---" not in row
    ]
    days = approval_desk.MAX_SECONDS / 86400
    assert bounds == [
        str(approval_desk.MOST_PENDING),
        str(approval_desk.MOST_HOURLY),
        str(approval_desk.MAX_TEXT),
        f"{days:g} days",
        str(webhooks.MOST_WAITING),
    ]
    text = " ".join(PAGE.split())
    assert f"longer than {approval_desk.ENTER_SECONDS:g} seconds" in text
    patience = webhooks.Patience()
    assert f"no answer within {patience.attempt:g} seconds" in text
    assert f"up to {patience.attempts} times in {patience.overall / 60:g} minutes" in text
    assert f"from {patience.first:g} second to {patience.longest / 60:g} minute" in text
    *others, last = sorted(signed_post._AGAIN)
    assert f"the statuses {', '.join(map(str, others))} and {last} are tried again" in text
    assert f"cut to {webhook_bodies.MOST_TEXT} characters" in text
    assert (
        f"{webhook_bodies.MOST_PARAMETERS} are sent, {webhook_bodies.MOST_PARAMETER} characters of each"
        in text
    )
    assert approvals.MAX_REASON == 500


def test_the_fields_of_a_generic_webhook_are_listed() -> None:
    code = (SOURCE / "webhook_bodies.py").read_text().split('"data": {')[1].split("},")[0]
    text = PAGE.split("where `data` has")[1].split("(seconds of")[0]
    assert re.findall(r"`(\w+)`", text) == re.findall(r'^ +"(\w+)":', code, re.MULTILINE)


def test_the_settings_load() -> None:
    (example,) = fenced("yaml")
    settings = parse(example, file="x", folder=Path("/x"))
    assert [one.name for one in settings.approvals.webhooks] == ["on-call", "chat"]


def test_the_receivers_code_takes_what_is_genuine_and_nothing_else() -> None:
    (program,) = fenced("python")
    given: dict[str, Any] = {}
    exec(program, given)
    genuine, key, now = given["genuine"], b"a key", int(time.time())
    headers = signed_post.signature(key, "msg_1", now, b"{}")
    assert genuine(headers, b"{}", key)
    assert not genuine(headers, b"{ }", key)
    assert not genuine(headers, b"{}", b"another")
    assert not genuine({**headers, "webhook-id": "msg_2"}, b"{}", key)
    assert not genuine(signed_post.signature(key, "msg_1", now - 3600, b"{}"), b"{}", key)
