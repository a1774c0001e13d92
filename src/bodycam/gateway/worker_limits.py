"""The bounds that a worker keeps by itself."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WorkerLimits:
    """Bounds of one worker; times in seconds."""

    login_timeout: float
    pending_logins: int
    connections: int
    message_size: int
    drain_timeout: float
    message_seconds: float = 60.0
