"""A session and its exchanges: the few verbs through which every protocol is decided and recorded.

Plain calls, because they run for every read of every connection. Nothing here writes to a socket: bytes go
to the link's outboxes with the journal position that must be released first (law 1).
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, final

from bodycam.model.event import Flavor, Kind, Marker, Outcome, SessionOutcome
from bodycam.model.operation import Operation
from bodycam.model.verdict import Decision, Verdict
from bodycam.net.outbox import Outbox
from bodycam.session import encoding, kept_facts
from bodycam.session.approval import ApprovalWanted
from bodycam.session.asking import wanted
from bodycam.session.grant import Grant
from bodycam.session.masks import Masking, Masks, Sighting
from bodycam.session.policing import Judge, Policy, Redaction
from bodycam.session.record import Journal, Record, encode
from bodycam.session.tally import Tally, details

Failure = Mapping[str, str]

# asked for with every message: an enumeration's member is looked up in its class each time, a constant is not
ALLOWED: Final = Decision.ALLOW
REQUEST: Final = Kind.REQUEST
TO_TARGET: Final = Kind.TO_TARGET
TO_CLIENT: Final = Kind.TO_CLIENT
FINISH: Final = Kind.FINISH
CHUNK: Final = Flavor.CHUNK

CREDENTIAL_ENDED: Final = "credential-ended"

NOT_KEPT: Final = b"[not kept]"
"""Stands for a parameter's value where a target's settings keep none."""


@final
class Session:
    """An authorised use of a target over one link.

    `refusing` says why nothing new may be asked for any more, and `refused_by` as what; empty while it may.
    """

    def __init__(
        self,
        grant: Grant,
        *,
        record: Record,
        judge: Judge,
        redaction: Redaction,
        masks: Masks | None = None,
        client: Outbox,
        target: Outbox,
        unsent: Callable[[], tuple[int, int]],
        on_close: Callable[["Session"], None],
    ) -> None:
        self._unsent = unsent
        self.grant, self.redaction, self.masks = grant, redaction, masks
        self.to_client, self.to_target = client, target
        self.record, self._judge, self._on_close = record, judge, on_close
        self._version = grant.policy
        self.exchanges = self.bytes_to_client = self.bytes_to_target = self.moved = 0
        self._open: set[Exchange] = set()
        self.closed = False
        self.refusing, self.refused_by = "", CREDENTIAL_ENDED
        self.ambient = Exchange(self, 0)

    @classmethod
    def opened(
        cls,
        grant: Grant,
        *,
        journal: Journal,
        opening: int,
        incarnation: bytes,
        address: str,
        claims: Mapping[str, str],
        version: str,
        policy: Policy,
        redaction: Redaction,
        masking: Masking | None = None,
        client: Outbox,
        target: Outbox,
        unsent: Callable[[], tuple[int, int]],
        on_close: Callable[["Session"], None],
    ) -> "Session":
        """Begin a session: its opening is the first thing in its record.

        `unsent` tells, when it ends, how many released bytes client and target have not taken.
        """
        record = Record(journal, opening)
        run = grant.run
        record.event(
            Kind.OPENED,
            0,
            {
                "session": grant.session,
                "run": run.id,
                "principal": {
                    "issuer": run.principal.issuer,
                    "subject": run.principal.subject,
                    "kind": run.principal.kind.value,
                    "groups": sorted(run.principal.groups),
                },
                "agent": run.agent,
                "target": {
                    "name": grant.target.name,
                    "protocol": grant.target.protocol,
                    "labels": dict(grant.target.labels),
                },
                "database": grant.database,
                "grade": run.grade.value,
                "labels": dict(run.labels),
                "trace": run.trace,
                "address": address,
                "claims": {name: redaction.redact(claim)[0] for name, claim in claims.items()},
                "worker": incarnation,
                "opening": opening,
                "started": time.time_ns() // 1000,
                "policy": grant.policy,
                "version": version,
            },
        )
        judge, at = policy.open(grant), grant.target
        masks = None
        if masking is not None:
            masks = masking.open(at.name, at.labels, grant.database, judge.effects)
        return cls(
            grant,
            record=record,
            judge=judge,
            redaction=redaction,
            masks=masks,
            client=client,
            target=target,
            unsent=unsent,
            on_close=on_close,
        )

    def request(self, operation: Operation, recorded: Operation | None = None) -> "Exchange":
        """Decide an operation and journal it with its verdict; the caller then forwards it, or does not.

        `recorded` is what is kept of it, where that is not what was judged.
        """
        verdict = self._decide(operation)
        self.exchanges += 1
        exchange = Exchange(self, self.exchanges, verdict, operation)
        self._open.add(exchange)
        body, told = self._body(operation if recorded is None else recorded, verdict)
        # a prepared statement is recorded at each execution: that fills the journal, not the wire
        self.moved += len(body)
        self.record.encoded(REQUEST, exchange.number, body)
        if told is not None:
            exchange.sent(self.redaction.sightings(told))
        if verdict.alerts:
            for rule in verdict.alerts:
                exchange.note("alert", rule=rule, policy=verdict.policy)
        return exchange

    def approval_of(self, exchange: "Exchange", operation: Operation) -> ApprovalWanted:
        """What a person has to approve before an operation whose verdict is `pending` may go on."""
        assert exchange.verdict is not None
        binding = self._judge.binding(operation)
        return wanted(self.grant, self.redaction, exchange.number, exchange.verdict, operation, binding)

    def forward(self, data: bytes) -> None:
        """Queue the bytes of an operation that was requested and allowed, for the target."""
        self.to_target.append(data, self.record.position)

    def deliver(self, data: bytes) -> None:
        """Queue bytes for the client, to leave once all that is recorded by now is held by the journal.

        For a protocol that wraps what it sends, which has recorded the content before.
        """
        self.to_client.append(data, self.record.position)

    def note(self, note: str, **details: str | int) -> None:
        """Record something that happened to the session itself."""
        self.record.event(Kind.NOTE, 0, {"note": note, **details})

    def close(self, outcome: SessionOutcome, reason: str = "") -> None:
        """End the record. What was dispatched and never answered is recorded as of unknown outcome."""
        if self.closed:
            return
        self.closed = True
        for exchange in sorted(self._open, key=lambda open_one: open_one.number):
            exchange.finish(Outcome.UNKNOWN)
        if self.ambient.bytes_to_client or self.ambient.bytes_to_target:
            self.ambient.finish(Outcome.OK)
        unsent_to_client, unsent_to_target = self._unsent()
        body = {
            "outcome": outcome.value,
            "reason": self.redaction.redact(reason)[0],
            "exchanges": self.exchanges,
            "unsent_to_client": unsent_to_client,
            "unsent_to_target": unsent_to_target,
        }
        self.record.event(Kind.CLOSED, 0, body)
        self._judge.close()
        self._on_close(self)

    def finishing(self, exchange: "Exchange") -> None:
        """Called by an exchange before its end is recorded: what else is to be said of it."""
        if self.masks is not None:
            if exchange.bytes_to_target:
                # of data whose copying was never ended
                exchange.sent(self.masks.sent())
            if not self.masks.keeps_rows and exchange.rows:
                exchange.truncated("rows are not kept at this target")
        if exchange.seen is not None:
            for rest in exchange.seen.rest():
                exchange.note("masked", **rest)

    def finished(self, exchange: "Exchange") -> None:
        """Called by an exchange as it ends."""
        self.bytes_to_client += exchange.bytes_to_client
        self.bytes_to_target += exchange.bytes_to_target
        if exchange.rows:
            self._judge.moved(exchange.rows)
        self._open.discard(exchange)

    def _decide(self, operation: Operation) -> Verdict:
        if self.refusing and not operation.inert:
            hint = "Connect again with a credential that is good."
            return Verdict(Decision.DENY, self.refused_by, self._version, self.refusing, hint)
        try:
            verdict = self._judge.decide(operation)
            if verdict.policy != self._version:
                # from here on other rules hold than those that the opening names
                self._version = verdict.policy
                self.note("policy", version=verdict.policy)
            return verdict
        except Exception as error:
            # law 2: a policy that raises denies
            return Verdict(
                Decision.DENY,
                "policy-error",
                self.grant.policy,
                f"the policy could not judge this operation ({type(error).__name__})",
                "This is a fault of the gateway's policy; its log says more.",
            )

    def _body(self, operation: Operation, verdict: Verdict) -> tuple[bytes, list[str | bytes] | None]:
        """The body of a request, and the texts of it of which something was redacted."""
        redaction = self.redaction
        told: list[str | bytes] | None = None
        text, facts, redactions = operation.text, operation.facts, 0
        if not facts or not kept_facts.clean(text, facts, redaction):
            text, redactions = redaction.redact(text)
            if redactions:
                told = [operation.text]
            facts = kept_facts.kept(facts, redaction)
        parameters = operation.parameters
        if parameters and self.masks is not None and not self.masks.keeps_parameters:
            parameters = tuple([(kind, 0, NOT_KEPT) for kind, _, _ in parameters])
            redactions += len(parameters)
        elif parameters:
            values = [value for _, _, value in parameters]
            kept, count = redaction.redact_values(values)
            if count:
                redactions += count
                told = [] if told is None else told
                told += [one for at, one in enumerate(values) if one is not None and one is not kept[at]]
                parameters = tuple(
                    [(kind, form, kept[place]) for place, (kind, form, _) in enumerate(parameters)]
                )
        said = None
        if verdict.decision is not ALLOWED:
            said = (verdict.decision.value, verdict.rule, verdict.policy, verdict.message)
        weight = operation.weight
        try:
            body = encoding.request(operation.verb, text, parameters, facts, weight, said, redactions)
        except UnicodeEncodeError:
            body = encode([operation.verb, text, parameters, facts, weight.value, said, redactions])
        return body, told


@final
class Exchange:
    """One operation and all the data that it moves until it finishes; number 0 is the ambient one."""

    __slots__ = (
        "_session", "bytes_to_client", "bytes_to_target", "finished", "number", "operation", "rows", "seen",
        "verdict",
    )  # fmt: skip

    def __init__(
        self,
        session: Session,
        number: int,
        verdict: Verdict | None = None,
        operation: Operation | None = None,
    ) -> None:
        self._session, self.number, self.verdict, self.operation = session, number, verdict, operation
        self.rows = self.bytes_to_client = self.bytes_to_target = 0
        self.finished = False
        self.seen: Tally | None = None

    @property
    def allowed(self) -> bool:
        """Whether it may be forwarded."""
        return self.verdict is None or self.verdict.decision is ALLOWED

    def to_target(
        self, data: bytes, *, flavor: Flavor = CHUNK, count: int = 0, recorded: bytes | None = None
    ) -> None:
        """Journal bytes that the operation streams to the target, and queue them for it.

        `recorded` is their masked form where it differs.
        """
        position = self.recorded_to_target(data, flavor=flavor, count=count, recorded=recorded)
        self._session.to_target.append(data, position)

    def to_client(
        self, data: bytes, *, flavor: Flavor = CHUNK, count: int = 0, recorded: bytes | None = None
    ) -> None:
        """Journal bytes for the client and queue them; `recorded` is their redacted form where it differs."""
        position = self.recorded_to_client(data, flavor=flavor, count=count, recorded=recorded)
        self._session.to_client.append(data, position)

    def recorded_to_target(
        self, data: bytes, *, flavor: Flavor = CHUNK, count: int = 0, recorded: bytes | None = None
    ) -> int:
        """Journal bytes for the target, which the caller wraps and sends; gives their journal position."""
        session = self._session
        self.bytes_to_target += len(data)
        session.moved += len(data)
        kept = data if recorded is None else recorded
        return session.record.data(TO_TARGET, self.number, flavor, count, kept)

    def recorded_to_client(
        self, data: bytes, *, flavor: Flavor = CHUNK, count: int = 0, recorded: bytes | None = None
    ) -> int:
        """The same for the client."""
        session = self._session
        self.rows += count
        self.bytes_to_client += len(data)
        session.moved += len(data)
        kept = data if recorded is None else recorded
        return session.record.data(TO_CLIENT, self.number, flavor, count, kept)

    def unrecorded(self, data: bytes) -> None:
        """Queue bytes for the client of a body of which the record has size and digest alone, at its end."""
        self.bytes_to_client += len(data)
        self._session.moved += len(data)
        self._session.to_client.append(data, self._session.record.position)

    def columns(self, data: bytes) -> None:
        """Journal, for the record only, the description that this exchange's rows follow."""
        self._session.record.data(Kind.TO_CLIENT, self.number, Flavor.COLUMNS, 0, data)

    def note(self, note: str, **details: str | int) -> None:
        """Record something that happened to this exchange."""
        self._session.record.event(Kind.NOTE, self.number, {"note": note, **details})

    def masked(self) -> None:
        """Masks changed what was recorded just now: note what they met."""
        masks = self._session.masks
        if masks is not None:
            self.met(masks.sightings())

    def met(self, sightings: Sequence[Sighting]) -> None:
        """Note what was met in what the target sent; often, what comes again is noted at the end."""
        if not sightings:
            return
        if self.seen is None:
            self.seen = Tally()
        for said in self.seen.add(sightings):
            self.note("masked", **said)

    def sent(self, sightings: Sequence[Sighting]) -> None:
        """Note what was met in what the client sent, which the target got and the record did not."""
        for one in sightings:
            self.note("masked", way="sent", **details(one.detector, one.count, one.fingerprints))

    def truncated(self, what: str) -> None:
        """Journal that the record of this exchange leaves something out."""
        self._session.record.event(Kind.NOTE, self.number, {"note": Marker.TRUNCATED.value, "what": what})

    def finish(self, outcome: Outcome, tag: str | None = None, error: Failure | None = None) -> None:
        """Journal how it ended. Later calls are ignored."""
        if self.finished:
            return
        self.finished = True
        session = self._session
        session.finishing(self)
        if error is not None:
            error = {name: session.redaction.redact(text)[0] for name, text in error.items()}
        rows, to_client, to_target = self.rows, self.bytes_to_client, self.bytes_to_target
        try:
            body = encoding.finish(outcome, rows, to_client, to_target, tag, error)
        except UnicodeEncodeError:
            body = encode([outcome.value, rows, to_client, to_target, tag, error])
        session.record.encoded(FINISH, self.number, body)
        session.finished(self)
