"""Command lines by which clients start a server of files themselves, without a subsystem."""

import shlex
from typing import Final

_OPERATORS: Final = frozenset("();<>|&")
_ONLY_TELLS: Final = frozenset("hQ")


def alone(command: str) -> list[str]:
    """The words of a command line that runs one program; none where that can't be told."""
    if "\n" in command:
        return []
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    try:
        words = list(lexer)
    except ValueError:
        return []
    return [] if any(word and not set(word) - _OPERATORS for word in words) else words


def speaks_sftp(command: str) -> bool:
    """Whether it is OpenSSH's sftp-server alone, as `sftp -s /usr/lib/openssh/sftp-server` asks for it."""
    words = alone(command) if "sftp-server" in command else []
    if not words or words[0].rpartition("/")[2] != "sftp-server":
        return False
    return not any(word[:1] == "-" and _ONLY_TELLS & set(word[1:2]) for word in words[1:])
