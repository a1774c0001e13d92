"""Logins as the control process decides them, read as transcripts."""

import ssl
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from scramp import ScramClient, ScramException

from bodycam.catalog.runs import RunState
from bodycam.config import Settings, parse
from bodycam.identity import run_credentials
from bodycam.identity.proof import KnownRun
from bodycam.identity.run_certificates import RunCertificates
from bodycam.identity.run_prover import RunProver
from bodycam.model.identity import Principal, PrincipalKind, Run
from bodycam.model.target import Dial
from bodycam.net.authority import Authority, request
from bodycam.session.admission import Admission
from bodycam.session.grant import Challenge, Grant, Method, Refusal, RefusalCode, Wanted
from bodycam.session.quota import Quota
from bodycam.targets.dials import Dials, TargetUnready
from tests.made_up import WITH_WEB

SETTINGS = """
listen: {postgres: "127.0.0.1:0"}
limits: {connections_per_run: 2, pending_logins: 3, login_timeout: 10s}
targets:
  orders:
    {protocol: postgres, address: "db:5432", user: app, password: {env: BODYCAM_TEST_PW}, labels: {env: prod}}
  secrets: {protocol: postgres, address: "db:5432", user: app, database: vault}
agents:
  billing-bot: {may_start: {groups: [payments]}}
access:
  - {agents: [billing-bot], groups: [payments], targets: {labels: {env: prod}}}
"""
RUN = "run_aaaaaaaaaaaaaaaa"
CREDENTIAL, VERIFIER = run_credentials.issue(RUN)
STARTER = Principal("bodycam", "ci", PrincipalKind.SERVICE, frozenset({"payments"}))
ORDERS = Wanted("postgres", "orders", None, "127.0.0.1:9")


CERTIFICATES = RunCertificates(Authority.create("Bodycam runs", now=datetime.fromtimestamp(1, UTC)))
CSR = request("a client").csr_pem


def shown(run: Run, certificates: RunCertificates = CERTIFICATES) -> bytes:
    """The certificate of a run as a client shows it in its handshake."""
    return ssl.PEM_cert_to_DER_cert(certificates.issue(run, CSR, now=900.0).pem)


def settings(text: str = SETTINGS) -> Settings:
    return parse(text, file="bodycam.yaml", folder=Path("/srv"), protocols=WITH_WEB)


@dataclass
class Store:
    known: KnownRun

    async def known_run(self, run: str) -> KnownRun | None:
        return self.known if run == self.known.run.id else None


@dataclass
class Desk:
    """An admission with a clock that the test turns."""

    now: float = 1000.0
    text: str = SETTINGS
    store: Store = field(
        default_factory=lambda: Store(KnownRun(Run(RUN, STARTER, "billing-bot", 2000.0), VERIFIER))
    )

    quota: Quota = field(default_factory=Quota)

    def __post_init__(self) -> None:
        self.admission = self.build(Dials().resolve)

    def build(self, resolver: object) -> Admission:
        clock = lambda: self.now  # noqa: E731
        return Admission(
            settings(self.text),
            self.store,
            [RunProver(self.store)],
            b"k" * 32,
            certificates=CERTIFICATES,
            quota=self.quota,
            resolver=resolver,
            wall=clock,
            monotonic=clock,  # type: ignore[arg-type]
        )

    async def scram(
        self, secret: str = CREDENTIAL.secret, name: str = RUN, wanted: Wanted = ORDERS
    ) -> Grant | Refusal:
        """A whole login as libpq makes it, with an empty name in the SCRAM exchange."""
        client = ScramClient(["SCRAM-SHA-256"], "x", secret)
        begun = await self.admission.challenge(name, secure=True, address="127.0.0.1")
        if isinstance(begun, Refusal):
            return begun
        assert begun.method is Method.SCRAM_SHA_256
        first = client.get_client_first().replace("n=x", "n=")
        client.client_first_bare = client.client_first_bare.replace("n=x", "n=")
        answer = await self.admission.respond(begun.login, first.encode())
        assert isinstance(answer, bytes)
        client.set_server_first(answer.decode())
        opened = await self.admission.open(begun.login, client.get_client_final().encode(), wanted)
        if isinstance(opened, Grant):
            client.set_server_final(opened.proof.decode())
        return opened

    async def certificate(
        self, run: Run | None = None, name: str = RUN, wanted: Wanted = ORDERS
    ) -> Grant | Refusal:
        """A login with the certificate of a run, in which the client is asked for nothing."""
        given = shown(run or self.store.known.run)
        begun = await self.admission.challenge(name, secure=True, address="127.0.0.1", certificate=given)
        if isinstance(begun, Refusal):
            return begun
        assert begun.method is Method.CERTIFICATE
        return await self.admission.open(begun.login, b"", wanted)

    async def token(self, text: str, wanted: Wanted = ORDERS) -> Grant | Refusal:
        begun = await self.admission.challenge("token", secure=True, address="127.0.0.1")
        assert isinstance(begun, Challenge)
        assert begun.method is Method.CLEARTEXT
        return await self.admission.open(begun.login, text.encode(), wanted)


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("BODYCAM_TEST_PW", "target-secret")
    return Desk()


