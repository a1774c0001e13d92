"""Showing a person a page, in a browser where there is a screen."""

import os
import sys
import webbrowser

from bodycam.cli.printing import tell


def show_page(page: str) -> None:
    """Say where it is, and open it where there is a screen."""
    tell(f"open this page in a browser on this machine:\n{page}")
    # without a screen, what would open is a browser of text in this very terminal
    screen = any(os.environ.get(name) for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"))
    if screen or sys.platform == "darwin":
        webbrowser.open(page)
