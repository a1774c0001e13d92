"""Certificates of runs: given at the start and with each renewal, to the run's starter and to nobody else."""

import base64
import ssl
import time
from dataclasses import asdict, replace
from typing import Any

import pytest

from bodycam.identity.run_certificates import RunCertificates
from bodycam.identity.run_ssh_certificates import RunSshCertificates
from bodycam.net.authority import Authority, request
from bodycam.net.ssh_authority import SshAuthority
from bodycam.net.ssh_key import SshKey
from bodycam.session.grant import Wanted
from tests.unit.api.world import World

CSR = request("a client").csr_pem.decode()
KEY = SshKey.create().public_line


@pytest.fixture
def certificates(world: World) -> RunCertificates:
    """A world whose listeners have TLS."""
    made = RunCertificates(Authority.create("Bodycam runs"))
    world.context.admission._certificates = made
    world.http._transport.app.state.control = replace(world.context, certificates=made)  # type: ignore[attr-defined]
    return made


def whose(certificates: RunCertificates, given: dict[str, Any], at: float | None = None) -> str:
    der = ssl.PEM_cert_to_DER_cert(given["pem"])
    return certificates.run_of(der, time.time() if at is None else at)


async def test_a_run_gets_one_with_its_start_that_ends_with_the_lease(
    world: World, certificates: RunCertificates
) -> None:
    started = await world.start_run(csr=CSR, ttl=600)
    given = started["certificate"]

    assert whose(certificates, given) == started["run"]["id"]
    assert given["expires"] == int(started["run"]["expires"])
    assert "PRIVATE" not in given["pem"]


async def test_without_a_request_there_is_none(world: World, certificates: RunCertificates) -> None:
    assert (await world.start_run())["certificate"] is None
    described = await world.call("dev", "GET", "/v1/gateway?agent=billing-bot")
    assert described.json()["certificates"] is True


async def test_a_renewal_gives_one_for_as_long(world: World, certificates: RunCertificates) -> None:
    started = await world.start_run(csr=CSR, ttl=60)
    run = started["run"]["id"]
    renewed = (await world.call("dev", "POST", f"/v1/runs/{run}/renew", json={"ttl": 600, "csr": CSR})).json()

    assert renewed["certificate"]["expires"] == int(renewed["expires"])
    assert whose(certificates, renewed["certificate"], time.time() + 500) == run
    bare = (await world.call("dev", "POST", f"/v1/runs/{run}/renew", json={})).json()
    assert bare["certificate"] is None


async def test_an_admin_renews_others_runs_and_gets_no_certificate_of_theirs(
    world: World, certificates: RunCertificates
) -> None:
    run = (await world.start_run("dev"))["run"]["id"]
    path = f"/v1/runs/{run}/renew"

    refused = await world.call("ada", "POST", path, json={"csr": CSR})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "forbidden")
    assert "its starter only" in refused.json()["error"]["message"]
    assert (await world.call("ada", "POST", path, json={})).status_code == 200
    # others can't see it at all
    assert (await world.call("eve", "POST", path, json={"csr": CSR})).status_code == 404


@pytest.mark.parametrize("how", ["end", "revoke"])
async def test_a_run_that_is_over_gets_none(world: World, certificates: RunCertificates, how: str) -> None:
    run = (await world.start_run())["run"]["id"]
    await world.call("dev", "POST", f"/v1/runs/{run}/{how}", json={"wait": 0} if how == "end" else {})

    refused = await world.call("dev", "POST", f"/v1/runs/{run}/renew", json={"csr": CSR})
    assert refused.status_code == 409
    assert "pem" not in refused.text


@pytest.mark.parametrize(
    "csr", ["", "nonsense", "x" * 9000, CSR.replace("M", "N", 3)], ids=["empty", "nonsense", "long", "broken"]
)
async def test_a_request_that_will_not_do_starts_no_run(
    world: World, certificates: RunCertificates, csr: str
) -> None:
    answer = await world.call("dev", "POST", "/v1/runs", json={"agent": "billing-bot", "csr": csr})

    assert answer.status_code == 422
    assert (await world.call("dev", "GET", "/v1/runs")).json()["runs"] == []


async def test_a_gateway_without_tls_says_that_it_gives_none(world: World) -> None:
    described = await world.call("dev", "GET", "/v1/gateway?agent=billing-bot")
    assert described.json()["certificates"] is False

    answer = await world.call("dev", "POST", "/v1/runs", json={"agent": "billing-bot", "csr": CSR})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "no-certificates")


async def test_a_worker_opens_a_session_by_the_certificate_alone(
    world: World, certificates: RunCertificates
) -> None:
    started = await world.start_run(csr=CSR)
    run, worker = started["run"]["id"], await world.worker()
    der = ssl.PEM_cert_to_DER_cert(started["certificate"]["pem"])
    asked = {"name": run, "secure": True, "address": "127.0.0.1", "certificate": der}
    begun = await worker.channel.call("challenge", asked)
    assert begun["method"] == "certificate"

    opened = await worker.open(begun["login"], b"")
    assert opened["grant"]["run"]["id"] == run
    await world.call("dev", "POST", f"/v1/runs/{run}/revoke", json={})
    again = await worker.channel.call("challenge", asked)
    refused = await worker.open(again["login"], b"")
    assert refused["refusal"]["code"] == "run-ended"
    assert refused["refusal"]["grant"]["run"]["id"] == run
    other = await worker.channel.call("challenge", asked | {"name": "run_somebodyelse"})
    assert other["refusal"]["code"] == "bad-certificate"


