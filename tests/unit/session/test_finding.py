"""Which target a client means, and which protocol is spoken at a place."""

from pathlib import Path

import pytest

from bodycam.config import parse
from bodycam.config.targets import TargetSettings
from bodycam.registry import WANTS
from bodycam.session.finding import find, served_at
from bodycam.session.grant import Wanted

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
SETTINGS = f"""
targets:
  orders: {{protocol: postgres, address: "db.internal:5432", user: app, password: {{env: P}}}}
  local: {{protocol: postgres, address: "127.0.0.1:5433", user: app, password: {{env: P}}}}
  web1: {{protocol: ssh, address: "10.0.0.7:22", user: app, host_keys: ["{KEY}"]}}
  web2: {{protocol: ssh, address: "web1:2222", user: app, host_keys: ["{KEY}"]}}
"""


@pytest.fixture
def targets() -> dict[str, TargetSettings]:
    return dict(parse(SETTINGS, file="f", folder=Path("/srv"), protocols=WANTS).targets)


@pytest.mark.parametrize(
    ("host", "named", "name"),
    [
        ("10.0.0.7:22", True, "web1"),
        ("web1:22", True, "web1"),
        ("web1:2222", True, "web2"),
        ("WEB1:22", True, "web1"),
        ("web1:22", False, ""),
        ("orders:22", True, ""),
        ("nosuch:22", True, ""),
    ],
)
def test_a_host_may_be_a_targets_name_where_clients_write_so(
    targets: dict[str, TargetSettings], host: str, named: bool, name: str
) -> None:
    found = find(targets, Wanted("ssh", "", None, "127.0.0.1:1", host=host, named=named))
    assert (found.name, found.declared is not None) == (name, bool(name))


@pytest.mark.parametrize(
    ("where", "seen_from", "protocol", "at"),
    [
        ("db.internal:5432", "10.0.0.7", "postgres", "db.internal:5432"),
        ("DB.internal:5432", "10.0.0.7", "postgres", "db.internal:5432"),
        ("10.0.0.7:22", "db.internal", "ssh", "10.0.0.7:22"),
        ("db.internal:5433", "10.0.0.7", "", ""),
        ("orders:5432", "10.0.0.7", "", ""),
        ("not a host:1", "10.0.0.7", "", ""),
        ("", "10.0.0.7", "", ""),
        # loopback is whoever says it: not this machine's own where another says it
        ("127.0.0.1:5433", "10.0.0.7", "", ""),
        ("127.0.0.1:5433", "127.0.0.1", "postgres", "127.0.0.1:5433"),
        ("localhost:5433", "127.0.0.1", "postgres", "127.0.0.1:5433"),
        ("[::1]:5433", "localhost", "postgres", "127.0.0.1:5433"),
        ("0.0.0.0:5433", "localhost", "postgres", "127.0.0.1:5433"),
        ("127.0.0.1:5432", "DB.internal", "postgres", "db.internal:5432"),
        ("localhost:5432", "db.internal", "postgres", "db.internal:5432"),
        ("localhost:5433", "db.internal", "", ""),
        ("localhost:5433", "not a host", "", ""),
    ],
)
def test_what_is_spoken_at_a_place_is_told_by_its_address_as_it_is_seen_from_there(
    targets: dict[str, TargetSettings], where: str, seen_from: str, protocol: str, at: str
) -> None:
    assert served_at(targets, where, seen_from) == (protocol, at)
