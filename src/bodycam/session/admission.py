"""Decides logins in the control process: who proves themselves, what they may open, with which secret.

The three steps are those of `session.grant.Gatekeeper`. Whoever is not known learns only that the credential
is not good, and is counted; whoever is known gets a refusal that names them, so that a failed session can be
recorded.
"""

import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from bodycam.config.settings import Settings
from bodycam.identity.attempts import Attempts
from bodycam.identity.failures import FailedLogin, FailedLogins
from bodycam.identity.proof import KnownRun, Prover, RunStore
from bodycam.identity.run_certificates import CertificateRefused, RunCertificates
from bodycam.identity.run_ssh_certificates import RunSshCertificates
from bodycam.identity.scram import Decoys, ScramLogin, ScramRefused
from bodycam.model.ids import RUN, SESSION, new_id
from bodycam.model.target import Dial
from bodycam.policy.access import AccessPolicy
from bodycam.session import refusals
from bodycam.session.finding import find, served_at
from bodycam.session.grant import Challenge, Gatekeeper, Grant, Limits, Method, Refusal, RefusalCode, Wanted
from bodycam.session.open_sessions import OpenSessions
from bodycam.session.quota import Quota
from bodycam.session.token_runs import TokenLoginRefused, TokenRuns, is_token_user, names_agent
from bodycam.session.ways import Renewer, Way, Ways
from bodycam.targets.dials import TargetUnready, describe

_MAX_NAME = 256
_TOMBSTONES = 10_000

Resolver = Callable[[Settings, str, str | None, tuple[str, int] | None, str], Awaitable[Dial]]
"""From settings, target, what is chosen behind it, host, and who asks (run and session), to the way there."""


@dataclass(slots=True)
class _Login:
    name: str
    address: str
    method: Method
    encrypted: bool = False
    scram: ScramLogin | None = None
    run: str | None = None


