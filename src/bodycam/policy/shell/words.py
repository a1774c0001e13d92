"""The words of a command line: quotes taken off, and what can't be known kept apart from what can.

The tree says where a word is and what is substituted in it; how it is quoted is read here once more. Where
both don't agree on a word's borders, nothing is told.
"""

import re
import shlex
from collections.abc import Callable
from typing import Final, final

from tree_sitter import Node

from bodycam.policy.shell.ansi import decoded
from bodycam.policy.shell.braces import Piece, expanded
from bodycam.policy.shell.parser import read
from bodycam.policy.shell.reasons import DOES_NOT_PARSE, Refused

PLAIN: Final = 0
QUOTED: Final = 1
EXPANSION: Final = 2
QUOTED_EXPANSION: Final = 3

SUBSTITUTED: Final = frozenset(
    ("command_substitution", "process_substitution", "expansion", "arithmetic_expansion", "simple_expansion")
)

_SIMPLE: Final = re.compile(r"[A-Za-z0-9_./:=@%+,\-]+")
_BARE: Final = re.compile(r"[A-Za-z0-9_./:=@%+,\-^!\x80-\xff]+")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9]|[-*@#?$!]")
_BETWEEN_QUOTES: Final = re.compile(r'[^"\\$`]+')
_IN_BODY: Final = re.compile(r"[^\\$`]+")
_GLOB: Final = re.compile(r"[*?\[]")
_CODE: Final = re.compile(r"\[[^\]]*(?:\$\(|\$\{|`)")
_UNSAFE: Final = re.compile(r"[\s'\"\\$`*?\[\]{}()<>|&;#!]")

Inner = Callable[[Node, bool], None]
"""Looks into what is substituted in a word; whether that stands between double quotes."""


@final
class Word:
    """One word of a command.

    `text` is what the program gets, with expansions as written; `shown` the same for people, quoted where it
    has to be; `plain` that all of it is known. `whole` is False where an expansion may make several words of
    it, or none. `globs` is that it is a pattern of file names. `bare` is that nothing of it is quoted.
    `hides` is that what is quoted is code where a number is wanted: `a[$(...)]`.
    """

    __slots__ = ("bare", "globs", "hides", "plain", "shown", "text", "whole")

    def __init__(
        self,
        text: str,
        shown: str = "",
        plain: bool = True,
        whole: bool = True,
        globs: bool = False,
        bare: bool = True,
        hides: bool = False,
    ) -> None:
        self.text, self.shown, self.plain = text, shown or text, plain
        self.whole, self.globs, self.bare, self.hides = whole, globs, bare, hides

    @property
    def known(self) -> bool:
        """Whether this is one word with this very text."""
        return self.plain and not self.globs

    def __repr__(self) -> str:
        return f"Word({self.text!r})"


@final
class Lexer:
    """Reads the words of one source; what is substituted in them is handed to `inner`."""

    __slots__ = ("_backquoted", "_inner", "_named", "_src")

    def __init__(
        self, src: str, inner: Inner, named: Callable[[str], None], backquoted: Callable[[str], None]
    ) -> None:
        """`named` is told each variable that is read, `backquoted` the commands between backquotes."""
        self._src, self._inner, self._named, self._backquoted = src, inner, named, backquoted

    def words(self, start: int, end: int, node: Node) -> list[Word]:
        """What stands between two places as words: one, but for braces. `node` is round them.

        Raises:
            Refused: it is no word, or can't be read with certainty.
        """
        src = self._src
        if _SIMPLE.fullmatch(src, start, end):
            return [Word(src[start:end])]
        pieces = self._pieces(start, end, node)
        for kind, text in pieces:
            if kind == PLAIN and "{" in text:
                return [_word(one) for one in expanded(pieces, PLAIN)]
        return [_word(pieces)]

    def body(self, start: int, end: int, node: Node) -> Word:
        """The text of a here-document whose expansions are made."""
        pieces: list[Piece] = []
        self._between(start, end, node, pieces, _IN_BODY, "$`\\\n")
        return _word(pieces)

    def _pieces(self, start: int, end: int, node: Node) -> list[Piece]:
        src, at = self._src, start
        pieces: list[Piece] = []
        while at < end:
            char = src[at]
            bare = _BARE.match(src, at, end)
            if bare:
                pieces.append((PLAIN, bare.group()))
                at = bare.end()
            elif char == "\\":
                if at + 1 >= end:
                    raise Refused(DOES_NOT_PARSE)
                if src[at + 1] != "\n":
                    pieces.append((QUOTED, src[at + 1]))
                at += 2
            elif char == "'":
                close = src.find("'", at + 1, end)
                if close < 0:
                    raise Refused(DOES_NOT_PARSE)
                pieces.append((QUOTED, src[at + 1 : close]))
                at = close + 1
            elif char == '"':
                at = self._quoted(at + 1, end, node, pieces)
            elif char == "$":
                at = self._dollar(at, end, node, pieces)
            elif char == "`":
                at = self._backquotes(at, end, pieces, quoted=False)
            elif char in "*?[]{}~" or (char == "#" and at > start):
                pieces.append((PLAIN, char))
                at += 1
            elif char in "<>" and src.startswith("(", at + 1):
                at = self._node(at, end, node, pieces, quoted=False)
            else:
                raise Refused(DOES_NOT_PARSE)
        return pieces

    def _dollar(self, at: int, end: int, node: Node, pieces: list[Piece]) -> int:
        src = self._src
        following = src[at + 1 : at + 2] if at + 1 < end else ""
        if following == "'":
            close = at + 2
            while close < end and src[close] != "'":
                close += 2 if src[close] == "\\" else 1
            if close >= end:
                raise Refused(DOES_NOT_PARSE)
            pieces.append((QUOTED, decoded(src[at + 2 : close])))
            return close + 1
        if following == '"':
            return self._quoted(at + 2, end, node, pieces)
        return self._expansion(at, end, node, pieces, quoted=False)

    def _expansion(self, at: int, end: int, node: Node, pieces: list[Piece], *, quoted: bool) -> int:
        src = self._src
        if at + 1 < end and src[at + 1] in "({[":
            return self._node(at, end, node, pieces, quoted)
        name = _NAME.match(src, at + 1, end)
        if name is None:
            pieces.append((QUOTED, "$"))
            return at + 1
        self._named(name.group())
        pieces.append((QUOTED_EXPANSION if quoted else EXPANSION, src[at : name.end()]))
        return name.end()

    def _quoted(self, at: int, end: int, node: Node, pieces: list[Piece]) -> int:
        """From behind a double quote to behind the one that closes it."""
        pieces.append((QUOTED, ""))
        at = self._between(at, end, node, pieces, _BETWEEN_QUOTES, '$`"\\\n')
        if at >= end:
            raise Refused(DOES_NOT_PARSE)
        return at + 1

    def _between(
        self, at: int, end: int, node: Node, pieces: list[Piece], run: re.Pattern[str], escaped: str
    ) -> int:
        src = self._src
        while at < end:
            plain = run.match(src, at, end)
            if plain:
                pieces.append((QUOTED, plain.group()))
                at = plain.end()
                continue
            char = src[at]
            if char == '"':
                return at
            if char == "\\":
                following = src[at + 1 : at + 2]
                if following != "\n":
                    pieces.append(
                        (QUOTED, following if following and following in escaped else "\\" + following)
                    )
                at += 2
            elif char == "`":
                at = self._backquotes(at, end, pieces, quoted=True)
            else:
                at = self._expansion(at, end, node, pieces, quoted=True)
        return at

    def _backquotes(self, at: int, end: int, pieces: list[Piece], *, quoted: bool) -> int:
        close = self._src.find("`", at + 1, end)
        # what a backslash or a quote means in there depends on what is round it
        if close < 0 or "\\" in self._src[at:close] or (quoted and '"' in self._src[at:close]):
            raise Refused(DOES_NOT_PARSE)
        self._backquoted(self._src[at + 1 : close])
        pieces.append((QUOTED_EXPANSION if quoted else EXPANSION, self._src[at : close + 1]))
        return close + 1

    def _node(self, at: int, end: int, node: Node, pieces: list[Piece], quoted: bool) -> int:
        """Something substituted, as far as the tree says that it goes."""
        found = node.descendant_for_byte_range(at, at + 1)
        while found is not None and not (found.type in SUBSTITUTED and found.start_byte == at):
            found = None if found.start_byte < at else found.parent
        if found is None or found.end_byte > end:
            raise Refused(DOES_NOT_PARSE)
        self._inner(found, quoted)
        pieces.append((QUOTED_EXPANSION if quoted else EXPANSION, self._src[at : found.end_byte]))
        return found.end_byte


def _word(pieces: list[Piece]) -> Word:
    text = read("".join([part for _, part in pieces]))
    kinds = {kind for kind, _ in pieces}
    plain = EXPANSION not in kinds and QUOTED_EXPANSION not in kinds
    globs = any(kind == PLAIN and _GLOB.search(part) for kind, part in pieces)
    shown = text
    if plain and not globs and (not text or (_UNSAFE.search(text) and kinds != {PLAIN})):
        shown = shlex.quote(text)
    hides = (
        "[" in text and _CODE.search("".join([part for kind, part in pieces if kind <= QUOTED])) is not None
    )
    return Word(text, shown, plain, EXPANSION not in kinds, globs, kinds <= {PLAIN}, hides)
