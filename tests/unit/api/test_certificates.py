"""Certificates of runs: given at the start and with each renewal, to the run's starter and to nobody else."""

import ssl
import time
from dataclasses import replace
from typing import Any

import pytest

from bodycam.identity.run_certificates import RunCertificates
from bodycam.net.authority import Authority, request
from tests.unit.api.world import World

CSR = request("a client").csr_pem.decode()


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
