"""Where the facts of a command line are collected while its tree is walked."""

from collections.abc import Iterable
from posixpath import normpath
from typing import Final, final

from bodycam.policy.shell.facts import ShellFacts
from bodycam.policy.shell.reasons import TOO_LARGE, Refused
from bodycam.policy.shell.words import Word

Found = dict[str, None]
"""A set that keeps the order in which its members were met."""

SOMETHING: Final = "?"
"""What stands for a path, a user or an argument that the text doesn't tell."""

PAIRS_MOST: Final = 1000
ARGV_MOST: Final = 256 * 1024
"""Characters of all that is kept of commands, which nesting could multiply."""


@final
class Gathering:
    """The facts found so far."""

    __slots__ = (
        "argv",
        "assigns",
        "background",
        "deletes",
        "functions",
        "interpreters",
        "pipes",
        "programs",
        "programs_written",
        "reads",
        "redirects",
        "substitutions",
        "sudo",
        "taken",
        "unknown",
        "variables",
        "writes",
    )

    def __init__(self) -> None:
        self.programs: Found = {}
        self.programs_written: Found = {}
        self.argv: Found = {}
        self.reads: Found = {}
        self.writes: Found = {}
        self.deletes: Found = {}
        self.redirects: Found = {}
        self.pipes: Found = {}
        self.sudo: Found = {}
        self.interpreters: Found = {}
        self.functions: Found = {}
        self.variables: Found = {}
        self.assigns: Found = {}
        self.unknown: Found = {}
        self.substitutions = self.background = False
        self.taken = 0

    def command(self, words: Iterable[Word]) -> None:
        """A command as text.

        Raises:
            Refused: with this one there are too many.
        """
        said = " ".join([word.shown for word in words])
        self.taken += len(said)
        if self.taken > ARGV_MOST:
            raise Refused(TOO_LARGE)
        self.argv[said] = None

    def flows(self, sources: Iterable[str], into: Iterable[str]) -> None:
        """What some programs say is read by others.

        Raises:
            Refused: there are too many of them.
        """
        into = list(into)
        for source in sources:
            for sink in into:
                self.pipes[f"{source}|{sink}"] = None
            if len(self.pipes) > PAIRS_MOST:
                raise Refused(TOO_LARGE)

    def facts(self) -> ShellFacts:
        """What was found, for good."""
        return ShellFacts(
            programs=tuple(self.programs),
            programs_written=tuple(self.programs_written),
            argv=tuple(self.argv),
            reads=tuple(self.reads),
            writes=tuple(self.writes),
            deletes=tuple(self.deletes),
            redirects=tuple(self.redirects),
            pipes=tuple(self.pipes),
            sudo=tuple(self.sudo),
            interpreters=tuple(self.interpreters),
            functions=tuple(self.functions),
            variables=tuple(self.variables),
            assigns=tuple(self.assigns),
            substitutions=self.substitutions,
            background=self.background,
            unknown=tuple(self.unknown),
        )


def path(word: Word) -> str:
    """A path without steps back and repeated slashes; one with an expansion in it stays as written."""
    text = word.text
    if word.plain and ("/." in text or "//" in text or text.startswith("./")):
        # two slashes at the start are one to Linux, and POSIX leaves it open
        return normpath(text[1:] if text.startswith("//") else text)
    return text
