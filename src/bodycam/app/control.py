"""The control process's wiring: identity, the two CAs, and target secrets as they are asked for."""

import asyncio
import signal
import ssl
import time
from collections.abc import Callable

import structlog

from bodycam import __version__
from bodycam.api.anchoring import Anchoring
from bodycam.api.approval_desk import ApprovalDesk
from bodycam.api.archivist_client import ArchivistClient
from bodycam.api.audit_export import AuditExport
from bodycam.api.context import Control
from bodycam.api.looks import Looks
from bodycam.api.quota_watch import QuotaWatch
from bodycam.api.server import serve as serve_control
from bodycam.api.settings_in_use import SettingsInUse
from bodycam.api.sights import Sights
from bodycam.api.sign_in_desk import SignInDesk
from bodycam.api.trail import Trail
from bodycam.api.webhooks import Notifier
from bodycam.api.workers import Workers
from bodycam.app.key_files import (
    LISTENER_AUTHORITY,
    LISTENER_AUTHORITY_PUBLIC,
    LOGIN_KEY,
    RUN_AUTHORITY,
    RUN_AUTHORITY_PUBLIC,
)
from bodycam.app.shared import ARCHIVIST_SOCKET, open_catalog, snapshot_file
from bodycam.archive.keys import read_secret
from bodycam.config import Settings, from_snapshot
from bodycam.identity.catalog_store import CatalogStore
from bodycam.identity.flows import Flows
from bodycam.identity.oidc.providers import Providers
from bodycam.identity.run_certificates import RunCertificates
from bodycam.identity.run_prover import RunProver
from bodycam.identity.saml.providers import SamlProviders
from bodycam.net.authority import Authority, request
from bodycam.net.tls import server_context
from bodycam.registry import LITERALS, TRANSCRIPTS
from bodycam.session.admission import Admission
from bodycam.session.quota import Quota
from bodycam.session.token_runs import TokenRuns

log = structlog.get_logger(__name__)

ALWAYS_NAMED = ("localhost", "127.0.0.1", "::1")
RENEW_CERTIFICATE = 6 * 3600.0


async def run_control(settings: Settings, stop: asyncio.Event) -> None:
    """The control process: identity, the listeners' and the runs' CA, target secrets as sessions open."""
    engine = await open_catalog(settings)
    catalog = CatalogStore(engine)
    authority = _listener_authority(settings)
    archivist = ArchivistClient(settings.storage.sockets / ARCHIVIST_SOCKET)
    in_use = SettingsInUse(settings)
    certificates = _run_certificates(settings)
    login_key, providers = read_secret(settings.keys / LOGIN_KEY), Providers(settings)
    quota = Quota()
    admission = Admission(
        settings,
        catalog,
        [RunProver(catalog)],
        login_key,
        tokens=TokenRuns(providers, catalog, login_key),
        certificates=certificates,
        quota=quota,
    )
    names = (*ALWAYS_NAMED, *settings.tls.names)

    def certify(csr: bytes) -> bytes:
        assert authority is not None
        return authority.sign(csr, names=names)

    trail = Trail(engine, archivist)
    approvals = ApprovalDesk(engine, catalog, admission.sessions, in_use, trail, Notifier(in_use))
    exported = AuditExport(engine, in_use, settings.storage.data / "audit-sinks", __version__)
    anchoring = Anchoring(archivist, in_use, settings.storage.data / "anchors")
    watch = QuotaWatch(quota, archivist, in_use, trail)
    workers = Workers(admission, approvals=approvals.ask, certify=None if authority is None else certify)
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
        keys=catalog,
        providers=providers,
        sign_ins=SignInDesk(engine, in_use, trail, Flows(login_key), SamlProviders(settings)),
        transcripts=TRANSCRIPTS,
        literals=LITERALS,
        version=__version__,
        ca_pem=None if authority is None else authority.certificate_pem.decode(),
        certificates=certificates,
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
            beside=(archivist.run(), exported.run(), anchoring.run(), watch.run()),
        )
    finally:
        await approvals.ended()
        engine.dispose()


def _listener_authority(settings: Settings) -> Authority | None:
    if not settings.tls.enabled or settings.tls.certificate is not None:
        return None
    return Authority.load(settings.keys / LISTENER_AUTHORITY, settings.keys / LISTENER_AUTHORITY_PUBLIC)


def _run_certificates(settings: Settings) -> RunCertificates | None:
    """The runs' own authority, apart from the listeners': what it signs is good at this gateway alone."""
    if not settings.tls.enabled:
        return None
    return RunCertificates(
        Authority.load(settings.keys / RUN_AUTHORITY, settings.keys / RUN_AUTHORITY_PUBLIC)
    )


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