def refused(answer: Grant | Refusal | Challenge | bytes) -> Refusal:
    assert isinstance(answer, Refusal)
    return answer


async def test_a_scram_login_opens_the_target_with_its_secret(desk: Desk) -> None:
    grant = await desk.scram()
    assert isinstance(grant, Grant)
    assert grant.run.id == RUN
    assert (grant.target.name, grant.target.labels, grant.database) == ("orders", {"env": "prod"}, "app")
    assert grant.dial == Dial("db", 5432, "app", "app", "target-secret")
    assert grant.session.startswith("ses_")
    assert grant.policy == desk.admission.access.version
    assert desk.admission.sessions.of_run(RUN) == [grant.session]


async def test_the_same_secret_works_as_a_cleartext_token(desk: Desk) -> None:
    grant = await desk.token(CREDENTIAL.secret, replace(ORDERS, database="other"))
    assert isinstance(grant, Grant)
    assert grant.database == "other"
    assert grant.dial is not None
    assert grant.dial.database == "other"


@pytest.mark.parametrize("name", [RUN, "run_bbbbbbbbbbbbbbbb", "postgres", "", "x" * 9999, "\udcff"])
async def test_a_wrong_secret_and_an_unknown_name_look_alike(desk: Desk, name: str) -> None:
    said = refused(await desk.scram("wrong", name))
    assert (said.code, said.message) == (RefusalCode.BAD_CREDENTIAL, "the run credential is not valid")
    assert said.grant is None
    (failure,) = desk.admission.failures()
    assert (failure.reason, failure.count, failure.address) == ("bad-credential", 1, "127.0.0.1")
    assert not desk.admission.failures()
    assert len(desk.admission.sessions) == 0


async def test_an_unknown_name_has_the_same_salt_each_time(desk: Desk) -> None:
    async def salt(name: str) -> bytes:
        begun = await desk.admission.challenge(name, secure=True, address="a")
        assert isinstance(begun, Challenge)
        answer = await desk.admission.respond(begun.login, b"n,,n=,r=abcdefgh")
        assert isinstance(answer, bytes)
        await desk.admission.open(begun.login, b"", ORDERS)
        return answer.split(b",")[1]

    assert await salt("run_nobody") == await salt("run_nobody")
    assert await salt("run_nobody") != await salt("run_other")
    assert len(await salt("run_nobody")) == len(await salt(RUN))


@pytest.mark.parametrize(
    "token", ["", "bcr_", "bcr_run_aaaaaaaaaaaaaaaa_", "bcr_run_zz_x", "eyJhbGciOiJub25lIn0.e30.", "x"]
)
async def test_a_token_that_proves_nothing_is_a_counted_event(desk: Desk, token: str) -> None:
    said = refused(await desk.token(token))
    assert (said.code, said.grant) == (RefusalCode.BAD_CREDENTIAL, None)
    assert desk.admission.failed_total == 1


@pytest.mark.parametrize("data", [b"", b"\xff", b"n,,", b"p=tls-unique,,n=,r=a", b"x" * 5000, b"n,,n=,r="])
async def test_what_is_no_scram_message_ends_the_login(desk: Desk, data: bytes) -> None:
    begun = await desk.admission.challenge(RUN, secure=True, address="a")
    assert isinstance(begun, Challenge)
    assert refused(await desk.admission.respond(begun.login, data)).code is RefusalCode.BAD_CREDENTIAL
    assert refused(await desk.admission.open(begun.login, data, ORDERS)).code is RefusalCode.BAD_CREDENTIAL


