"""The collaborators of the control process, put together by the composition root."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Engine

from bodycam.api.anchoring import Anchoring
from bodycam.api.approval_desk import ApprovalDesk
from bodycam.api.archivist import Archivist
from bodycam.api.audit_export import AuditExport
from bodycam.api.looks import Looks
from bodycam.api.masked_view import Literals
from bodycam.api.settings_in_use import SettingsInUse
from bodycam.api.sights import Sights
from bodycam.api.sign_in_desk import SignInDesk
from bodycam.api.span_export import SpanExport
from bodycam.api.trail import Trail
from bodycam.api.workers import Workers
from bodycam.config import Settings, snapshot
from bodycam.identity.api_keys import KeyStore
from bodycam.identity.key_use import KeyUse
from bodycam.identity.oidc.providers import Providers
from bodycam.identity.run_certificates import RunCertificates
from bodycam.identity.run_ssh_certificates import RunSshCertificates
from bodycam.model.transcript import Transcript
from bodycam.session.admission import Admission
from bodycam.session.quota import Quota


@dataclass(frozen=True, slots=True)
class Control:
    """What the control API works with.

    `transcripts` are the protocols' decoders by the protocol's name, and `literals` what takes constants out
    of the statements of those whose language is known; `ca_pem` is what clients of the listeners are to
    trust, or None; `interception_ca_pem` is what they are to trust for the certificates that the gateway
    shows in a target's stead, or None; `certificates` gives runs theirs, and is None without TLS.
    `ssh_host_key` is the public line by which clients of SSH know the gateway, and `ssh_certificates` gives
    runs those of SSH: None where no protocol with host keys is served. `watchers` are the clients of
    /v1/tail; `closing` is set when the process stops, and ends them. `emergencies` counts the `uses` of the
    break-glass account; `quota` is how full the store of recordings is.
    """

    catalog: Engine
    settings: SettingsInUse
    admission: Admission
    archivist: Archivist
    workers: Workers
    approvals: ApprovalDesk
    trail: Trail
    looks: Looks
    sights: Sights
    audit_export: AuditExport
    anchoring: Anchoring
    span_export: SpanExport
    keys: KeyStore
    providers: Providers
    sign_ins: SignInDesk
    transcripts: Mapping[str, Transcript]
    literals: Mapping[str, Literals]
    version: str
    ca_pem: str | None = None
    certificates: RunCertificates | None = None
    interception_ca_pem: str | None = None
    ssh_host_key: str | None = None
    ssh_certificates: RunSshCertificates | None = None
    key_use: KeyUse = field(default_factory=KeyUse)
    watchers: set[object] = field(default_factory=set)
    quota: Quota = field(default_factory=Quota)
    emergencies: Counter[str] = field(default_factory=Counter)
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    async def adopt(self, settings: Settings) -> None:
        """Judge everything from here on by these settings; the reload enters the ledger with their hash."""
        self.settings.adopt(settings)
        self.admission.adopt(settings)
        self.providers.adopt(settings)
        self.sign_ins.adopt(settings)
        self.workers.limits_changed()
        detail = {
            "settings": hashlib.sha256(snapshot(settings)).hexdigest(),
            "policy": self.settings.access.version,
        }
        await self.trail.after("settings", "operator", "settings", detail)
