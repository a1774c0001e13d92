"""Exchanges and runs as spans of OTLP in JSON, with ids that are the same each time.

https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding ; attributes by the semantic conventions
1.37, and our own under `bodycam.`.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from bodycam.catalog.spans import EndedRun, Found
from bodycam.model.event import Outcome
from bodycam.model.telemetry import Attribute, Exchanged, SpanWords, Wording
from bodycam.model.trace import TraceParent, trace_parent

INTERNAL, CLIENT = 1, 3
FAILED = 2
LONGEST: Final = 8192
"""Characters of an attribute's text at most."""
_LONGEST_ERROR = 1024

Span = dict[str, Any]


def request(spans: Sequence[Span], version: str) -> dict[str, Any]:
    """The body of an ExportTraceServiceRequest."""
    resource = _attributes({"service.name": "bodycam", "service.version": version})
    scope = {"scope": {"name": "bodycam", "version": version}, "spans": list(spans)}
    return {"resourceSpans": [{"resource": {"attributes": resource}, "scopeSpans": [scope]}]}


def of_run(ended: EndedRun) -> Span:
    """A run that is over: the root of its exchanges, or a child of the span that started it."""
    run = ended.run
    parent, own = _claimed(run.trace), _own(run.id, run.trace)
    revoked = run.revoked is not None
    attributes: dict[str, Attribute] = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": run.agent,
        "bodycam.run.id": run.id,
        "bodycam.agent": run.agent,
        "bodycam.run.grade": run.grade.value,
        "enduser.id": str(run.principal),
    }
    if run.exit_code is not None:
        attributes["process.exit.code"] = run.exit_code
    attributes |= {f"bodycam.run.label.{name}": value for name, value in run.labels.items()}
    span = _span(own, f"invoke_agent {run.agent}", INTERNAL, run.created, ended.end, attributes)
    if parent is not None:
        span["parentSpanId"] = parent.span
    if revoked or run.exit_code:
        span["status"] = {"code": FAILED, "message": "revoked" if revoked else f"exit {run.exit_code}"}
    return span


def of_exchange(found: Found, wording: Wording | None, address: tuple[str, int] | None) -> Span:
    """An exchange: a child of the span that it claims, else of its run's."""
    one, run = found.exchange, _own(found.exchange.run, found.run_trace)
    parent = one.trace or run
    said = Exchanged(one.verb, one.text, one.status, one.code, one.rows, found.database, one.details, address)
    words = SpanWords(one.verb) if wording is None else wording(said)
    verdict, rule = one.details.get("verdict"), one.details.get("rule")
    attributes: dict[str, Attribute] = {
        **words.attributes,
        "bodycam.run.id": one.run,
        "bodycam.session.id": one.session,
        "bodycam.exchange": one.id,
        "bodycam.agent": one.agent,
        "bodycam.target": one.target,
        "bodycam.status": one.status,
        "bodycam.verdict": str(verdict or "allow"),
        "enduser.id": one.principal,
    }
    if rule:
        attributes["bodycam.rule"] = str(rule)
    failed = one.status != Outcome.OK
    if failed:
        attributes["error.type"] = one.code or one.status
    own = TraceParent(parent.trace, _hash("span", one.id)[:16])
    end = one.started + one.duration
    span = _span(own, words.name, CLIENT, one.started, end, attributes)
    span["parentSpanId"] = parent.span
    if failed:
        span["status"] = {"code": FAILED, "message": (one.error or one.status)[:_LONGEST_ERROR]}
    if parent.trace != run.trace:
        span["links"] = [{"traceId": run.trace, "spanId": run.span}]
    return span


def _span(
    own: TraceParent, name: str, kind: int, start: int, end: int, attributes: Mapping[str, Attribute]
) -> Span:
    """A span; times in microseconds."""
    return {
        "traceId": own.trace,
        "spanId": own.span,
        "name": name[:LONGEST],
        "kind": kind,
        "startTimeUnixNano": str(start * 1000),
        "endTimeUnixNano": str(max(start, end) * 1000),
        "attributes": _attributes(attributes),
    }


def _own(run: str, trace: str | None) -> TraceParent:
    """A run's own span: in the trace that it claims, else in one of its own."""
    parent = _claimed(trace)
    return TraceParent(_hash("trace", run)[:32] if parent is None else parent.trace, _hash("run", run)[:16])


def _claimed(trace: str | None) -> TraceParent | None:
    return None if trace is None else trace_parent(trace)


def _hash(what: str, name: str) -> str:
    return hashlib.sha256(f"bodycam {what} {name}".encode()).hexdigest()


def _attributes(attributes: Mapping[str, Attribute]) -> list[dict[str, Any]]:
    return [{"key": name, "value": _value(value)} for name, value in attributes.items()]


def _value(value: Attribute) -> dict[str, Any]:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            # 64 bits are text in JSON
            return {"intValue": str(value)}
        case str():
            return {"stringValue": value[:LONGEST]}
        case _:
            return {"arrayValue": {"values": [_value(one) for one in value]}}