async def test_a_login_is_good_once_and_not_for_long(desk: Desk) -> None:
    begun = await desk.admission.challenge("token", secure=True, address="a")
    assert isinstance(begun, Challenge)
    assert isinstance(await desk.admission.open(begun.login, CREDENTIAL.secret.encode(), ORDERS), Grant)
    again = refused(await desk.admission.open(begun.login, CREDENTIAL.secret.encode(), ORDERS))
    assert again.message == "the login took too long or was answered twice"
    late = await desk.admission.challenge("token", secure=True, address="a")
    assert isinstance(late, Challenge)
    desk.now += 10
    assert isinstance(await desk.admission.open(late.login, CREDENTIAL.secret.encode(), ORDERS), Refusal)


async def test_a_certificate_of_the_run_needs_no_other_proof(desk: Desk) -> None:
    grant = await desk.certificate()

    assert isinstance(grant, Grant)
    assert (grant.run.id, grant.target.name, grant.proof) == (RUN, "orders", b"")
    assert grant.dial is not None
    assert desk.admission.sessions.of_run(RUN) == [grant.session]


async def test_whoever_claims_another_name_than_their_certificate_s_is_refused(desk: Desk) -> None:
    other = Run("run_bbbbbbbbbbbbbbbb", STARTER, "billing-bot", 2000.0)
    for run, name in ((other, RUN), (None, other.id), (None, "postgres"), (None, "")):
        said = refused(await desk.certificate(run, name))
        assert said.code is RefusalCode.BAD_CERTIFICATE
        assert said.message == (
            f'the client certificate is of run {(run or desk.store.known.run).id}, and the user name is "{name}"'
        )
        assert said.grant is None
    assert [(one.reason, one.count) for one in desk.admission.failures()] == [("bad-certificate", 1)] * 4


async def test_a_certificate_that_is_over_is_refused_and_no_password_is_asked_for_instead(desk: Desk) -> None:
    given = shown(replace(desk.store.known.run, expires=1500.0))
    desk.now = 1501.0
    said = refused(await desk.admission.challenge(RUN, secure=True, address="127.0.0.1", certificate=given))
    assert (said.code, "is not valid now" in said.message) == (RefusalCode.BAD_CERTIFICATE, True)
    assert "sslcertmode=disable" in said.hint
    # without it, the password is as good as before
    assert isinstance(await desk.scram(), Grant)


async def test_a_certificate_of_another_authority_or_of_a_run_that_is_not_known(desk: Desk) -> None:
    stranger = RunCertificates(Authority.create("Bodycam runs", now=datetime.fromtimestamp(1, UTC)))
    given = shown(desk.store.known.run, stranger)
    said = refused(await desk.admission.challenge(RUN, secure=True, address="127.0.0.1", certificate=given))
    assert said.code is RefusalCode.BAD_CERTIFICATE
    assert "not one that this gateway gave" in said.message

    gone = Run("run_cccccccccccccccc", STARTER, "billing-bot", 2000.0)
    said = refused(await desk.certificate(gone, gone.id))
    assert (said.code, said.grant) == (RefusalCode.BAD_CREDENTIAL, None)


async def test_a_token_says_itself_whose_it_is_whatever_certificate_comes_with_it(desk: Desk) -> None:
    other = shown(Run("run_bbbbbbbbbbbbbbbb", STARTER, "billing-bot", 2000.0))
    begun = await desk.admission.challenge("token", secure=True, address="a", certificate=other)
    assert isinstance(begun, Challenge)
    assert begun.method is Method.CLEARTEXT
    grant = await desk.admission.open(begun.login, CREDENTIAL.secret.encode(), ORDERS)
    assert isinstance(grant, Grant)
    assert grant.run.id == RUN


async def test_a_login_by_certificate_is_open_to_no_other_proof(desk: Desk) -> None:
    given = shown(desk.store.known.run)
    begun = await desk.admission.challenge(RUN, secure=True, address="a", certificate=given)
    assert isinstance(begun, Challenge)
    assert refused(await desk.admission.respond(begun.login, b"n,,n=,r=x")).code is RefusalCode.BAD_CREDENTIAL
    assert isinstance(await desk.admission.open(begun.login, b"", ORDERS), Refusal)


