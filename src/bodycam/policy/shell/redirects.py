"""Redirections: where what a command reads comes from, and what it says goes to."""

import re
from itertools import chain
from typing import TYPE_CHECKING, Final, final

from tree_sitter import Node

from bodycam.policy.shell.files import touched
from bodycam.policy.shell.parser import BLANK
from bodycam.policy.shell.reasons import DOES_NOT_PARSE, TWO_READINGS, Refused
from bodycam.policy.shell.words import Word

if TYPE_CHECKING:
    from bodycam.policy.shell.walker import Walker

# to a shell they belong to the redirection that follows, whatever the tree says
_DESCRIPTOR: Final = re.compile(r"(?:(?<![^\s;&|()])\d+|\d{20}|\{\w+\})$")


@final
class Tail:
    """What stands behind a command and belongs to it: words that follow redirections, and what it reads.

    It is `parted` by `&>`, which to other shells than bash ends a command: what follows is the next one.
    """

    __slots__ = ("fed", "parted", "stdin", "words")

    def __init__(self) -> None:
        self.words: list[Word] = []
        self.stdin: Word | None = None
        self.fed = self.parted = False

    def reads(self, stdin: Word | None) -> None:
        """What it reads, if that stands in the text; the last one counts."""
        self.stdin, self.fed = stdin, True

    def take(self, other: "Tail") -> None:
        """What stands behind it; of what is read that counts more.

        Raises:
            Refused: it is for another command.
        """
        self.words += other.words
        if self.parted and self.words:
            raise Refused(TWO_READINGS)
        if other.fed:
            self.reads(other.stdin)


def redirected(walker: "Walker", node: Node, tail: Tail) -> None:
    """Note one redirection; words behind its own belong to the command.

    Raises:
        Refused: it is none that a shell knows.
    """
    children = walker.children(node, BLANK)
    descriptor = ""
    if children and children[0].type == "file_descriptor":
        descriptor = walker.src[children[0].start_byte : children[0].end_byte]
        if children[1].start_byte != children[0].end_byte:
            raise Refused(DOES_NOT_PARSE)
        children = children[1:]
    elif _DESCRIPTOR.search(walker.src[max(0, node.start_byte - 20) : node.start_byte]):
        raise Refused(DOES_NOT_PARSE)
    if not children or children[0].is_named:
        raise Refused(DOES_NOT_PARSE)
    sign = children[0].type
    tail.parted = tail.parted or sign[0] == "&"
    groups = [walker.group(group) for group in _groups(children[1:])]
    if sign in (">&-", "<&-"):
        walker.gathering.redirects[f"{descriptor}{sign}"] = None
        tail.words += chain.from_iterable(groups)
        return
    if not groups or len(groups[0]) != 1:
        # braces make several words of one for bash, which then runs nothing, and one for other shells
        raise Refused(DOES_NOT_PARSE)
    word = groups[0][0]
    tail.words += chain.from_iterable(groups[1:])
    if node.type == "herestring_redirect":
        walker.gathering.redirects[f"{descriptor}<<<"] = None
        if descriptor in ("", "0"):
            tail.reads(word)
        return
    _note(walker, descriptor, sign, word, tail)


def _note(walker: "Walker", descriptor: str, sign: str, word: Word, tail: Tail) -> None:
    gathering = walker.gathering
    gathering.redirects[f"{descriptor}{sign}{word.shown}"] = None
    if sign in ("<&", ">&") and word.known and word.text.rstrip("-").isdigit():
        if sign == "<&" and descriptor in ("", "0"):
            tail.reads(None)
        return
    if sign in ("<", "<&"):
        touched(gathering.reads, [word])
    else:
        touched(gathering.writes, [word])
    if sign[0] == "<" and descriptor in ("", "0"):
        tail.reads(None)


def _groups(nodes: list[Node]) -> list[list[Node]]:
    """The nodes of each word: what nothing stands between is one."""
    groups: list[list[Node]] = []
    for node in nodes:
        if groups and groups[-1][-1].end_byte == node.start_byte:
            groups[-1].append(node)
        else:
            groups.append([node])
    return groups
