"""Here-documents: the lines behind a command that it reads.

https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html#tag_19_07_04
"""

import re
from typing import TYPE_CHECKING, Final

from tree_sitter import Node

from bodycam.policy.shell.kinds import WORDS
from bodycam.policy.shell.parser import BLANK, read
from bodycam.policy.shell.reasons import DOES_NOT_PARSE, Refused
from bodycam.policy.shell.redirects import Tail, redirected
from bodycam.policy.shell.words import Word

if TYPE_CHECKING:
    from bodycam.policy.shell.walker import Walker

_MARK: Final = re.compile(
    r"(?P<bare>[A-Za-z0-9_.+@%,:/-]+)|'(?P<single>[^'\n]*)'"
    r"|\"(?P<double>[^\"\\$`\n]*)\"|\\(?P<one>[A-Za-z0-9_]+)"
)


def heredoc(walker: "Walker", statement: Node, node: Node, tail: Tail) -> list[Node]:
    """Note a here-document: what stands behind its mark on the same line is given back.

    Raises:
        Refused: a shell might end it elsewhere than the tree does.
    """
    src = walker.src
    children = node.children
    start = next(place for place, child in enumerate(children) if child.type == "heredoc_start")
    sign = children[start - 1].type
    descriptor = src[children[0].start_byte : children[0].end_byte] if start > 1 else ""
    begun = children[start]
    mark = _MARK.fullmatch(src, begun.start_byte, begun.end_byte)
    if mark is None or sign not in ("<<", "<<-"):
        raise Refused(DOES_NOT_PARSE)
    delimiter = mark.group(mark.lastgroup or 0)
    line_end = src.find("\n", begun.end_byte)
    if line_end < 0:
        raise Refused(DOES_NOT_PARSE)
    body_end, end, lines = _closing(src, line_end + 1, delimiter, sign == "<<-")
    ends = [child for child in children if child.type == "heredoc_end"]
    if len(ends) != 1 or ends[0].end_byte != end:
        raise Refused(DOES_NOT_PARSE)
    rest = _same_line(walker, children[start + 1 :], begun.end_byte, line_end, tail)
    if statement.end_byte != end or src[line_end - 1] == "\\":
        raise Refused(DOES_NOT_PARSE)
    if mark.lastgroup == "bare":
        body = walker.lexer.body(line_end + 1, body_end, node)
        if sign == "<<-" and body.plain:
            body = Word(re.sub(r"(?m)^\t+", "", body.text), bare=False)
    else:
        body = Word(
            read("".join([line.lstrip("\t") if sign == "<<-" else line for line in lines])), bare=False
        )
    walker.gathering.redirects[f"{descriptor}<<"] = None
    if descriptor in ("", "0"):
        tail.reads(body)
    return rest


def _closing(src: str, at: int, delimiter: str, dedented: bool) -> tuple[int, int, list[str]]:
    """Where the lines end, where the mark behind them ends, and the lines."""
    lines: list[str] = []
    while at < len(src):
        line_end = src.find("\n", at)
        line = src[at:] if line_end < 0 else src[at:line_end]
        if (line.lstrip("\t") if dedented else line) == delimiter:
            return at, at + len(line), lines
        if line_end < 0:
            break
        lines.append(line + "\n")
        at = line_end + 1
    raise Refused(DOES_NOT_PARSE)


def _same_line(walker: "Walker", children: list[Node], at: int, line_end: int, tail: Tail) -> list[Node]:
    """What follows the mark on its line: words, redirections, other commands."""
    rest: list[Node] = []
    group: list[Node] = []
    for child in children:
        if child.start_byte >= line_end:
            break
        if child.end_byte > line_end:
            raise Refused(DOES_NOT_PARSE)
        beside = child.start_byte == at
        if not beside and BLANK.fullmatch(walker.src, at, child.start_byte) is None:
            raise Refused(DOES_NOT_PARSE)
        at = child.end_byte
        if child.type in WORDS:
            if group and not beside:
                tail.words += walker.group(group)
                group = []
            elif beside and not group:
                raise Refused(DOES_NOT_PARSE)
            group.append(child)
            continue
        if group:
            tail.words += walker.group(group)
            group = []
        if child.type in ("file_redirect", "herestring_redirect"):
            redirected(walker, child, tail)
        elif child.is_named and child.type != "ERROR":
            rest.append(child)
        elif child.type not in ("&&", "||"):
            raise Refused(DOES_NOT_PARSE)
    if group:
        tail.words += walker.group(group)
    if BLANK.fullmatch(walker.src, at, line_end) is None:
        raise Refused(DOES_NOT_PARSE)
    return rest