class Admission:
    """The gatekeeper itself; `gatekeeper(worker)` is its view for one worker.

    `provers` take cleartext proofs by their prefix; without `tokens` no provider's token, without
    `certificates` no client certificate and without `ssh_certificates` none of SSH proves anything;
    `resolver` puts the way to a target together; `quota` says when there is no room for new sessions. `wall`
    and `monotonic` give seconds.
    """

    def __init__(
        self,
        settings: Settings,
        runs: RunStore,
        provers: Sequence[Prover],
        login_key: bytes,
        *,
        resolver: Resolver,
        renewer: Renewer | None = None,
        tokens: TokenRuns | None = None,
        certificates: RunCertificates | None = None,
        ssh_certificates: RunSshCertificates | None = None,
        quota: Quota | None = None,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings, self._access = settings, AccessPolicy(settings)
        self._runs, self._provers, self._certificates = runs, tuple(provers), certificates
        self._ssh_certificates = ssh_certificates
        self._tokens, self._quota = tokens, quota or Quota()
        self._decoys, self._resolver, self._wall = Decoys(login_key), resolver, wall
        self._logins: Attempts[_Login] = Attempts(
            settings.limits.pending_logins, settings.limits.login_timeout, monotonic
        )
        self._failures = FailedLogins(wall)
        self._ways = Ways(renewer)
        self._expiries: dict[str, float] = {}
        self._stopped: dict[str, None] = {}
        self.sessions = OpenSessions()

    @property
    def access(self) -> AccessPolicy:
        """The grants as the settings are now."""
        return self._access

    @property
    def drain_seconds(self) -> float:
        """For how long sessions may finish what they are at once their run is over, as settings are now."""
        return self._settings.identity.drain_seconds

    def served(self, where: str, seen_from: str) -> tuple[str, str]:
        """Protocol and address of the target at `host:port`, as a host sees it; two "" for none's."""
        return served_at(self._settings.targets, where, seen_from)

    def gatekeeper(self, worker: str) -> Gatekeeper:
        """The gatekeeper for the worker of that name, whose sessions are counted as its own."""
        return _ForWorker(self, worker)

    def stranger(self, what: str, host: str, times: int = 1, *, name: str = "") -> None:
        """Count those who did not say, or could not prove, who they are; others tell of them."""
        self._failures.add(what, name, host, times)

    async def challenge(
        self, name: str, *, secure: bool, address: str, certificate: bytes = b"", encrypted: bool = False
    ) -> Challenge | Refusal:
        """Begin a login: how the claimed name is to be proved.

        `secure` means TLS or loopback, `encrypted` TLS, or a protocol's own encryption, alone; `certificate`
        is the one whose key the client proved to have: in TLS, then in DER, or in SSH, then as its blob.
        SSH's user names name no run: there `name` is "" beside a certificate.
        """
        if not secure and (self._settings.tls.required or is_token_user(name)):
            self._failures.add(RefusalCode.INSECURE, name, address)
            return refusals.insecure()
        if not encrypted and names_agent(name):
            # said before the token is asked for
            self._failures.add(RefusalCode.INSECURE, name, address)
            return refusals.insecure_token()
        try:
            login = await self._login(name, address, certificate, encrypted=encrypted)
        except CertificateRefused as error:
            self._failures.add(RefusalCode.BAD_CERTIFICATE, name, address)
            said = refusals.bad_ssh_certificate if _of_ssh(certificate) else refusals.bad_certificate
            return said(str(error))
        handle = self._logins.begin(login)
        if handle is None:
            self._failures.add(RefusalCode.LIMIT, name, address)
            return refusals.too_many_logins()
        return Challenge(handle, login.method)

    async def respond(self, login: str, data: bytes) -> bytes | Refusal:
        """SCRAM's first half: server-first-message for client-first-message."""
        waiting = self._logins.look(login)
        if waiting is None:
            return refusals.too_late()
        try:
            if waiting.scram is None:
                raise ScramRefused("this login is not by SCRAM")
            return waiting.scram.first(data)
        except ScramRefused:
            self._logins.take(login)
            return self._unknown(waiting)

    def give_up(self, login: str) -> None:
        """Nobody goes on with a login that was begun."""
        self._logins.take(login)

    async def open(self, login: str, proof: bytes, wanted: Wanted, *, worker: str = "") -> Grant | Refusal:
        """End a login, and decide what it opens; the session counts from here until it is closed."""
        waiting = self._logins.take(login)
        if waiting is None:
            return refusals.too_late()
        try:
            known, answer = await self._prove(waiting, proof)
        except ScramRefused:
            known, answer = None, b""
        except TokenLoginRefused as error:
            self._failures.add(error.reason, error.name, waiting.address)
            return error.refusal
        if known is None:
            return self._unknown(waiting)
        if self._quota.full:
            self._failures.add(RefusalCode.STORE_FULL, known.run.id, waiting.address)
            return refusals.store_full()
        return await self._open(known, answer, wanted, worker)

    def closed(self, session: str) -> None:
        """A worker says that a session ended."""
        self._ways.forget(session)
        self.sessions.remove(session)

    async def renew(self, session: str, worker: str) -> Dial | None:
        """A target refused what the gateway adds for a session of that worker: the way with something new."""
        known = self.sessions.at(session)
        if known is None or known.worker != worker or known.run in self._stopped:
            return None
        return await self._ways.renew(session, self._settings)

    def lost(self, worker: str) -> list[str]:
        """A worker is gone, and its sessions with it; returns them."""
        return self.sessions.lost(worker)

    async def hello(self, worker: str, sessions: Iterable[tuple[str, str]]) -> list[str]:
        """A worker says which sessions, `(session, run)` each, it has; returns those that must be cut."""
        told = list(sessions)
        self.sessions.replace(worker, told)
        cut: set[str] = set()
        for run in {run for _, run in told}:
            known = await self._runs.known_run(run)
            if known is None or not known.usable(self._wall()) or run in self._stopped:
                cut.update(session for session, of in told if of == run)
            else:
                self._expiries[run] = known.run.expires
        return sorted(cut)

    def stop(self, run: str) -> list[str]:
        """A run was ended or revoked, or its credential or starter was: the sessions to cut.

        Logins of that run that are under way are refused from here on.
        """
        self._stopped[run] = None
        if len(self._stopped) > _TOMBSTONES:
            del self._stopped[next(iter(self._stopped))]
        self._expiries.pop(run, None)
        return self.sessions.of_run(run)

    def renewed(self, run: str, expires: float) -> None:
        """A run's lease was extended to `expires`, in Unix seconds."""
        if run in self._expiries:
            self._expiries[run] = expires

    def expired(self) -> dict[str, list[str]]:
        """The runs whose lease ran out with sessions open, and those sessions, which are to be cut.

        The runs may have been renewed by another control process: the caller asks the catalog first if
        there can be one.
        """
        now, open_runs = self._wall(), set(self.sessions.runs())
        self._expiries = {run: at for run, at in self._expiries.items() if run in open_runs}
        return {run: self.sessions.of_run(run) for run, at in self._expiries.items() if at <= now}

    def failures(self) -> list[FailedLogin]:
        """The failed logins of nobody known since the last call, to be written to the audit."""
        return self._failures.drain()

    @property
    def failed_total(self) -> int:
        """Failed logins of nobody known since the process began."""
        return self._failures.total

    @property
    def pending(self) -> int:
        """Logins under way."""
        return len(self._logins)

    def adopt(self, settings: Settings) -> None:
        """Judge everything that comes from here on by these settings."""
        access = AccessPolicy(settings)
        self._settings, self._access = settings, access
        self._logins.limit = settings.limits.pending_logins
        self._logins.timeout = settings.limits.login_timeout

    async def _login(self, name: str, address: str, certificate: bytes, *, encrypted: bool) -> _Login:
        if is_token_user(name):
            # a token says itself whose it is, whoever carries it
            return _Login(name, address, Method.CLEARTEXT, encrypted)
        if (run := self._run_of(certificate)) is not None:
            if name != run and (name or not _of_ssh(certificate)):
                raise CertificateRefused(
                    f'the client certificate is of run {run}, and the user name is "{name[:_MAX_NAME]}"'
                )
            return _Login(run, address, Method.CERTIFICATE, run=run)
        known = await self._known(name)
        # a revoked credential's proof is still checked, so that its owner is told that it was revoked
        if known is not None and known.verifier is not None:
            return _Login(name, address, Method.SCRAM_SHA_256, scram=ScramLogin(known.verifier), run=name)
        return _Login(name, address, Method.SCRAM_SHA_256, scram=ScramLogin(self._decoys.verifier(name)))

    def _run_of(self, certificate: bytes) -> str | None:
        if _of_ssh(certificate):
            if self._ssh_certificates is None:
                raise CertificateRefused("this gateway takes no SSH certificates")
            return self._ssh_certificates.run_of(certificate, self._wall())
        if not certificate or self._certificates is None:
            return None
        return self._certificates.run_of(certificate, self._wall())

    async def _known(self, name: str) -> KnownRun | None:
        if not name.startswith(f"{RUN}_") or len(name) > _MAX_NAME:
            return None
        return await self._runs.known_run(name)

    async def _prove(self, login: _Login, proof: bytes) -> tuple[KnownRun | None, bytes]:
        if login.method is Method.CERTIFICATE:
            return await self._known(login.name), b""
        if login.scram is None:
            try:
                text = proof.decode("utf-8")
            except UnicodeDecodeError:
                return None, b""
            if self._tokens is not None and text.startswith(self._tokens.prefix):
                if not login.encrypted:
                    refused = refusals.insecure_token()
                    raise TokenLoginRefused(RefusalCode.INSECURE, login.name, refused)
                return await self._tokens.prove(text, login.name, self._settings, self._access), b""
            if names_agent(login.name):
                return None, b""
            for prover in self._provers:
                if text.startswith(prover.prefix):
                    return await prover.prove(text), b""
            return None, b""
        answer = login.scram.final(proof)
        # asked again, because the run may have ended since the challenge
        return (None if login.run is None else await self._known(login.run)), answer

    async def _open(self, known: KnownRun, answer: bytes, wanted: Wanted, worker: str) -> Grant | Refusal:
        settings, access = self._settings, self._access
        run, found = known.run, find(settings.targets, wanted)
        name, declared = found.name, found.declared
        session = new_id(SESSION)
        grant = Grant(
            session=session,
            run=run,
            target=refusals.undeclared(wanted) if declared is None else describe(name, declared),
            database=wanted.database or ("" if declared is None else declared.default_database),
            policy=access.version,
            proof=answer,
            limits=Limits(
                settings.limits.connections_per_run,
                settings.limits.journal_per_run,
                settings.identity.drain_seconds,
            ),
        )
        if not known.usable(self._wall()) or run.id in self._stopped:
            return refusals.run_ended(grant)
        if declared is None:
            openable = self._openable(known, wanted.protocol)
            if wanted.host:
                return refusals.unknown_host(grant, wanted, found.fault, openable)
            return refusals.unknown_target(grant, wanted, openable)
        if not access.may_open(run.principal, run.agent, name):
            return refusals.not_allowed(grant, self._openable(known, wanted.protocol))
        if declared.hosts is not None and found.host is None:
            return refusals.no_host(grant)
        if declared.accounts is not None and grant.database not in declared.accounts:
            return refusals.unknown_account(grant, declared.accounts)
        if self.sessions.count(run.id) >= settings.limits.connections_per_run:
            return refusals.too_many_sessions(grant)
        # counted before the wait for the secret, so that the limit holds and a stop meanwhile finds it
        self.sessions.add(session, run.id, worker)
        try:
            who = f"{run.id}/{session}"
            dial = await self._resolver(settings, name, wanted.database, found.host, who)
        except TargetUnready as error:
            self.sessions.remove(session)
            return refusals.target_unready(grant, error)
        except BaseException:
            self.sessions.remove(session)
            raise
        if run.id in self._stopped or session not in self.sessions:
            self.sessions.remove(session)
            return refusals.run_ended(grant)
        self._expiries[run.id] = max(run.expires, self._expiries.get(run.id, 0.0))
        if dial.lasts is not None:
            self._ways.keep(session, Way(name, wanted.database, found.host, who, dial), self.sessions)
        return refusals.granted(grant, dial)

    def _openable(self, known: KnownRun, protocol: str) -> list[str]:
        names = self._access.openable(known.run.principal, known.run.agent)
        return [name for name in names if self._settings.targets[name].protocol == protocol]

    def _unknown(self, login: _Login) -> Refusal:
        self._failures.add(RefusalCode.BAD_CREDENTIAL, login.name, login.address)
        return refusals.bad_credential()


def _of_ssh(certificate: bytes) -> bool:
    return certificate.startswith(b"\0")  # the length of a name, which no DER begins with


@dataclass(frozen=True, slots=True)
class _ForWorker:
    admission: Admission
    worker: str

    async def challenge(
        self, name: str, *, secure: bool, address: str, certificate: bytes = b"", encrypted: bool = False
    ) -> Challenge | Refusal:
        return await self.admission.challenge(
            name, secure=secure, address=address, certificate=certificate, encrypted=encrypted
        )

    async def respond(self, login: str, data: bytes) -> bytes | Refusal:
        return await self.admission.respond(login, data)

    async def open(self, login: str, proof: bytes, wanted: Wanted) -> Grant | Refusal:
        return await self.admission.open(login, proof, wanted, worker=self.worker)
