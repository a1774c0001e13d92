"""The control process's wiring: identity, the gateway's CAs, and target secrets as they are asked for."""

import asyncio
import signal
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from bodycam import __version__
from bodycam.api.anchoring import Anchoring
from bodycam.api.approval_desk import ApprovalDesk
from bodycam.api.archivist_client import ArchivistClient
from bodycam.api.audit_export import AuditExport
from bodycam.api.context import Control
from bodycam.api.leaves import Leaves
from bodycam.api.looks import Looks
from bodycam.api.quota_watch import QuotaWatch
from bodycam.api.server import serve as serve_control
from bodycam.api.settings_in_use import SettingsInUse
from bodycam.api.sights import Sights
from bodycam.api.sign_in_desk import SignInDesk
from bodycam.api.span_export import SpanExport
from bodycam.api.trail import Trail
from bodycam.api.webhooks import Notifier
from bodycam.api.workers import Workers
from bodycam.app.key_files import (
    INTERCEPTION_AUTHORITY,
    INTERCEPTION_AUTHORITY_PUBLIC,
    LISTENER_AUTHORITY,
    LISTENER_AUTHORITY_PUBLIC,
    LOGIN_KEY,
    RUN_AUTHORITY,
    RUN_AUTHORITY_PUBLIC,
    RUN_SSH_AUTHORITY,
    RUN_SSH_AUTHORITY_PUBLIC,
    SSH_HOST_KEY,
    SSH_HOST_KEY_PUBLIC,
    TARGET_SSH_AUTHORITY,
    TARGET_SSH_AUTHORITY_PUBLIC,
)
from bodycam.app.keys_there import has_host_key, intercepts
from bodycam.app.shared import ARCHIVIST_SOCKET, open_catalog, snapshot_file
from bodycam.archive.keys import read_secret
from bodycam.config import Settings, from_snapshot
from bodycam.identity.catalog_store import CatalogStore
from bodycam.identity.flows import Flows
from bodycam.identity.oidc.providers import Providers
from bodycam.identity.run_certificates import RunCertificates
from bodycam.identity.run_prover import RunProver
from bodycam.identity.run_ssh_certificates import RunSshCertificates
from bodycam.identity.saml.providers import SamlProviders
from bodycam.net.authority import Authority, request
from bodycam.net.ssh_authority import SshAuthority
from bodycam.net.ssh_key import SshKey
from bodycam.net.tls import server_context
from bodycam.registry import LITERALS, TRANSCRIPTS, WORDINGS
from bodycam.session.admission import Admission
from bodycam.session.quota import Quota
from bodycam.session.token_runs import TokenRuns
from bodycam.targets.dials import Dials
from bodycam.targets.ssh_logins import SshLogins

log = structlog.get_logger(__name__)

ALWAYS_NAMED = ("localhost", "127.0.0.1", "::1")
RENEW_CERTIFICATE = 6 * 3600.0


async def run_control(settings: Settings, stop: asyncio.Event) -> None:
    """The control process: identity, the gateway's CAs, target secrets as sessions open."""
    engine = await open_catalog(settings)
    catalog = CatalogStore(engine)
    authority = _listener_authority(settings)
    archivist = ArchivistClient(settings.storage.sockets / ARCHIVIST_SOCKET)
    in_use = SettingsInUse(settings)
    certificates, ssh = _run_certificates(settings), _Ssh.of(settings)
    login_key, providers = read_secret(settings.keys / LOGIN_KEY), Providers(settings)
    quota, dials = Quota(), Dials(ssh=SshLogins(ssh.targets))
    admission = Admission(
        settings,
        catalog,
        [RunProver(catalog)],
        login_key,
        tokens=TokenRuns(providers, catalog, login_key),
        certificates=certificates,
        ssh_certificates=ssh.certificates,
        quota=quota,
        resolver=dials.resolve,
        renewer=dials.renew,
    )
    names = (*ALWAYS_NAMED, *settings.tls.names)

    def certify(csr: bytes) -> bytes:
        assert authority is not None
        return authority.sign(csr, names=names)

    trail = Trail(engine, archivist)
    approvals = ApprovalDesk(engine, catalog, admission.sessions, in_use, trail, Notifier(in_use))
    exported = AuditExport(engine, in_use, settings.storage.data / "audit-sinks", __version__)
    anchoring = Anchoring(archivist, in_use, settings.storage.data / "anchors")
    spans = SpanExport(engine, in_use, WORDINGS, __version__)
    watch = QuotaWatch(quota, archivist, in_use, trail)
    workers = Workers(
        admission,
        approvals=approvals.ask,
        certify=None if authority is None else certify,
        leaves=_interception_leaves(settings),
        host_key=None if ssh.host is None else ssh.host.private_text,
        expected=settings.workers,
    )
    context = Control(
        catalog=engine,
        settings=in_use,
        admission=admission,
        archivist=archivist,
        workers=workers,
        approvals=approvals,
        trail=trail,
        looks=Looks(trail),
        sights=Sights(engine, in_use),
        audit_export=exported,
        anchoring=anchoring,
        span_export=spans,
        keys=catalog,
        providers=providers,
        sign_ins=SignInDesk(engine, in_use, trail, Flows(login_key), SamlProviders(settings)),
        transcripts=TRANSCRIPTS,
        literals=LITERALS,
        version=__version__,
        ca_pem=None if authority is None else authority.certificate_pem.decode(),
        certificates=certificates,
        ssh_host_key=None if ssh.host is None else ssh.host.public_line,
        ssh_certificates=ssh.certificates,
        interception_ca_pem=_interception_authority(settings),
        quota=quota,
    )

    adopting: set[asyncio.Task[None]] = set()

    def reload() -> None:
        changed = from_snapshot(snapshot_file(settings).read_bytes())
        task = asyncio.get_running_loop().create_task(context.adopt(changed))
        adopting.add(task)
        task.add_done_callback(adopting.discard)
        log.info("changed settings are in use")

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload)
    try:
        await serve_control(
            context,
            settings.listen.control,
            stop,
            sockets=settings.storage.sockets,
            tls=_control_tls(settings, certify),
            beside=(archivist.run(), exported.run(), anchoring.run(), spans.run(), watch.run()),
        )
    finally:
        await approvals.ended()
        engine.dispose()


