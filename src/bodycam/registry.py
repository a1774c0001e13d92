"""What is plugged in: one line a protocol, one a language that rules can read.

A language brings its parser, the rules and the detectors along, and not every process judges: it is loaded by
the first who asks for it.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from bodycam.model.operation import RequestFacts
from bodycam.model.target import TargetWants
from bodycam.model.telemetry import Wording
from bodycam.model.transcript import Transcript
from bodycam.protocols import Protocol
from bodycam.protocols.http.protocol import PROTOCOL as HTTP
from bodycam.protocols.postgres.protocol import PROTOCOL as POSTGRES
from bodycam.protocols.ssh.protocol import PROTOCOL as SSH

if TYPE_CHECKING:
    from bodycam.policy.languages import Language


def _sql_analysis() -> "Language":
    from bodycam.policy.sql.analysis import SqlAnalysis

    return SqlAnalysis()


def _shell_analysis() -> "Language":
    from bodycam.policy.shell.analysis import ShellAnalysis

    return ShellAnalysis()


def _without_literals(text: str) -> str | None:
    from bodycam.policy.sql.literals import without_literals

    return without_literals(text)


PROTOCOLS: Mapping[str, Protocol] = {protocol.name: protocol for protocol in (HTTP, POSTGRES, SSH)}

TRANSCRIPTS: Mapping[str, Transcript] = {name: protocol.transcript for name, protocol in PROTOCOLS.items()}

WANTS: Mapping[str, TargetWants] = {name: protocol.settings for name, protocol in PROTOCOLS.items()}

REQUESTS: Mapping[str, RequestFacts] = {
    name: protocol.requests for name, protocol in PROTOCOLS.items() if protocol.requests is not None
}

WORDINGS: Mapping[str, Wording] = {
    name: protocol.wording for name, protocol in PROTOCOLS.items() if protocol.wording is not None
}

LITERALS: Mapping[str, Callable[[str], str | None]] = {
    name: _without_literals for name, protocol in PROTOCOLS.items() if protocol.language == "postgresql"
}

LANGUAGES: Mapping[str, Callable[[], "Language"]] = {
    "postgresql": _sql_analysis,
    "shell": _shell_analysis,
}
