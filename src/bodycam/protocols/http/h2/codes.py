"""The errors of HTTP/2 by their numbers (RFC 9113, section 7)."""

from typing import Final

NO_ERROR: Final = 0
PROTOCOL: Final = 1
INTERNAL: Final = 2
REFUSED: Final = 7
CANCEL: Final = 8
COMPRESSION: Final = 9
CALM: Final = 11
HTTP_1_1: Final = 13

_NAMES: Final = (
    "NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
    "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
)  # fmt: skip


def name_of(code: int) -> str:
    """An error of HTTP/2 as the RFC names it."""
    return _NAMES[code] if code < len(_NAMES) else f"error {code}"
