"""The root of the settings tree."""

from collections.abc import Mapping

from pydantic import Field

from bodycam.config.anchoring import Ledger
from bodycam.config.approvals import Approvals
from bodycam.config.auditing import Audit
from bodycam.config.gateway import Limits, Listen, Logging, Tls
from bodycam.config.keeping import Archive, Journal, Storage
from bodycam.config.masking import Detector, Mask
from bodycam.config.people import Access, Agent, Identity, Roles
from bodycam.config.retention import Retention
from bodycam.config.rules import Judging, Rule
from bodycam.config.section import Section, absent, written
from bodycam.config.targets import TargetSettings
from bodycam.config.telemetry import Telemetry
from bodycam.config.types import FilePath, Name
from bodycam.config.viewing import MAX_GRANTS, ViewingGrant


class Settings(Section):
    """All settings of one gateway."""

    listen: Listen = Field(default_factory=Listen, description="Where the gateway listens.")
    tls: Tls = Field(default_factory=Tls, description="TLS towards clients.")
    workers: int = Field(
        default=1, ge=1, le=256, description="Worker processes that share the listening sockets."
    )
    keys: FilePath = Field(
        default=written("keys"), description="The folder of keys that `bodycam init` made."
    )
    storage: Storage = Field(default_factory=absent, description="Where things are kept.")
    journal: Journal = Field(default_factory=Journal, description="The workers' write-ahead files.")
    archive: Archive = Field(default_factory=Archive, description="Sealing, ledger and search index.")
    ledger: Ledger = Field(default_factory=Ledger, description="Where the ledger's heads are kept outside.")
    limits: Limits = Field(default_factory=Limits, description="Bounds on clients.")
    identity: Identity = Field(default_factory=Identity, description="Credentials and their lifetimes.")
    roles: Roles = Field(default_factory=Roles, description="Who may do what.")
    targets: Mapping[Name, TargetSettings] = Field(
        default_factory=dict, description="The systems behind the gateway, by name."
    )
    agents: Mapping[Name, Agent] = Field(default_factory=dict, description="The declared agents, by name.")
    access: tuple[Access, ...] = Field(
        default=(), description="Who may open what; what no entry grants is denied."
    )
    viewing: tuple[ViewingGrant, ...] = Field(
        default=(),
        max_length=MAX_GRANTS,
        description="Which recordings reviewers may look at; what no grant names they don't see.",
    )
    rules: tuple[Rule, ...] = Field(
        default=(), description="What operations may do; the strictest that matches wins, none means allow."
    )
    judging: Judging = Field(default_factory=Judging, description="How operations are judged.")
    approvals: Approvals = Field(
        default_factory=Approvals, description="How people are told of what waits for them."
    )
    audit: Audit = Field(default_factory=Audit, description="Who gets the audit events.")
    telemetry: Telemetry = Field(default_factory=Telemetry, description="What is told to those who trace.")
    detectors: Mapping[Name, Detector] = Field(
        default_factory=dict, description="Detectors of your own, by the names that `masking` uses."
    )
    masking: tuple[Mask, ...] = Field(
        default=(), description="What is taken out of results and records; all entries count together."
    )
    retention: tuple[Retention, ...] = Field(
        default=(), description="How long recordings are kept; absent: for ever."
    )
    logging: Logging = Field(default_factory=Logging, description="The gateway's own log.")
