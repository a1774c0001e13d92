"""PostgreSQL as the registry plugs it in."""

from bodycam.model.target import TargetWants, TlsMode
from bodycam.protocols import Protocol
from bodycam.protocols.postgres.machine import PostgresMachine
from bodycam.protocols.postgres.opening import ALPN, Opening, TargetOpening, refusal
from bodycam.protocols.postgres.telemetry import wording
from bodycam.protocols.postgres.transcript import TRANSCRIPT

PROTOCOL = Protocol(
    name="postgres",
    opening=Opening,
    target_opening=TargetOpening,
    machine=PostgresMachine,
    transcript=TRANSCRIPT,
    refuse=refusal,
    settings=TargetWants(
        needs=frozenset({"address", "user"}),
        takes=frozenset({"password", "database"}),
        sslmode=TlsMode.PREFER,
    ),
    alpn=(ALPN,),
    language="postgresql",
    wording=wording,
)