async def test_without_an_authority_a_certificate_changes_nothing(desk: Desk) -> None:
    given = shown(desk.store.known.run)
    desk.admission._certificates = None
    begun = await desk.admission.challenge(RUN, secure=True, address="a", certificate=given)
    assert isinstance(begun, Challenge)
    assert begun.method is Method.SCRAM_SHA_256


async def test_a_flood_of_logins_is_bounded_and_gives_way(desk: Desk) -> None:
    for _ in range(3):
        assert isinstance(await desk.admission.challenge("token", secure=True, address="a"), Challenge)
    assert (
        refused(await desk.admission.challenge("token", secure=True, address="a")).code is RefusalCode.LIMIT
    )
    desk.now += 1.5
    assert isinstance(await desk.scram(), Grant)
    assert desk.admission.pending <= 3


@pytest.mark.parametrize("name", [RUN, "token"])
async def test_without_tls_nobody_from_elsewhere_logs_in(desk: Desk, name: str) -> None:
    said = refused(await desk.admission.challenge(name, secure=False, address="10.0.0.9"))
    assert said.code is RefusalCode.INSECURE


async def test_where_tls_is_not_required_scram_may_go_without_and_cleartext_may_not() -> None:
    desk = Desk(text=SETTINGS + "tls: {required: false}\n")
    assert isinstance(await desk.admission.challenge(RUN, secure=False, address="a"), Challenge)
    assert (
        refused(await desk.admission.challenge("token", secure=False, address="a")).code
        is RefusalCode.INSECURE
    )


@pytest.mark.parametrize(
    "change",
    [
        {"state": RunState.ENDED},
        {"state": RunState.REVOKED},
        {"credential_revoked": True},
        {"starter_active": False},
        {"run": Run(RUN, STARTER, "billing-bot", 999.0)},
    ],
)
async def test_who_proves_a_run_that_is_over_is_known_in_the_refusal(
    desk: Desk, change: dict[str, object]
) -> None:
    desk.store.known = replace(desk.store.known, **change)  # type: ignore[arg-type]
    certified = refused(await desk.certificate(Run(RUN, STARTER, "billing-bot", 2000.0)))
    for said in (refused(await desk.scram()), refused(await desk.token(CREDENTIAL.secret)), certified):
        assert said.code is RefusalCode.RUN_ENDED
        assert said.grant is not None
        assert (said.grant.run.id, said.grant.dial) == (RUN, None)
    assert desk.admission.failed_total == 0


@pytest.mark.parametrize(
    ("wanted", "code", "message", "hint"),
    [
        (
            replace(ORDERS, target="nope"),
            RefusalCode.UNKNOWN_TARGET,
            'there is no postgres target named "nope"',
            "This run may open: orders.",
        ),
        (
            replace(ORDERS, protocol="ssh"),
            RefusalCode.UNKNOWN_TARGET,
            'there is no ssh target named "orders"',
            "This run may open no target; the gateway's settings decide under `access`.",
        ),
        (
            replace(ORDERS, target="secrets"),
            RefusalCode.NOT_ALLOWED,
            'agent billing-bot, started by ci@bodycam, may not open "secrets"',
            "This run may open: orders.",
        ),
    ],
)
async def test_a_target_that_may_not_be_opened(
    desk: Desk, wanted: Wanted, code: RefusalCode, message: str, hint: str
) -> None:
    said = refused(await desk.scram(wanted=wanted))
    assert (said.code, said.message, said.hint) == (code, message, hint)
    assert said.grant is not None
    assert said.grant.target.name == wanted.target
    assert len(desk.admission.sessions) == 0


async def test_a_starter_outside_the_groups_gains_nothing_from_the_runs_labels(desk: Desk) -> None:
    outsider = Principal("bodycam", "eve", PrincipalKind.SERVICE)
    desk.store.known = replace(
        desk.store.known, run=Run(RUN, outsider, "billing-bot", 2000.0, labels={"env": "prod"})
    )
    assert refused(await desk.scram()).code is RefusalCode.NOT_ALLOWED


