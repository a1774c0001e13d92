"""Logins of a protocol in which the user name names the target and an account on it."""

import base64
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from bodycam.catalog.runs import RunState
from bodycam.config import parse
from bodycam.config.providers import Provider
from bodycam.identity.oidc.keys import PublicKey, read_keys
from bodycam.identity.oidc.providers import Providers
from bodycam.identity.proof import KnownRun
from bodycam.identity.run_prover import RunProver
from bodycam.identity.run_ssh_certificates import RunSshCertificates
from bodycam.model.identity import Run
from bodycam.net.ssh_authority import SshAuthority
from bodycam.net.ssh_key import SshKey
from bodycam.session.admission import Admission
from bodycam.session.grant import Challenge, Grant, Method, Refusal, RefusalCode, Wanted
from bodycam.session.token_runs import TokenRuns
from bodycam.targets.dials import Dials
from bodycam.targets.ssh_logins import SshLogins
from tests.issuer import CLIENT, ISSUER, Issuer
from tests.made_up import WITH_SHELL
from tests.unit.session.test_admission import CREDENTIAL, RUN, STARTER, VERIFIER, Store

HOST_KEY = SshKey.create().public_line
TEXT = f"""
listen: {{postgres: "127.0.0.1:0"}}
identity:
  providers: [{{name: corp, type: oidc, issuer: '{ISSUER}', client_id: {CLIENT}, groups: groups}}]
targets:
  box:
    protocol: shell
    address: "box.internal:22"
    user: deploy
    users: [root, deploy]
    password: {{env: BODYCAM_TEST_PW}}
    host_keys: ["{HOST_KEY} root@box"]
    labels: {{env: prod}}
  alone: {{protocol: shell, address: "box:22", user: deploy, host_keys: ["{HOST_KEY}"], labels: {{env: prod}}}}
  ours:
    {{protocol: shell, address: "box:2222", user: deploy, users: [root], issued_certificate: true,
      host_keys: ["{HOST_KEY}"], labels: {{env: prod}}}}
  closed: {{protocol: shell, address: "box:22", user: deploy, host_keys: ["{HOST_KEY}"]}}
  orders: {{protocol: postgres, address: "db:5432", user: app, labels: {{env: prod}}}}
agents: {{billing-bot: {{may_start: {{groups: [payments, devs]}}}}}}
access: [{{agents: [billing-bot], targets: {{labels: {{env: prod}}}}}}]
"""
CERTIFICATES = RunSshCertificates(SshAuthority(SshKey.create()))
KEY = SshKey.create().public_line
BOX = Wanted("shell", "box", None, "192.0.2.1:9")
ISSUED = Issuer()


async def _keys(_provider: Provider) -> tuple[PublicKey, ...]:
    return read_keys(ISSUED.jwks())


@dataclass
class TokenStore:
    """Where runs of tokens are kept."""

    async def started(self, run: Run) -> KnownRun:
        return KnownRun(run, None)


