"""One simple command: which programs run by it, through all that only hands on to another."""

import re
from collections.abc import Callable, Sequence
from typing import Final, final

from bodycam.policy.shell.files import note_files, touched
from bodycam.policy.shell.gathering import SOMETHING, Gathering
from bodycam.policy.shell.options import Given, has, value_of
from bodycam.policy.shell.reasons import (
    DOES_NOT_PARSE,
    HIDDEN_CODE,
    OPTIONS_UNCLEAR,
    PROGRAM_EXPANDED,
    READING_CHANGED,
    SCRIPT_IS_DATA,
    Refused,
    Unclear,
)
from bodycam.policy.shell.special import SPECIAL
from bodycam.policy.shell.words import Word
from bodycam.policy.shell.wrappers import (
    ARITHMETIC,
    CONTAINERS,
    INTERPRETERS,
    LOADER,
    RESERVED,
    SETS,
    SHELLS,
    UNREAD,
    UNREAD_ALONE,
    WRAPPERS,
    Wrapper,
    changes_reading,
)

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SET: Final = re.compile(r"(?:-v)?([A-Za-z_][A-Za-z0-9_]*)(?:\[[^\]]*\])?(?:\+?=|$)")
_ONLY_TELLS: Final = frozenset(("-V", "--version", "-h", "--help"))

Script = Callable[[str], list[str]]
"""Reads a script within the text, and says which programs run by it."""


@final
class Running:
    """What one command runs: `ran` are the programs, in the order met."""

    __slots__ = ("gathering", "ran", "script", "stdin")

    def __init__(self, gathering: Gathering, script: Script, stdin: Word | None) -> None:
        """`stdin` is the text that the command reads, where that stands in the command line itself."""
        self.gathering, self.script, self.stdin = gathering, script, stdin
        self.ran: list[str] = []

    def run(self, words: Sequence[Word]) -> None:
        """Note what runs by these words."""
        if not words:
            return
        gathering, first = self.gathering, words[0]
        gathering.command(words)
        if not first.known or not first.whole:
            gathering.unknown[PROGRAM_EXPANDED] = None
            return
        if first.bare and first.text in RESERVED:
            raise Refused(DOES_NOT_PARSE)
        name = self.ran_program(first.text)
        try:
            self._what(name, words)
        except Unclear as unclear:
            gathering.unknown[unclear.args[0]] = None

    def ran_program(self, written: str) -> str:
        """Note a program; its name without the folder."""
        name = written.rpartition("/")[2]
        if name:
            self.gathering.programs[name] = None
            self.gathering.programs_written[written] = None
            self.ran.append(name)
        return name

    def scripted(self, text: str) -> None:
        """A text that a shell runs."""
        self.ran += self.script(text)

    def from_stdin(self) -> None:
        """A shell takes its commands from what it reads.

        Raises:
            Unclear: that is not in the text.
        """
        if self.stdin is None or not self.stdin.plain:
            raise Unclear(SCRIPT_IS_DATA)
        self.scripted(self.stdin.text)

    def assigned(self, word: Word, *, paths: bool) -> bool:
        """Whether a word sets a variable for the program behind it, which is noted.

        Its name may be anything, other than in a shell: what has a slash in it is one only with `paths`.
        """
        name, equals, _ = word.text.partition("=")
        if not equals or ("/" in name and not paths):
            return False
        if not word.whole or not (word.plain or _NAME.fullmatch(name)):
            raise Unclear(OPTIONS_UNCLEAR)
        self.assigns(name)
        return True

    def assigns(self, name: str) -> None:
        """A variable is set."""
        self.gathering.assigns[name] = None
        if changes_reading(name):
            self.gathering.unknown[READING_CHANGED] = None

    def _what(self, name: str, words: Sequence[Word]) -> None:
        special = SPECIAL.get(name)
        if name in ARITHMETIC and any(word.hides for word in words):
            self.gathering.unknown[HIDDEN_CODE] = None
        if name in SETS:
            self._sets(name, words)
        if name == "printf" and len(words) > 2 and words[1].text.startswith("-v"):
            self._sets(name, words[:3] if words[1].text == "-v" else words[:2])
        if special is not None:
            special(self, words)
        elif name in WRAPPERS:
            wrapped(self, name, WRAPPERS[name], words)
        elif name in SHELLS:
            SPECIAL["sh"](self, words)
        elif name in INTERPRETERS or name.rstrip("0123456789.") in INTERPRETERS:
            self._interpreter(name, words)
        elif _runs_unread(name, words):
            raise Unclear(OPTIONS_UNCLEAR)
        else:
            note_files(self.gathering, name, words)

    def _sets(self, name: str, words: Sequence[Word]) -> None:
        """Builtins that set variables which they are told."""
        for word in words[1:]:
            match = _SET.match(word.text)
            if match is not None:
                self.assigns(match.group(1))
            elif not word.plain:
                # whose name comes from elsewhere, too
                self.gathering.unknown[READING_CHANGED] = None

    def _interpreter(self, name: str, words: Sequence[Word]) -> None:
        if any(word.text in _ONLY_TELLS for word in words[1:2]):
            return
        self.gathering.interpreters[name] = None
        for word in words[1:]:
            if word.text in ("-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0") or word.text.startswith("<("):
                break
            if word.text[:1] != "-" or word.text[1:2] in ("c", "e", "m", "r", "E", "p", "n"):
                return
        # code of another language that stands in the text is as opaque as that of -c
        if self.stdin is None:
            raise Unclear(SCRIPT_IS_DATA)


def _runs_unread(name: str, words: Sequence[Word]) -> bool:
    if name in UNREAD_ALONE or LOADER.fullmatch(name):
        return not any(word.known and word.text in _ONLY_TELLS for word in words[1:2])
    if name in UNREAD:
        return any(word.text[:1] != "-" or len(word.text) == 1 for word in words[1:])
    return name in CONTAINERS and any(not word.plain or word.text in ("exec", "run") for word in words[1:])


def wrapped(running: Running, name: str, wrapper: Wrapper, words: Sequence[Word]) -> None:
    """What runs behind the options of a wrapper."""
    try:
        given, at = wrapper.options.leading(words, 1)
    except Unclear:
        if wrapper.root:
            running.gathering.sudo[SOMETHING] = None
        raise
    if wrapper.root:
        _as_user(running, wrapper, given)
    if name == "env":
        split = value_of(given, "S", "split-string")
        if split is not None:
            # its quoting is almost that of a shell, and almost is not enough
            raise Unclear(OPTIONS_UNCLEAR)
        if at < len(words) and words[at].text == "-":
            at += 1
    if name == "command" and has(given, "v", "V"):
        return
    while wrapper.assigns and at < len(words) and running.assigned(words[at], paths=name == "env"):
        at += 1
    for _ in range(wrapper.operands):
        if at < len(words) and not words[at].known:
            raise Unclear(OPTIONS_UNCLEAR)
        at += 1
    rest = words[at:]
    if name == "sudo" and has(given, "e", "edit"):
        touched(running.gathering.writes, rest)
        return
    if rest:
        running.run(rest)
    elif wrapper.reads_alone or has(given, "s", "i", "shell", "login"):
        running.from_stdin()


def _as_user(running: Running, wrapper: Wrapper, given: Given) -> None:
    user = value_of(given, *wrapper.user)
    running.gathering.sudo["root" if user is None else user.text if user.plain else SOMETHING] = None
