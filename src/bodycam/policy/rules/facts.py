"""The facts of one operation as conditions read them, by path."""

import time
from collections.abc import Callable, Hashable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol, final

from bodycam.model.identity import Run
from bodycam.model.operation import Operation
from bodycam.model.paths import is_normal
from bodycam.model.target import Target
from bodycam.policy.rules.told import KINDS, has, kind
from bodycam.policy.rules.vocabulary import MISSING
from bodycam.policy.shell.facts import ShellFacts
from bodycam.policy.sql.facts import SqlFacts
from bodycam.policy.usage import Usage


class Subject(Protocol):
    """Whose operation it is: `policy` is the version under which the session was opened."""

    @property
    def run(self) -> Run: ...

    @property
    def target(self) -> Target: ...

    @property
    def database(self) -> str: ...

    @property
    def policy(self) -> str: ...


@final
class Case:
    """One operation to be judged, with all that is known of it.

    `sql` is None where it is no SQL, `shell` where it is no command line.
    """

    __slots__ = ("clock", "operation", "shell", "sql", "subject", "usage")

    def __init__(
        self,
        operation: Operation,
        subject: Subject,
        sql: SqlFacts | None,
        usage: Usage,
        clock: Callable[[], float] = time.time,
        shell: ShellFacts | None = None,
    ) -> None:
        self.operation, self.subject, self.sql, self.shell = operation, subject, sql, shell
        self.usage, self.clock = usage, clock


def reader(path: str) -> Callable[[Case], Any]:
    """What reads a path of a case; it gives MISSING where nothing stands there."""
    found = _READ.get(path)
    if found is not None:
        return found
    if path.startswith("op.sql."):
        name = path[7:]
        return lambda case: getattr(case.sql, name, MISSING)
    if path.startswith("op.shell."):
        word = path[9:]
        return lambda case: getattr(case.shell, word, MISSING)
    for root, labels in _OPEN.items():
        if path.startswith(root + "."):
            label = path[len(root) + 1 :]
            return lambda case: labels(case).get(label, MISSING)
    if path == "op.sql":
        return lambda case: MISSING if case.sql is None else True
    if path == "op.shell":
        return lambda case: MISSING if case.shell is None else True
    if path in KINDS:
        return lambda case: True if has(path, case.operation.facts) else MISSING
    if kind(path) is not None:
        flat = path[3:]
        return lambda case: case.operation.facts.get(flat, MISSING)
    return lambda case: True  # has() of a branch that every operation has


def key(values: list[Any]) -> Hashable:
    """Values of facts as the key under which a verdict on them is remembered."""
    return tuple([tuple(sorted(one.items())) if isinstance(one, dict) else one for one in values])


def _parameters(case: Case) -> list[str | None]:
    return [
        None if said is None else said.decode("utf-8", "replace") for _, _, said in case.operation.parameters
    ]


def _path(case: Case) -> Any:
    """Not there where a server may take it for another: a rule about paths denies what it can't tell."""
    path = case.operation.facts.get("http.path", MISSING)
    return path if path == "*" or (isinstance(path, str) and is_normal(path)) else MISSING


def _moment(case: Case) -> datetime:
    return datetime.fromtimestamp(case.clock(), UTC)


_OPEN: dict[str, Callable[[Case], Mapping[str, Any]]] = {
    "op.facts": lambda case: case.operation.facts,
    "run.labels": lambda case: case.subject.run.labels,
    "target.labels": lambda case: case.subject.target.labels,
}

_READ: dict[str, Callable[[Case], Any]] = {
    "op.verb": lambda case: case.operation.verb,
    "op.text": lambda case: case.operation.text,
    "op.parameters": _parameters,
    "op.facts": lambda case: dict(case.operation.facts),
    "op.http.path": _path,
    "op.http.raw_path": lambda case: case.operation.facts.get("http.path", MISSING),
    "principal.issuer": lambda case: case.subject.run.principal.issuer,
    "principal.subject": lambda case: case.subject.run.principal.subject,
    "principal.kind": lambda case: case.subject.run.principal.kind.value,
    "principal.groups": lambda case: tuple(sorted(case.subject.run.principal.groups)),
    "run.id": lambda case: case.subject.run.id,
    "run.agent": lambda case: case.subject.run.agent,
    "run.grade": lambda case: case.subject.run.grade.value,
    "run.labels": lambda case: dict(case.subject.run.labels),
    "target.name": lambda case: case.subject.target.name,
    "target.protocol": lambda case: case.subject.target.protocol,
    "target.labels": lambda case: dict(case.subject.target.labels),
    "session.database": lambda case: case.subject.database,
    "usage.session.operations": lambda case: case.usage.operations,
    "usage.session.rows": lambda case: case.usage.rows,
    "usage.run.operations": lambda case: case.usage.run.operations,
    "usage.run.rows": lambda case: case.usage.run.rows,
    "usage.run.per_minute": lambda case: case.usage.run.per_minute(case.clock()),
    "now.unix": lambda case: int(case.clock()),
    "now.hour": lambda case: _moment(case).hour,
    "now.weekday": lambda case: _moment(case).isoweekday(),
}