class Desk:
    """An admission that takes certificates of SSH, run credentials and tokens."""

    def __init__(self, *, served: bool = True) -> None:
        self.now = 1000.0
        self.run = Run(RUN, STARTER, "billing-bot", 2000.0)
        self.store = Store(KnownRun(self.run, VERIFIER))
        self.settings = parse(TEXT, file="f", folder=Path("/srv"), protocols=WITH_SHELL)
        self.admission = Admission(
            self.settings,
            self.store,
            [RunProver(self.store)],
            bytes(32),
            tokens=TokenRuns(Providers(self.settings, source=_keys), TokenStore(), bytes(32)),
            ssh_certificates=CERTIFICATES if served else None,
            resolver=Dials(ssh=SshLogins(SshAuthority(SshKey.create()))).resolve,
            wall=lambda: self.now,
            monotonic=lambda: self.now,
        )

    def shown(self, run: Run | None = None, certificates: RunSshCertificates = CERTIFICATES) -> bytes:
        return base64.b64decode(certificates.issue(run or self.run, KEY, now=900.0).split()[1])

    async def certificate(self, shown: bytes, wanted: Wanted = BOX, name: str = "") -> Grant | Refusal:
        """What a machine asks once its client has proved to hold the certificate's key."""
        begun = await self.admission.challenge(
            name, secure=True, encrypted=True, address="192.0.2.1", certificate=shown
        )
        if isinstance(begun, Refusal):
            return begun
        assert begun.method is Method.CERTIFICATE
        return await self.admission.open(begun.login, b"", wanted)

    async def password(self, text: str, wanted: Wanted = BOX, agent: str = "") -> Grant | Refusal:
        """What a machine asks with the password that its client sent, as HTTP does."""
        begun = await self.admission.challenge(
            f"token/{agent}" if agent else "token", secure=True, encrypted=True, address="192.0.2.1"
        )
        assert isinstance(begun, Challenge)
        assert begun.method is Method.CLEARTEXT
        return await self.admission.open(begun.login, text.encode(), wanted)


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("BODYCAM_TEST_PW", "target-secret")
    return Desk()


def granted(answer: Grant | Refusal) -> Grant:
    assert isinstance(answer, Grant), answer
    return answer


def refused(answer: Grant | Refusal) -> Refusal:
    assert isinstance(answer, Refusal)
    return answer


@pytest.mark.parametrize("name", ["", RUN])
async def test_a_certificate_of_the_run_needs_no_other_proof(desk: Desk, name: str) -> None:
    grant = granted(await desk.certificate(desk.shown(), name=name))

    assert (grant.run.id, grant.target.name, grant.database) == (RUN, "box", "deploy")
    assert desk.admission.sessions.of_run(RUN) == [grant.session]


STRANGER = RunSshCertificates(SshAuthority(SshKey.create()))
OTHER = Run("run_bbbbbbbbbbbbbbbb", STARTER, "billing-bot", 2000.0)


async def test_a_certificate_that_is_no_good_is_refused_at_once_and_counted(desk: Desk) -> None:
    said = [
        refused(await desk.certificate(desk.shown(certificates=STRANGER))),
        refused(await desk.certificate(desk.shown(replace(desk.run, expires=950.0)))),
        refused(await desk.certificate(desk.shown(), name=OTHER.id)),
        refused(await desk.certificate(desk.shown()[:-1])),
    ]
    assert {one.code for one in said} == {RefusalCode.BAD_CERTIFICATE}
    assert [one.message for one in said] == [
        "the SSH certificate is not one that this gateway gave to a run",
        f"the SSH certificate of run {RUN} is not valid now: it ended or ends at 1970-01-01 00:15:50 UTC",
        f'the client certificate is of run {RUN}, and the user name is "{OTHER.id}"',
        "the SSH certificate is not one that this gateway gave to a run",
    ]
    assert all("sslcertmode" not in one.hint for one in said)
    assert sum(one.count for one in desk.admission.failures()) == 4


async def test_a_certificate_of_a_run_that_is_not_known_or_is_over(desk: Desk) -> None:
    assert refused(await desk.certificate(desk.shown(OTHER))).code is RefusalCode.BAD_CREDENTIAL
    desk.store.known = replace(desk.store.known, state=RunState.REVOKED)
    said = refused(await desk.certificate(desk.shown()))
    assert said.code is RefusalCode.RUN_ENDED
    assert said.grant is not None
    assert said.grant.dial is None


