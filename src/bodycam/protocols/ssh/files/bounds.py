"""How much of one SFTP channel is kept at a time."""

from typing import Final

HANDLES_MOST: Final = 1024
"""Files and folders that are open at once."""

REQUESTS_MOST: Final = 4096
"""Requests that are not answered."""

WAITING_MOST: Final = 64
"""Requests that wait for people."""
