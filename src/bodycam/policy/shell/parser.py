"""A command line's syntax tree, by the grammar tree-sitter-bash.

https://github.com/tree-sitter/tree-sitter-bash
"""

import re
from typing import Final

import tree_sitter_bash
from tree_sitter import Language, Node, Parser

from bodycam.policy.shell.reasons import DOES_NOT_PARSE, INVALID_CHARACTERS, TOO_LARGE, Refused

MAX_TEXT: Final = 32 * 1024
"""Bytes of a text that is looked at."""

# a line that goes on joins what is on both sides, unless there is a blank besides
BLANK: Final = re.compile(r"(?:(?:\\\n)*[ \t](?:[ \t]|\\\n)*)?")
BLANK_LINES: Final = re.compile(r"(?:(?:\\\n)*[ \t\n](?:[ \t\n]|\\\n)*)?")

_LANGUAGE: Final = Language(tree_sitter_bash.language())

# the grammar takes some for blanks that shells take for letters
_CONTROLS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")

# The grammar's scanner looks letters up in a table that ends at 255, wherever in memory that leads, and takes
# some for blanks. Shells take all that is not ASCII for letters of words, and no source has this one.
_LETTER: Final = bytes.maketrans(bytes(range(0x80, 0x100)), b"\x01" * 0x80)

# the grammar takes a word that begins with a brace for a block
_BRACED: Final = re.compile(r"(?<![^\s;&|()])\{([^\s{}'\"\\$`;&|<>()]*(?:,|\.\.)[^\s{}'\"\\$`;&|<>()]*)\}")


def source(text: str) -> str:
    """A text with one character (Latin-1) for each of its bytes, so that places in it are those of the tree.

    Raises:
        Refused: it is too long, no UTF-8, or holds control characters.
    """
    if len(text) > MAX_TEXT:
        raise Refused(TOO_LARGE)
    if _CONTROLS.search(text):
        raise Refused(INVALID_CHARACTERS)
    if text.isascii():
        return text
    try:
        encoded = text.encode()
    except UnicodeEncodeError as error:
        raise Refused(INVALID_CHARACTERS) from error
    if len(encoded) > MAX_TEXT:
        raise Refused(TOO_LARGE)
    return encoded.decode("latin-1")


def read(src: str) -> str:
    """The text that a part of a source stands for.

    Raises:
        Refused: it is no UTF-8, as escapes may make it.
    """
    if src.isascii():
        return src
    try:
        return src.encode("latin-1").decode()
    except UnicodeDecodeError as error:
        raise Refused(INVALID_CHARACTERS) from error


def parse(src: str) -> Node:
    """The root of a source's tree; the words in it are to be read in the source itself.

    Raises:
        Refused: it is no command line.
    """
    if "{" in src:
        src = _BRACED.sub(r"_\1_", src)
    root = Parser(_LANGUAGE).parse(src.encode("latin-1").translate(_LETTER)).root_node
    if root.has_error:
        raise Refused(DOES_NOT_PARSE)
    return root
