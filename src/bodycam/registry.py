"""What is plugged in: one line a protocol."""

from collections.abc import Mapping

from bodycam.model.transcript import Transcript
from bodycam.protocols import Protocol
from bodycam.protocols.postgres.protocol import PROTOCOL as POSTGRES

PROTOCOLS: Mapping[str, Protocol] = {protocol.name: protocol for protocol in (POSTGRES,)}

TRANSCRIPTS: Mapping[str, Transcript] = {name: protocol.transcript for name, protocol in PROTOCOLS.items()}
