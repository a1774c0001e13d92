"""What is plugged in: one line a protocol, one a language that rules can read."""

from collections.abc import Callable, Mapping

from bodycam.model.transcript import Transcript
from bodycam.policy.decision import Analysis
from bodycam.policy.sql.analysis import SqlAnalysis
from bodycam.policy.sql.literals import without_literals
from bodycam.protocols import Protocol
from bodycam.protocols.postgres.protocol import PROTOCOL as POSTGRES

PROTOCOLS: Mapping[str, Protocol] = {protocol.name: protocol for protocol in (POSTGRES,)}

TRANSCRIPTS: Mapping[str, Transcript] = {name: protocol.transcript for name, protocol in PROTOCOLS.items()}

LITERALS: Mapping[str, Callable[[str], str | None]] = {
    name: without_literals for name, protocol in PROTOCOLS.items() if protocol.language == "postgresql"
}

LANGUAGES: Mapping[str, Callable[[], Analysis]] = {"postgresql": SqlAnalysis}
