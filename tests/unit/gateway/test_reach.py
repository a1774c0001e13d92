"""Connections to hosts whose addresses have to be of the Internet: looked up once, checked, and that one taken."""

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from bodycam.gateway import dialer
from bodycam.model.target import Dial, Reach, TlsMode
from bodycam.protocols.postgres.opening import TargetOpening
from bodycam.session.link import DialDone, DialFailed
from tests.unit.gateway.test_dialer import Certificates, answering, certificates, greet, link, serving

__all__ = ["certificates"]


@dataclass
class Names:
    """A resolver that says what a test has it say, each time the next; no socket but those of the test is opened."""

    answers: list[list[str]]
    asked: list[tuple[str, int]] = field(default_factory=list)

    async def __call__(self, host: str, port: int) -> Sequence[tuple[int, Any]]:
        self.asked.append((host, port))
        answer = self.answers[min(len(self.asked), len(self.answers)) - 1]
        return [
            (socket.AF_INET6, (one.partition("%")[0], port, 0, int(one.partition("%")[2] or 0)))
            if ":" in one
            else (socket.AF_INET, (one, port))
            for one in answer
        ]


def to(host: str, port: int, reach: Reach, mode: TlsMode = TlsMode.DISABLE, **more: Any) -> Dial:
    return Dial(host, port, "", "", None, mode, reach=reach, **{"connect_timeout": 5.0, **more})


async def dial(wanted: Dial, names: Names) -> DialDone | DialFailed:
    made = link()
    outcome = await dialer.dial(made, wanted, TargetOpening(wanted.tls), names)
    made.drop_target()
    return outcome


@pytest.mark.parametrize(
    ("reach", "addresses", "shown", "hint"),
    [
        (Reach.PUBLIC, ["10.1.2.3"], "10.1.2.3, which is an address of a private network", "`private: true`"),
        (Reach.PUBLIC, ["fd00::7"], "fd00::7, which is an address of a private network", "`private: true`"),
        (Reach.PUBLIC, ["127.0.0.1"], "127.0.0.1, which is an address of this machine", "`address`"),
        (Reach.PUBLIC, ["::ffff:127.0.0.1"], "::ffff:127.0.0.1, which is", "`address`"),
        (Reach.PUBLIC, ["169.254.169.254"], "169.254.169.254, which is", "never reached there"),
        (Reach.PRIVATE, ["169.254.169.254"], "169.254.169.254, which is", "never reached there"),
        (Reach.PRIVATE, ["127.0.0.1", "::1"], "127.0.0.1, which is", "never reached there"),
        (Reach.PUBLIC, ["169.254.1.1", "10.0.0.1"], "10.0.0.1, which is", "`private: true`"),
        (Reach.PUBLIC, ["2606:4700::1111%3"], "2606:4700::1111%3, which is", "never reached there"),
    ],
)
async def test_a_name_that_means_somebodys_own_is_refused(
    reach: Reach, addresses: list[str], shown: str, hint: str
) -> None:
    async with serving(greet) as server:
        outcome = await dial(to("rebind.example", server.port, reach), Names([addresses]))
        assert server.failures == []
    assert isinstance(outcome, DialFailed)
    assert outcome.refused
    assert outcome.message.startswith(f"rebind.example is at {shown}")
    assert hint in outcome.hint


def test_of_mixed_answers_only_what_is_allowed_is_connected_to() -> None:
    def chosen(reach: Reach) -> list[str]:
        return [at[0] for _, at in dialer.permitted(to("mixed.example", 443, reach), found)]

    found = [
        (socket.AF_INET, (one, 443))
        for one in ("127.0.0.1", "1.1.1.1", "10.0.0.1", "169.254.169.254", "8.8.8.8")
    ]
    found.append((socket.AF_INET6, ("::ffff:10.0.0.1", 443, 0, 0)))  # type: ignore[arg-type]
    assert chosen(Reach.PUBLIC) == ["1.1.1.1", "8.8.8.8"]
    assert chosen(Reach.PRIVATE) == ["1.1.1.1", "10.0.0.1", "8.8.8.8", "::ffff:10.0.0.1"]
    assert len(chosen(Reach.ANY)) == len(found)


async def test_a_name_is_looked_up_once_for_the_check_and_the_connection() -> None:
    async with serving(greet) as server:
        names = Names([["127.0.0.1"], ["169.254.169.254"]])
        assert await dial(to("db.example", server.port, Reach.ANY), names) == DialDone(secure=False)
    assert names.asked == [("db.example", server.port)]


async def test_the_certificate_is_held_against_the_name_and_not_the_address(
    certificates: Certificates,
) -> None:
    asked = []

    def named(_: object, name: str | None, __: object) -> None:
        asked.append(name)

    certificates.context.sni_callback = named

    async with serving(answering(b"S", certificates.context)) as server:
        wanted = to(
            "other.example", server.port, Reach.ANY, TlsMode.VERIFY_FULL, ca_file=str(certificates.ca)
        )
        outcome = await dial(wanted, Names([["127.0.0.1"]]))
    assert isinstance(outcome, DialFailed)
    assert "Hostname mismatch, certificate is not valid for 'other.example'" in outcome.message
    assert asked == ["other.example"]


async def test_a_resolver_that_says_nothing_has_a_deadline() -> None:
    async def silent(host: str, port: int) -> Sequence[tuple[int, Any]]:
        await asyncio.Event().wait()
        return []

    made = link()
    wanted = to("slow.example", 1, Reach.PUBLIC, connect_timeout=0.2)
    outcome = await dialer.dial(made, wanted, TargetOpening(TlsMode.DISABLE), silent)
    assert isinstance(outcome, DialFailed)
    assert outcome.message == "the target can't be reached: no address for slow.example within 0.1 s"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "0x7f.1", "2130706433", "localhost", "0", "::1"])
async def test_what_the_systems_resolver_makes_of_a_spelling_is_checked(host: str) -> None:
    async with serving(greet) as server:
        made = link()
        wanted = to(host, server.port, Reach.PUBLIC)
        outcome = await dialer.dial(made, wanted, TargetOpening(TlsMode.DISABLE))
    assert isinstance(outcome, DialFailed)
    assert outcome.refused


async def test_no_socket_file_is_a_host() -> None:
    outcome = await dial(to("/run/socket", 1, Reach.PUBLIC), Names([[]]))
    assert isinstance(outcome, DialFailed)
    assert "no address for /run/socket" in outcome.message
