"""User names of SSH, and what they ask for."""

import pytest

from bodycam.protocols.ssh.place import place


@pytest.mark.parametrize(
    ("name", "host", "target", "account", "claimed"),
    [
        ("web1", "", "web1", None, "token"),
        ("deploy@web1", "", "web1", "deploy", "token"),
        ("bodycam@web1", "", "web1", None, "token"),
        ("@web1", "", "web1", None, "token"),
        ("me@corp.example@web1", "", "web1", "me@corp.example", "token"),
        ("billing-bot/web1", "", "web1", None, "token/billing-bot"),
        ("billing-bot/deploy@web1", "", "web1", "deploy", "token/billing-bot"),
        ("deploy", "10.0.0.7:22", "", "deploy", "token"),
        ("bodycam", "10.0.0.7:22", "", None, "token"),
        ("bodycam@web1", "web1:22", "", None, "token"),
        ("bot/deploy", "web1:22", "", "deploy", "token/bot"),
        ("", "web1:22", "", None, "token"),
    ],
)
def test_a_name_is_taken_apart(name: str, host: str, target: str, account: str | None, claimed: str) -> None:
    found = place(name, host)
    assert (found.target, found.account, found.host, found.claimed) == (target, account, host, claimed)