def _listener_authority(settings: Settings) -> Authority | None:
    if not settings.tls.enabled or settings.tls.certificate is not None:
        return None
    return Authority.load(settings.keys / LISTENER_AUTHORITY, settings.keys / LISTENER_AUTHORITY_PUBLIC)


def _interception_authority(settings: Settings) -> str | None:
    """What vouches for the certificates shown in a target's stead; None where the gateway has no such CA."""
    file = settings.keys / INTERCEPTION_AUTHORITY_PUBLIC
    return file.read_text() if file.exists() else None


def _run_certificates(settings: Settings) -> RunCertificates | None:
    """The runs' own authority, apart from the listeners': what it signs is good at this gateway alone."""
    if not settings.tls.enabled:
        return None
    return RunCertificates(
        Authority.load(settings.keys / RUN_AUTHORITY, settings.keys / RUN_AUTHORITY_PUBLIC)
    )


def _interception_leaves(settings: Settings) -> Leaves | None:
    """The interception CA, apart from both: programs of runs trust it, and nothing of the gateway does."""
    if not intercepts(settings):
        return None
    return Leaves(
        Authority.load(settings.keys / INTERCEPTION_AUTHORITY, settings.keys / INTERCEPTION_AUTHORITY_PUBLIC)
    )


@dataclass(frozen=True, slots=True)
class _Ssh:
    """The keys of SSH: host key and runs' CA where they are served, and the targets' CA if there is one.

    The last is looked for whatever the settings say, which a reload may change.
    """

    host: SshKey | None = None
    certificates: RunSshCertificates | None = None
    targets: SshAuthority | None = None

    @classmethod
    def of(cls, settings: Settings) -> "_Ssh":
        def key(private: Path, public: Path) -> SshKey:
            return SshKey.load(settings.keys / private, settings.keys / public)

        targets = None
        if (settings.keys / TARGET_SSH_AUTHORITY).exists():
            targets = SshAuthority(key(TARGET_SSH_AUTHORITY, TARGET_SSH_AUTHORITY_PUBLIC))
        if not has_host_key(settings):
            return cls(targets=targets)
        runs = SshAuthority(key(RUN_SSH_AUTHORITY, RUN_SSH_AUTHORITY_PUBLIC))
        return cls(key(SSH_HOST_KEY, SSH_HOST_KEY_PUBLIC), RunSshCertificates(runs), targets)


def _control_tls(
    settings: Settings, certify: Callable[[bytes], bytes]
) -> Callable[[], ssl.SSLContext] | None:
    """The control API's own TLS context, made anew before its certificate ends."""
    tls = settings.tls
    if not tls.enabled:
        return None
    if tls.certificate is not None and tls.key is not None:
        own = server_context(tls.key.read_bytes(), tls.certificate.read_bytes())
        return lambda: own
    key = request("Bodycam control API")
    made: list[tuple[float, ssl.SSLContext]] = []

    def context() -> ssl.SSLContext:
        if not made or time.monotonic() - made[-1][0] > RENEW_CERTIFICATE:
            made[:] = [(time.monotonic(), server_context(key.key_pem, certify(key.csr_pem)))]
        return made[-1][1]

    return context