async def test_a_run_has_so_many_sessions_and_no_more(desk: Desk) -> None:
    first, second = await desk.scram(), await desk.scram()
    assert isinstance(first, Grant)
    assert isinstance(second, Grant)
    said = refused(await desk.scram())
    assert said.code is RefusalCode.LIMIT
    assert said.message == f"run {RUN} has 2 sessions open, which is its limit"
    desk.admission.closed(first.session)
    desk.admission.closed(first.session)
    assert isinstance(await desk.scram(), Grant)


async def test_a_secret_that_is_not_there_names_target_and_source(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BODYCAM_TEST_PW")
    said = refused(await desk.scram())
    assert said.code is RefusalCode.UNAVAILABLE
    assert said.message == (
        "the password of target orders can't be had: "
        "the gateway's environment variable BODYCAM_TEST_PW is not set"
    )
    assert said.grant is not None
    assert len(desk.admission.sessions) == 0


async def test_a_run_stopped_while_its_secret_is_fetched_is_refused(desk: Desk) -> None:
    async def slow(settings: Settings, name: str, database: str | None, host: object, who: str) -> Dial:
        assert len(desk.admission.stop(RUN)) == 1
        return await Dials().resolve(settings, name, database)

    desk.admission = desk.build(slow)
    assert refused(await desk.scram()).code is RefusalCode.RUN_ENDED
    assert len(desk.admission.sessions) == 0


async def test_a_resolver_that_fails_gives_its_place_back(desk: Desk) -> None:
    async def broken(settings: Settings, name: str, database: str | None, host: object, who: str) -> Dial:
        raise TargetUnready("no")

    desk.admission = desk.build(broken)
    for _ in range(3):
        assert refused(await desk.scram()).code is RefusalCode.UNAVAILABLE


async def test_stopping_a_run_names_its_sessions_and_shuts_the_door(desk: Desk) -> None:
    grant = await desk.scram()
    assert isinstance(grant, Grant)
    assert desk.admission.stop(RUN) == [grant.session]
    assert refused(await desk.scram()).code is RefusalCode.RUN_ENDED


async def test_an_expired_lease_is_found_and_a_renewed_one_is_not(desk: Desk) -> None:
    grant = await desk.scram()
    assert isinstance(grant, Grant)
    assert desk.admission.expired() == {}
    desk.admission.renewed(RUN, 3000.0)
    desk.now = 2500.0
    assert desk.admission.expired() == {}
    desk.now = 3000.0
    assert desk.admission.expired() == {RUN: [grant.session]}


async def test_workers_tell_what_they_have_after_a_restart(desk: Desk) -> None:
    assert await desk.admission.hello("w1", [("ses_a", RUN), ("ses_b", "run_gone")]) == ["ses_b"]
    assert desk.admission.sessions.of_run(RUN) == ["ses_a"]
    assert sorted(desk.admission.lost("w1")) == ["ses_a", "ses_b"]
    assert desk.admission.sessions.count(RUN) == 0


async def test_a_reload_judges_what_comes_after_it(desk: Desk) -> None:
    before = desk.admission.access.version
    desk.admission.adopt(settings(SETTINGS.split("access:", maxsplit=1)[0]))
    assert desk.admission.access.version != before
    assert refused(await desk.scram()).code is RefusalCode.NOT_ALLOWED


async def test_the_servers_own_proof_is_worth_something(desk: Desk) -> None:
    grant = await desk.scram()
    assert isinstance(grant, Grant)
    with pytest.raises(ScramException):
        ScramClient(["SCRAM-SHA-256"], "x", "y").set_server_final(grant.proof.decode())


async def test_a_full_store_lets_nobody_in_and_leaves_no_recording_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BODYCAM_TEST_PW", "pw")
    desk = Desk()
    desk.quota.see(1000, 1000)
    refused = await desk.scram()
    assert isinstance(refused, Refusal)
    assert (refused.code, refused.grant) == (RefusalCode.STORE_FULL, None)
    assert "storage.quota" in refused.hint
    (failure,) = desk.admission.failures()
    assert (failure.reason, failure.name, failure.count) == ("store-full", RUN, 1)
    # who can't prove who they are learn nothing of it
    stranger = await desk.scram(secret="wrong")
    assert isinstance(stranger, Refusal)
    assert stranger.code is RefusalCode.BAD_CREDENTIAL
    assert desk.admission.sessions.count(RUN) == 0
    desk.quota.see(999, 1000)
    assert isinstance(await desk.scram(), Grant)
