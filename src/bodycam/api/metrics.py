"""Prometheus metrics: one table of names, kinds, help and where each value comes from.

docs/operations.md describes the same names; a test holds the two together.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from bodycam.session.grant import RefusalCode


class Source(Enum):
    """Whose values a metric shows."""

    WORKER = "worker"  # a worker's own, with its number as the label `worker`
    REFUSALS = "refusals"  # a worker's refusals, with the label `reason` besides
    ARCHIVIST = "archivist"
    CONTROL = "control"


@dataclass(frozen=True, slots=True)
class Described:
    """One metric; a counter's name ends in _total. `path` leads into what the source told, key by key."""

    name: str
    counter: bool
    help: str
    source: Source
    path: tuple[str, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of its labels."""
        match self.source:
            case Source.WORKER:
                return ("worker",)
            case Source.REFUSALS:
                return ("worker", "reason")
            case _:
                return ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the processes told last. `workers` maps a worker's number to its stats."""

    workers: Mapping[int, Mapping[str, Any]]
    archivist: Mapping[str, Any]
    control: Mapping[str, Any]


_W, _A, _C = Source.WORKER, Source.ARCHIVIST, Source.CONTROL

METRICS: Sequence[Described] = (
    Described("bodycam_worker_links", False, "Connections open at the worker.", _W, ("links",)),
    Described("bodycam_worker_connections_total", True, "Connections accepted.", _W, ("connections",)),
    Described("bodycam_sessions_open", False, "Sessions open.", _W, ("sessions_open",)),
    Described("bodycam_sessions_total", True, "Sessions opened, failed ones too.", _W, ("sessions",)),
    Described("bodycam_exchanges_total", True, "Exchanges finished.", _W, ("exchanges",)),
    Described("bodycam_bytes_to_client_total", True, "Bytes sent to clients.", _W, ("bytes_to_client",)),
    Described("bodycam_bytes_to_target_total", True, "Bytes sent to targets.", _W, ("bytes_to_target",)),
    Described("bodycam_refusals_total", True, "Logins refused, by reason.", Source.REFUSALS, ()),
    Described(
        "bodycam_refused_connections_total",
        True,
        "Connections turned away before a login: full, draining, too many.",
        _W,
        ("refused_connections",),
    ),
    Described("bodycam_journal_records_total", True, "Journal records written.", _W, ("journal", "records")),
    Described(
        "bodycam_journal_written_bytes_total", True, "Journal bytes written.", _W, ("journal", "bytes")
    ),
    Described(
        "bodycam_journal_bytes",
        False,
        "Journal on the disk, not yet retired.",
        _W,
        ("journal", "allocated_bytes"),
    ),
    Described("bodycam_journal_room_bytes", False, "Journal left to write.", _W, ("journal", "room_bytes")),
    Described(
        "bodycam_journal_max_bytes", False, "journal.max_size of the settings.", _W, ("journal", "max_bytes")
    ),
    Described(
        "bodycam_journal_disk_free_bytes",
        False,
        "Free space of the journal's file system.",
        _W,
        ("journal", "disk_free_bytes"),
    ),
    Described(
        "bodycam_journal_pressure",
        False,
        "0 clear, 1 reads slow down, 2 new sessions are refused, 3 running ones end.",
        _W,
        ("journal", "pressure"),
    ),
    Described(
        "bodycam_journal_failed", False, "1 when the journal can't be written.", _W, ("journal", "failed")
    ),
    Described(
        "bodycam_journal_prepare_waits_total",
        True,
        "Times that a segment was not ready in time.",
        _W,
        ("journal", "prepare_waits"),
    ),
    Described("bodycam_fsync_total", True, "Syncs of the journal.", _W, ("journal", "fsyncs")),
    Described(
        "bodycam_fsync_seconds_total",
        True,
        "Time that syncs took; by bodycam_fsync_total, their mean.",
        _W,
        ("journal", "fsync_seconds_sum"),
    ),
    Described(
        "bodycam_fsync_seconds_max",
        False,
        "The longest sync since the worker began.",
        _W,
        ("journal", "fsync_seconds_max"),
    ),
    Described("bodycam_archivist_up", False, "1 when the archivist answers.", _A, ("up",)),
    Described(
        "bodycam_archivist_lag_seconds",
        False,
        "How far the archivist is behind the journals.",
        _A,
        ("lag_seconds",),
    ),
    Described(
        "bodycam_oldest_unsealed_seconds",
        False,
        "Age of the oldest ended session that is not sealed.",
        _A,
        ("oldest_unsealed_seconds",),
    ),
    Described(
        "bodycam_archivist_journal_bytes",
        False,
        "Journal that waits for the archivist, dead workers' too.",
        _A,
        ("journal_bytes",),
    ),
    Described("bodycam_archivist_segments", False, "Journal segments that wait.", _A, ("segments",)),
    Described("bodycam_archivist_open_sessions", False, "Sessions not sealed yet.", _A, ("open_sessions",)),
    Described(
        "bodycam_archivist_waiting_sessions",
        False,
        "Ended sessions that wait for sealing.",
        _A,
        ("waiting_sessions",),
    ),
    Described("bodycam_index_backlog", False, "What the search index is behind by.", _A, ("index_backlog",)),
    Described("bodycam_journal_damages_total", True, "Damaged journal records met.", _A, ("damages",)),
    Described("bodycam_journal_gaps_total", True, "Gaps met in workers' opening numbers.", _A, ("gaps",)),
    Described("bodycam_ledger_size", False, "Leaves of the ledger.", _A, ("ledger_size",)),
    Described("bodycam_sealed_total", True, "Sessions sealed.", _A, ("sealed_total",)),
    Described(
        "bodycam_key_encryption_keys_away",
        False,
        "Key-encryption keys that can't be had just now.",
        _A,
        ("keys_away",),
    ),
    Described("bodycam_rewrap_left", False, "Data keys that an older key still wraps.", _A, ("rewrap_left",)),
    Described(
        "bodycam_recordings_bytes",
        False,
        "What sealed recordings take in the store.",
        _A,
        ("recordings_bytes",),
    ),
    Described("bodycam_storage_quota_bytes", False, "storage.quota of the settings.", _C, ("quota",)),
    Described("bodycam_deleted_total", True, "Recordings deleted.", _A, ("deleted_total",)),
    Described(
        "bodycam_deleted_objects_left",
        False,
        "Containers of deleted recordings that the store kept.",
        _A,
        ("objects_left",),
    ),
    Described(
        "bodycam_retention_waits",
        False,
        "1 when something keeps retention from deleting.",
        _A,
        ("retention_waits",),
    ),
    Described("bodycam_workers_connected", False, "Workers connected to control.", _C, ("workers",)),
    Described("bodycam_failed_logins_total", True, "Failed logins of nobody known.", _C, ("failed_logins",)),
    Described("bodycam_pending_logins", False, "Logins under way.", _C, ("pending_logins",)),
    Described(
        "bodycam_unknown_cancels_total",
        True,
        "Cancel requests with a key that no worker knew.",
        _C,
        ("unknown_cancels",),
    ),
    Described(
        "bodycam_break_glass_total",
        True,
        "Calls of the break-glass account that were let in.",
        _C,
        ("break_glass",),
    ),
    Described("bodycam_watchers", False, "Clients that watch /v1/tail.", _C, ("watchers",)),
    Described(
        "bodycam_audit_owed", False, "Acts that wait for their place in the ledger.", _C, ("audit_owed",)
    ),
    Described(
        "bodycam_audit_behind",
        False,
        "Audit events that the sink which has least of them has not got yet.",
        _C,
        ("audit_behind",),
    ),
    Described(
        "bodycam_anchors_behind",
        False,
        "Leaves of the ledger that the anchor which has least of them lacks.",
        _C,
        ("anchors", "behind"),
    ),
    Described(
        "bodycam_anchors_failing",
        False,
        "Anchors that could not be given the ledger's head lately.",
        _C,
        ("anchors", "failing"),
    ),
    Described("bodycam_spans_on", False, "1 while spans go to a collector.", _C, ("spans", "on")),
    Described(
        "bodycam_spans_behind",
        False,
        "Batches of the index that the collector has not got yet.",
        _C,
        ("spans", "behind"),
    ),
    Described("bodycam_spans_total", True, "Spans that the collector took.", _C, ("spans", "sent")),
    Described("bodycam_spans_refused_total", True, "Spans it will never take.", _C, ("spans", "refused")),
    Described("bodycam_spans_failed_total", True, "Tries that it didn't take.", _C, ("spans", "failed")),
    Described("bodycam_anchored_total", True, "Heads that anchors took.", _C, ("anchors", "sent")),
    Described("bodycam_anchors_failed_total", True, "Tries that no anchor took.", _C, ("anchors", "failed")),
    Described(
        "bodycam_approvals_pending", False, "Operations that wait for people.", _C, ("approvals", "pending")
    ),
    Described("bodycam_approvals_asked_total", True, "Approvals asked for.", _C, ("approvals", "asked")),
    Described("bodycam_approvals_used_total", True, "Approvals used up.", _C, ("approvals", "used")),
    Described(
        "bodycam_approvals_refused_total",
        True,
        "Askings refused because their run asked too often.",
        _C,
        ("approvals", "refused"),
    ),
    Described("bodycam_webhooks_sent_total", True, "Webhooks told.", _C, ("approvals", "webhooks_sent")),
    Described(
        "bodycam_webhooks_failed_total", True, "Webhooks given up.", _C, ("approvals", "webhooks_failed")
    ),
    Described(
        "bodycam_webhooks_waiting",
        False,
        "Webhooks under way, those that wait for another try included.",
        _C,
        ("approvals", "webhooks_waiting"),
    ),
)


class _Told:
    """The collector of one scrape."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        for one in METRICS:
            kind = CounterMetricFamily if one.counter else GaugeMetricFamily
            family = kind(one.name, one.help, labels=one.labels)
            for labels, value in self._values(one):
                family.add_metric(labels, value)
            yield family

    def _values(self, one: Described) -> Iterable[tuple[list[str], float]]:
        match one.source:
            case Source.ARCHIVIST:
                yield from _at([], self._snapshot.archivist, one.path)
            case Source.CONTROL:
                yield from _at([], self._snapshot.control, one.path)
            case Source.WORKER:
                for number, stats in self._snapshot.workers.items():
                    yield from _at([str(number)], stats, one.path)
            case Source.REFUSALS:
                for number, stats in self._snapshot.workers.items():
                    for code in RefusalCode:
                        yield [str(number), code.value], float(stats.get(f"refused_{code.value}", 0))


def render(snapshot: Snapshot) -> bytes:
    """The text that Prometheus scrapes."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Told(snapshot))
    return generate_latest(registry)


def _at(labels: list[str], told: Mapping[str, Any], path: Sequence[str]) -> Iterator[tuple[list[str], float]]:
    value: Any = told
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    # what a process did not tell is absent, not zero: a gauge at 0 would look healthy
    if isinstance(value, int | float):
        yield labels, float(value)