@pytest.fixture
def ssh(world: World) -> RunSshCertificates:
    """A world with a listener of SSH."""
    made = RunSshCertificates(SshAuthority(SshKey.create()))
    world.context.admission._ssh_certificates = made
    changed = replace(world.context, ssh_certificates=made, ssh_host_key="ssh-ed25519 AAAA")
    world.http._transport.app.state.control = changed  # type: ignore[attr-defined]
    return made


def whose_ssh(certificates: RunSshCertificates, given: dict[str, Any], at: float | None = None) -> str:
    blob = base64.b64decode(given["line"].split()[1])
    return certificates.run_of(blob, time.time() if at is None else at)


async def test_a_run_gets_a_certificate_of_ssh_with_its_start_and_with_each_renewal(
    world: World, ssh: RunSshCertificates
) -> None:
    started = await world.start_run(ssh_public_key=f"{KEY} me@here", ttl=60)
    run = started["run"]["id"]
    assert whose_ssh(ssh, started["ssh_certificate"]) == run
    assert started["ssh_certificate"]["expires"] == int(started["run"]["expires"])
    assert started["ssh_certificate"]["line"].startswith("ssh-ed25519-cert-v01@openssh.com ")

    path, body = f"/v1/runs/{run}/renew", {"ttl": 600, "ssh_public_key": KEY}
    renewed = (await world.call("dev", "POST", path, json=body)).json()
    assert whose_ssh(ssh, renewed["ssh_certificate"], time.time() + 500) == run
    assert (await world.call("dev", "POST", path, json={})).json()["ssh_certificate"] is None
    assert (await world.start_run())["ssh_certificate"] is None


async def test_the_gateway_says_its_host_key_where_it_has_one(world: World, ssh: RunSshCertificates) -> None:
    described = await world.call("dev", "GET", "/v1/gateway?agent=billing-bot")
    assert described.json()["ssh_host_key"] == "ssh-ed25519 AAAA"


async def test_without_a_listener_of_ssh_there_is_neither_key_nor_certificate(world: World) -> None:
    described = await world.call("dev", "GET", "/v1/gateway?agent=billing-bot")
    assert described.json()["ssh_host_key"] is None
    body = {"agent": "billing-bot", "ssh_public_key": KEY}
    answer = await world.call("dev", "POST", "/v1/runs", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "no-certificates")


@pytest.mark.parametrize(
    "line",
    ["nonsense", "ssh-dss AAAA", KEY[:40], f"{KEY}\n{KEY}"],
    ids=["nonsense", "old", "cut", "two lines"],
)
async def test_a_public_key_that_will_not_do_starts_no_run(
    world: World, ssh: RunSshCertificates, line: str
) -> None:
    answer = await world.call(
        "dev", "POST", "/v1/runs", json={"agent": "billing-bot", "ssh_public_key": line}
    )
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (422, "bad-public-key")
    assert "OpenSSH public key" in error["message"]
    assert "ssh-keygen" in error["hint"]
    assert (await world.call("dev", "GET", "/v1/runs")).json()["runs"] == []


@pytest.mark.parametrize("line", ["", "x" * 9000])
async def test_a_line_of_no_length_or_of_any_is_not_even_read(
    world: World, ssh: RunSshCertificates, line: str
) -> None:
    answer = await world.call(
        "dev", "POST", "/v1/runs", json={"agent": "billing-bot", "ssh_public_key": line}
    )
    assert answer.status_code == 422


async def test_an_admin_gets_no_certificate_of_ssh_of_others_runs(
    world: World, ssh: RunSshCertificates
) -> None:
    run = (await world.start_run("dev"))["run"]["id"]
    refused = await world.call("ada", "POST", f"/v1/runs/{run}/renew", json={"ssh_public_key": KEY})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "forbidden")


@pytest.mark.parametrize("how", ["end", "revoke"])
async def test_a_certificate_of_ssh_opens_nothing_once_its_run_is_over(
    world: World, ssh: RunSshCertificates, how: str
) -> None:
    started = await world.start_run(ssh_public_key=KEY)
    blob = base64.b64decode(started["ssh_certificate"]["line"].split()[1])
    worker = await world.worker()

    async def log_in() -> dict[str, Any]:
        asked = {"name": "", "secure": True, "encrypted": True, "address": "a:1", "certificate": blob}
        said = await worker.channel.call("challenge", asked)
        assert said["method"] == "certificate"
        wanted = asdict(Wanted("postgres", "orders", None, "a:1"))
        return await worker.channel.call("open", {"login": said["login"], "proof": b"", "wanted": wanted})  # type: ignore[no-any-return]

    assert (await log_in())["grant"]["run"]["id"] == started["run"]["id"]
    body = {"wait": 0} if how == "end" else {}
    await world.call("dev", "POST", f"/v1/runs/{started['run']['id']}/{how}", json=body)
    refused = await log_in()
    assert refused["refusal"]["code"] == "run-ended"
