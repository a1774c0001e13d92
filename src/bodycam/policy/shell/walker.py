"""Walks the tree of a command line, and lets each command in it be judged.

The grammar is forgiving where shells are not, and now and then reads what no shell reads so. So the tree is
believed only where the text between its parts is blank, its words read as one word each (`words.py`), and
nothing stands where it doesn't belong; everything else is told as not understood.
"""

import re
from collections.abc import Sequence
from typing import Final, final

from tree_sitter import Node

from bodycam.policy.shell.commands import Running
from bodycam.policy.shell.effort import Effort
from bodycam.policy.shell.expansions import Expansions
from bodycam.policy.shell.gathering import Gathering
from bodycam.policy.shell.heredoc import heredoc
from bodycam.policy.shell.kinds import ARITHMETIC, PARTS, STATEMENTS, WORDS
from bodycam.policy.shell.parser import BLANK, BLANK_LINES, parse, read, source
from bodycam.policy.shell.reasons import DOES_NOT_PARSE, HIDDEN_CODE, TWO_READINGS, Refused
from bodycam.policy.shell.redirects import Tail, redirected
from bodycam.policy.shell.words import Lexer, Word

Programs = list[str]
Flow = tuple[Programs, Programs]
"""The programs that read what comes into a statement, and those that say what comes out of it."""

NOTHING: Final[Programs] = []

_BEFORE_COMMENT: Final = " \t\n;&|()"


