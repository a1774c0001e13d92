"""What a worker gets to reach a target: read afresh, whole, or named as missing."""

from pathlib import Path

import pytest

from bodycam.config import Settings, parse
from bodycam.model.target import ChannelBinding, TlsMode
from bodycam.registry import WANTS
from bodycam.session.grant import Grant, grant_from_wire, grant_to_wire
from bodycam.targets.dials import Dials, TargetUnready
from tests.playbook.play import GRANT

SETTINGS = """
targets:
  vault:
    protocol: postgres
    address: "db:5432"
    user: app
    tls: {sslmode: verify-full, client_cert: c.pem, client_key: k.pem, channel_binding: require}
  plain: {protocol: postgres, address: "db:5432", user: app}
"""


def settings(folder: Path) -> Settings:
    return parse(SETTINGS, file="bodycam.yaml", folder=folder, protocols=WANTS)


def put(folder: Path, key: str = "the key", mode: int = 0o600) -> None:
    (folder / "c.pem").write_text("the certificate")
    (folder / "k.pem").write_text(key)
    (folder / "k.pem").chmod(mode)


async def test_key_and_certificate_go_into_the_dial_and_over_the_channel(tmp_path: Path) -> None:
    put(tmp_path)
    dial = await Dials().resolve(settings(tmp_path), "vault", None)

    assert (dial.client_cert, dial.client_key) == ("the certificate", "the key")
    assert (dial.channel_binding, dial.tls) == (ChannelBinding.REQUIRE, TlsMode.VERIFY_FULL)
    assert "the key" not in repr(dial)
    granted: Grant = grant_from_wire(grant_to_wire(GRANT) | {"dial": {**_plain(dial)}})
    assert granted.dial == dial


def _plain(dial: object) -> dict[str, object]:
    return {name: getattr(dial, name) for name in dial.__slots__}  # type: ignore[attr-defined]


async def test_a_key_that_was_changed_is_the_one_that_is_used(tmp_path: Path) -> None:
    put(tmp_path)
    await Dials().resolve(settings(tmp_path), "vault", None)
    put(tmp_path, key="the next key")

    assert (await Dials().resolve(settings(tmp_path), "vault", None)).client_key == "the next key"


async def test_a_key_that_others_can_read_is_refused_by_name(tmp_path: Path) -> None:
    put(tmp_path, mode=0o644)
    with pytest.raises(TargetUnready, match=r"client certificate of target vault .*k\.pem is open to others"):
        await Dials().resolve(settings(tmp_path), "vault", None)


async def test_without_one_nothing_is_read(tmp_path: Path) -> None:
    dial = await Dials().resolve(settings(tmp_path), "plain", None)

    assert (dial.client_cert, dial.client_key) == (None, None)
    assert dial.channel_binding is ChannelBinding.PREFER
