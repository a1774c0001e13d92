"""Clients that begin logins and don't end them, at a real gateway: nothing of them is left, and nothing counts."""

import asyncio
from collections.abc import Iterator

import asyncssh
import pytest
from asyncssh.constants import MSG_USERAUTH_REQUEST
from asyncssh.packet import Boolean, String

from tests import openssh
from tests.interop.raw import sessions, until
from tests.interop.ssh_road import Road, Traveller, by_a_jump, road, target

MOST = 3  # sessions of a run at a time


@pytest.fixture(scope="module")
def way(sshd: openssh.OpenSsh) -> Iterator[Road]:
    with road({"web1": target(sshd)}, limits={"connections_per_run": MOST, "login_timeout": "60s"}) as one:
        yield one


@pytest.fixture
def traveller(way: Road) -> Traveller:
    return way.traveller()


def pending(way: Road) -> int:
    """Logins that are under way, as the metrics say."""
    for line in way.gateway.api("GET", "/metrics", key=False).text.splitlines():
        if line.startswith("bodycam_pending_logins "):
            return int(float(line.split()[1]))
    raise AssertionError("there is no such metric")


class Hasty(asyncssh.SSHClient):
    """A client that sends login after login and waits for none: the first by its own, `more` at once behind it."""

    def __init__(self, secret: str, more: int) -> None:
        self._secret, self._more = secret, more

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        self._connection = conn

    def password_auth_requested(self) -> str:
        asyncio.get_running_loop().call_soon(self._go_on)
        return self._secret

    def _go_on(self) -> None:
        for _ in range(self._more):
            asked = (
                *map(String, ("web1", "ssh-connection", "password")),
                Boolean(False),
                String(self._secret),
            )
            self._connection.send_packet(MSG_USERAUTH_REQUEST, *asked)


async def hasty(traveller: Traveller, more: int) -> asyncssh.SSHClientConnection:
    return await asyncssh.connect(
        "127.0.0.1", traveller.road.port, username="web1", known_hosts=None, config=None, agent_path=None,
        client_keys=None, preferred_auth="password", client_factory=lambda: Hasty(traveller.secret, more),
    )  # fmt: skip


async def test_logins_that_are_given_up_for_the_next_are_no_sessions_that_count(traveller: Traveller) -> None:
    for n in range(MOST + 2):
        async with await hasty(traveller, more=4) as ssh:
            assert (await ssh.run(f"exit {n}")).exit_status == n
        done = await asyncio.to_thread(traveller.ssh, "web1", "echo beside")
        assert (done.returncode, done.stdout) == (0, b"beside\n"), done.stderr
    served = 2 * (MOST + 2)
    listed = await asyncio.to_thread(
        lambda: until(lambda: over(traveller, served), f"the end of {served} sessions")
    )
    assert sum(one["outcome"] == "ended" for one in listed) == served
    assert {one["outcome"] for one in listed} <= {"ended", "failed"}
    assert {one["reason"] for one in listed if one["outcome"] == "failed"} <= {
        "the client began another login, or left"
    }
    assert pending(traveller.road) == 0


def over(traveller: Traveller, least: int) -> list[dict[str, str]]:
    """The sessions of a run, once `least` of them have ended and none is open: one is listed after its client has left."""
    listed = sessions(traveller.road.gateway, traveller.run)
    ended = sum(one["outcome"] == "ended" for one in listed)
    return listed if ended >= least and all(one["outcome"] for one in listed) else []


async def test_a_client_that_leaves_in_the_middle_of_its_logins_leaves_nothing(traveller: Traveller) -> None:
    for _ in range(3 * MOST):
        connecting = asyncio.ensure_future(hasty(traveller, more=4))
        await asyncio.sleep(0.06)
        connecting.cancel()
        for one in await asyncio.gather(connecting, return_exceptions=True):
            if isinstance(one, asyncssh.SSHClientConnection):
                one.abort()
    await asyncio.to_thread(lambda: until(lambda: not pending(traveller.road), "no login under way"))

    def in_again() -> bool:
        return all(traveller.ssh("web1", "true").returncode == 0 for _ in range(MOST + 1))

    await asyncio.to_thread(lambda: until(in_again, "as many sessions as ever"))


def test_a_jump_leaves_no_login_behind_and_neither_does_one_that_is_proved_otherwise(
    traveller: Traveller, sshd: openssh.OpenSsh
) -> None:
    clients = [traveller.start(*by_a_jump(sshd)) for _ in range(MOST)]
    try:
        for client in clients:
            assert client.stdout is not None
            assert client.stdout.readline() == b"in\n"
        assert pending(traveller.road) == 0
    finally:
        for client in clients:
            client.kill()
            client.communicate(timeout=30)