async def test_a_gateway_that_gives_none_takes_none(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(served=False)
    said = refused(await desk.certificate(desk.shown()))
    assert (said.code, said.message) == (
        RefusalCode.BAD_CERTIFICATE,
        "this gateway takes no SSH certificates",
    )


async def test_the_run_s_credential_is_a_password(desk: Desk) -> None:
    grant = granted(await desk.password(CREDENTIAL.secret))
    assert (grant.run.id, grant.database) == (RUN, "deploy")
    assert refused(await desk.password("bcr_nonsense")).code is RefusalCode.BAD_CREDENTIAL
    assert refused(await desk.password("")).code is RefusalCode.BAD_CREDENTIAL


async def test_a_provider_s_token_is_a_password_beside_the_agent_s_name(desk: Desk) -> None:
    token = ISSUED.token(groups=["devs"], exp=2e9)
    grant = granted(await desk.password(token, agent="billing-bot"))
    assert (grant.run.agent, grant.target.name) == ("billing-bot", "box")

    said = refused(await desk.password(token))
    assert "must say which agent is acting" in said.message
    said = refused(await desk.password(token, agent="other-bot"))
    assert "may not start agent" in said.message


async def test_what_is_not_encrypted_is_asked_for_no_token(desk: Desk) -> None:
    said = await desk.admission.challenge("token/billing-bot", secure=True, encrypted=False, address="a")
    assert isinstance(said, Refusal)
    assert said.code is RefusalCode.INSECURE


@pytest.mark.parametrize(
    ("target", "account", "user"),
    [
        ("box", None, "deploy"),
        ("box", "deploy", "deploy"),
        ("box", "root", "root"),
        ("alone", "deploy", "deploy"),
    ],
)
async def test_an_account_that_the_settings_name_is_the_one_that_is_logged_in_to(
    desk: Desk, target: str, account: str | None, user: str
) -> None:
    grant = granted(await desk.password(CREDENTIAL.secret, replace(BOX, target=target, database=account)))
    assert grant.dial is not None
    assert (grant.database, grant.dial.user, grant.dial.database) == (user, user, user)


async def test_the_dial_has_the_target_s_keys_and_its_password(desk: Desk) -> None:
    dial = granted(await desk.password(CREDENTIAL.secret)).dial
    assert dial is not None
    assert (dial.host, dial.port, dial.password) == ("box.internal", 22, "target-secret")
    assert dial.known_hosts == f"box.internal {HOST_KEY}\n"
    assert (dial.client_key, dial.client_cert) == (None, None)


async def test_another_account_is_refused_on_the_record_with_those_that_there_are(desk: Desk) -> None:
    for target, account, there in (("box", "postgres", "deploy, root"), ("alone", "root\x1b[2J", "deploy")):
        wanted = replace(BOX, target=target, database=account)
        said = refused(await desk.password(CREDENTIAL.secret, wanted))
        assert said.code is RefusalCode.NOT_ALLOWED
        assert said.message == f'account {account!a} is none that target "{target}" may be opened as'
        assert said.hint.startswith(f"Choose one of: {there}. ")
        assert f"targets.{target}.user and users" in said.hint
        assert said.grant is not None
        assert said.grant.dial is None
    assert len(desk.admission.sessions) == 0


async def test_who_may_not_open_a_target_is_told_none_of_its_accounts(desk: Desk) -> None:
    said = refused(await desk.password(CREDENTIAL.secret, replace(BOX, target="closed", database="root")))
    assert said.code is RefusalCode.NOT_ALLOWED
    assert "may not open" in said.message
    assert "deploy" not in said.hint


async def test_where_targets_have_no_accounts_what_is_chosen_is_a_database_as_before(desk: Desk) -> None:
    grant = granted(await desk.password(CREDENTIAL.secret, Wanted("postgres", "orders", "any", "a:1")))
    assert grant.dial is not None
    assert (grant.dial.user, grant.dial.database) == ("app", "any")


async def test_a_certificate_for_a_target_names_account_run_and_session(desk: Desk) -> None:
    grant = granted(await desk.certificate(desk.shown(), replace(BOX, target="ours", database="root")))
    assert grant.dial is not None
    assert grant.dial.client_cert is not None
    blob = base64.b64decode(grant.dial.client_cert.split()[1])
    assert f"{RUN}/{grant.session}".encode() in blob
    assert b"\0\0\0\x04root" in blob
    assert grant.dial.known_hosts == f"[box]:2222 {HOST_KEY}\n"
    assert "PRIVATE" not in repr(grant)