@final
class Walker:
    """Walks one source; scripts in it are walked by others."""

    def __init__(self, text: str, gathering: Gathering, effort: Effort) -> None:
        """Read a text.

        Raises:
            Refused: it can't be.
        """
        self.src = source(text)
        self.gathering, self.effort = gathering, effort
        self.expansions = Expansions(self)
        self.lexer = Lexer(self.src, self.expansions.inside, self._named, self._backquoted)
        # programs that are substituted as files in the command at hand: those that write, and that read them
        self.fed: Programs = []
        self.feeding: Programs = []

    def whole(self) -> Programs:
        """Walk all of it; the programs that run."""
        self.effort.enter(len(self.src))
        root = parse(self.src)
        self._gap(0, root.start_byte, BLANK_LINES)
        self._gap(root.end_byte, len(self.src), BLANK_LINES)
        ran = self.block(root)
        self.effort.leave()
        return ran

    def script(self, text: str) -> Programs:
        """A script in this one."""
        return Walker(text, self.gathering, self.effort).whole()

    def children(self, node: Node, blank: re.Pattern[str] = BLANK_LINES) -> list[Node]:
        """The parts of a node, with nothing but blanks between them."""
        children = node.children
        at = node.start_byte
        for child in children:
            start = child.start_byte
            if start != at:
                self._gap(at, start, blank)
            at = child.end_byte
        if at != node.end_byte:
            self._gap(at, node.end_byte, blank)
        return children

    def _gap(self, start: int, end: int, blank: re.Pattern[str]) -> None:
        if blank.fullmatch(self.src, start, end) is None:
            raise Refused(DOES_NOT_PARSE)

    # -- blocks ------------------------------------------------------------------------------------------

    def block(self, node: Node, *, inside: bool = False) -> Programs:
        """Statements, words and keywords in their order; the programs that run.

        `inside` passes over the first and the last part, which enclose them.
        """
        self.effort.deeper()
        ran: Programs = []
        group: list[Node] = []
        children = self.children(node)
        for child in children[1:-1] if inside else children:
            kind = child.type
            if kind in WORDS:
                if group and group[-1].end_byte != child.start_byte:
                    self._word(group)
                    group = []
                group.append(child)
                continue
            if group:
                self._word(group)
                group = []
            if kind in STATEMENTS:
                ran += self.statement(child)[1]
            elif kind in PARTS:
                ran += self.block(child)
            elif not child.is_named:
                self._sign(child, node)
            elif kind == "comment":
                self._comment(child)
            elif kind == "variable_name":
                self.assigns(self.src[child.start_byte : child.end_byte])
            elif kind in ARITHMETIC:
                self.expansions.arithmetic(child)
            elif kind in ("file_redirect", "herestring_redirect"):
                self._lonely(child)
            else:
                raise Refused(DOES_NOT_PARSE)
        if group:
            self._word(group)
        self.effort.back()
        return list(dict.fromkeys(ran))

    def _sign(self, sign: Node, node: Node) -> None:
        if sign.type == "&":
            self.gathering.background = True
        elif sign.type == "((" and node.type == "compound_statement":
            # two subshells to a shell that does no sums there
            raise Refused(TWO_READINGS)

    def _comment(self, node: Node) -> None:
        before = self.src[node.start_byte - 1 : node.start_byte]
        if before and before not in _BEFORE_COMMENT:
            raise Refused(DOES_NOT_PARSE)

    def _lonely(self, node: Node) -> None:
        """A redirection without a command: `$(< file)`."""
        tail = Tail()
        redirected(self, node, tail)
        if tail.words:
            raise Refused(DOES_NOT_PARSE)

    def _word(self, group: Sequence[Node]) -> None:
        self.group(group)

    def group(self, group: Sequence[Node]) -> list[Word]:
        """The words that nodes without blanks between them are."""
        first = group[0]
        found = self.lexer.words(
            first.start_byte, group[-1].end_byte, first if len(group) == 1 else first.parent or first
        )
        self.effort.words(len(found))
        return found

    # -- statements --------------------------------------------------------------------------------------

    def statement(self, node: Node, tail: Tail | None = None) -> Flow:
        """One statement; `tail` has what stands behind it and belongs to its last command."""
        self.effort.deeper()
        match node.type:
            case "command" | "declaration_command" | "unset_command":
                flow = self._command(node, tail or Tail())
            case "pipeline" | "list":
                flow = self._chain(node, tail)
            case "redirected_statement":
                flow = self._redirected(node, tail)
            case "negated_command":
                flow = self._negated(node, tail)
            case "test_command":
                flow = self._test(node, tail)
            case "variable_assignment" | "variable_assignments":
                flow = self._assignments(node, tail)
            case "function_definition":
                flow = self._function(node)
            case _:
                if tail is not None and tail.words:
                    raise Refused(DOES_NOT_PARSE)
                ran = self.block(node)
                flow = (ran, ran)
        self.effort.back()
        return flow

    def _chain(self, node: Node, tail: Tail | None) -> Flow:
        """Pipelines and lists, which the grammar nests in each other in ways that no shell does."""
        links: list[Node] = []
        self._flat(node, links)
        first: Programs | None = None
        last: Programs = []
        piped = False
        ended = len(links) - 1
        while ended >= 0 and not links[ended].is_named:
            ended -= 1
        for place, link in enumerate(links):
            if not link.is_named:
                piped = link.type in ("|", "|&")
                if link.type == "&":
                    self.gathering.background = True
                continue
            if link.type == "comment":
                self._comment(link)
                continue
            into, out = self.statement(link, tail if place == ended else None)
            if piped:
                self.gathering.flows(last, into)
            first = into if first is None else first
            last = out
        return first or [], last

    def _flat(self, node: Node, links: list[Node]) -> None:
        waiting = [node]
        while waiting:
            one = waiting.pop()
            if one.type in ("pipeline", "list"):
                waiting += reversed(self.children(one))
            else:
                links.append(one)

    def _redirected(self, node: Node, tail: Tail | None) -> Flow:
        tail = Tail() if tail is None else tail
        mine = Tail()
        fed, feeding = self.fed, self.feeding
        self.fed, self.feeding = [], []
        body: Node | None = None
        here: Node | None = None
        for child in node.children:
            match child.type:
                case "file_redirect" | "herestring_redirect":
                    redirected(self, child, mine)
                case "heredoc_redirect":
                    if here is not None:
                        raise Refused(DOES_NOT_PARSE)
                    here = child
                case _ if body is None and here is None and child.type in STATEMENTS:
                    body = child
                case _:
                    raise Refused(DOES_NOT_PARSE)
        rest: list[Node] = []
        if here is None:
            self.children(node, BLANK)
        else:
            rest = heredoc(self, node, here, mine)
        written, read_from = self.fed, self.feeding
        self.fed, self.feeding = fed, feeding
        mine.take(tail)
        if body is None:
            flow = self._run(mine.words, mine)
        else:
            flow = self.statement(body, mine)
        self.gathering.flows(read_from, flow[1])
        self.gathering.flows(flow[1], written)
        for part in rest:
            if part.type == "pipeline":
                into, out = self.statement(part)
                self.gathering.flows(flow[1], into)
                flow = (flow[0], out)
            else:
                flow = (flow[0], self.statement(part)[1])
        return flow

    def _negated(self, node: Node, tail: Tail | None) -> Flow:
        for child in self.children(node, BLANK):
            if child.type in STATEMENTS:
                return self.statement(child, tail)
        raise Refused(DOES_NOT_PARSE)

    def _command(self, node: Node, tail: Tail) -> Flow:
        fed, feeding = self.fed, self.feeding
        self.fed, self.feeding = [], []
        words: list[Word] = []
        group: list[Node] = []
        inner: Node | None = None
        own, end, open_to = Tail(), -1, True
        declares = node.type != "command"
        for child in self.children(node, BLANK):
            kind = child.type
            beside = child.start_byte == end
            end = child.end_byte
            if kind in WORDS or (declares and (not child.is_named or kind == "variable_name")):
                if beside and not group and not open_to:
                    raise Refused(DOES_NOT_PARSE)
                if group and not beside:
                    words += self.group(group)
                    group = []
                group.append(child)
                continue
            if group:
                words += self.group(group)
                group = []
            open_to = False
            if kind == "variable_assignment":
                if beside or (words and not declares):
                    raise Refused(DOES_NOT_PARSE)
                said = self.assignment(child)
                if declares:
                    words.append(said)
            elif kind in ("file_redirect", "herestring_redirect"):
                if beside and child.children[0].type == "file_descriptor":
                    raise Refused(DOES_NOT_PARSE)
                redirected(self, child, own)
                words += own.words
                own.words = []
            elif kind == "subshell" and inner is None:
                inner = child
            else:
                raise Refused(DOES_NOT_PARSE)
        if group:
            words += self.group(group)
        if inner is not None and [word.text for word in words] != ["time"]:
            raise Refused(DOES_NOT_PARSE)
        own.take(tail)
        into, out = self._run(words + own.words, own)
        if inner is not None:
            ran = self.block(inner)
            into, out = into + ran, out + ran
        self.fed, self.feeding = fed, feeding
        return into, out

    def _run(self, words: Sequence[Word], tail: Tail) -> Flow:
        running = Running(self.gathering, self.script, tail.stdin)
        running.run(words)
        self.gathering.flows(self.feeding, running.ran)
        self.gathering.flows(running.ran, self.fed)
        return running.ran, running.ran

    def _assignments(self, node: Node, tail: Tail | None) -> Flow:
        if tail is not None and tail.words:
            # what looks like redirections behind it is a command: `A=1 > file rm`
            raise Refused(DOES_NOT_PARSE)
        for child in [node] if node.type == "variable_assignment" else self.children(node, BLANK):
            self.assignment(child)
        return [], []

    def assignment(self, node: Node) -> Word:
        """A variable that is set, as a word."""
        children = self.children(node)
        if len(children) < 2 or children[1].type not in ("=", "+="):
            raise Refused(DOES_NOT_PARSE)
        place, sign, *values = children
        if place.type == "subscript":
            self.expansions.arithmetic(place)
        name = self.src[place.start_byte : place.end_byte].partition("[")[0]
        if not name.isidentifier() or not name.isascii():
            raise Refused(DOES_NOT_PARSE)
        self.assigns(name)
        at = sign.end_byte
        value = Word("", "''")
        if values and values[0].start_byte != at:
            raise Refused(DOES_NOT_PARSE)
        if values and values[0].type == "array":
            if len(values) > 1:
                raise Refused(DOES_NOT_PARSE)
            self.block(values[0])
            value = Word("()", plain=False)
        elif values:
            found = self.lexer.words(at, node.end_byte, node)
            value = found[0]
            if any(word.hides for word in found):
                self.gathering.unknown[HIDDEN_CODE] = None
        whole = read(self.src[node.start_byte : at])
        return Word(whole + value.text, whole + value.shown, value.plain, hides=value.hides)

    def assigns(self, name: str) -> None:
        """A variable is set."""
        Running(self.gathering, self.script, None).assigns(name)

    def _function(self, node: Node) -> Flow:
        for child in self.children(node):
            kind = child.type
            if kind == "word":
                self.gathering.functions[read(self.src[child.start_byte : child.end_byte])] = None
            elif kind in STATEMENTS:
                self.statement(child)
            elif kind in ("file_redirect", "herestring_redirect"):
                self._lonely(child)
            elif child.is_named:
                raise Refused(DOES_NOT_PARSE)
        return [], []

    def _test(self, node: Node, tail: Tail | None) -> Flow:
        """`[ ... ]` and `[[ ... ]]`."""
        if tail is not None and tail.words:
            raise Refused(DOES_NOT_PARSE)
        name = self.src[node.start_byte : node.end_byte].partition(" ")[0]
        if name not in ("[", "[["):
            raise Refused(TWO_READINGS)
        self.expansions.test(node, old=name == "[")
        self.gathering.programs[name] = self.gathering.programs_written[name] = None
        self.gathering.command([Word(read(self.src[node.start_byte : node.end_byte]))])
        return [], []

    def _named(self, name: str) -> None:
        self.gathering.variables[name] = None

    def _backquoted(self, text: str) -> None:
        self.gathering.substitutions = True
        self.script(read(text))
