"""What stands inside of words: substitutions, `${...}`, sums, and the conditions of tests."""

import re
from typing import TYPE_CHECKING, Final, final

from tree_sitter import Node

from bodycam.policy.shell.kinds import WORDS
from bodycam.policy.shell.reasons import DOES_NOT_PARSE, HIDDEN_CODE, TWO_READINGS, Refused
from bodycam.policy.shell.words import SUBSTITUTED

if TYPE_CHECKING:
    from bodycam.policy.shell.walker import Walker

_NAME: Final = re.compile(r"\$\{[#!]?([A-Za-z_][A-Za-z0-9_]*|[0-9]+|[-@*#?$!])")
_NUMBERS: Final = frozenset(
    ("number", "variable_name", "special_variable_name", "word", "binary_expression", "unary_expression",
     "postfix_expression", "ternary_expression", "parenthesized_expression", "subscript", "simple_expansion",
     "variable_assignment", "arithmetic_expansion")
)  # fmt: skip
_PLAIN_WORD: Final = re.compile(r"[A-Za-z0-9_]+")
_OLD_SIGNS: Final = frozenset(("[", "]", "=", "==", "!=", "!"))
_NEW_SIGNS: Final = frozenset(("[[", "]]", "=", "==", "!=", "!", "=~"))
_PATTERN: Final = re.compile(r"[A-Za-z0-9_.,:/@%+=*?^$\[\]{}-]*")


@final
class Expansions:
    """Looks into the words of one walker."""

    __slots__ = ("_walker",)

    def __init__(self, walker: "Walker") -> None:
        self._walker = walker

    def inside(self, node: Node, quoted: bool) -> None:
        """One thing that is substituted in a word.

        Raises:
            Refused: it can't be read with certainty.
        """
        walker = self._walker
        match node.type:
            case "command_substitution":
                walker.gathering.substitutions = True
                self._apart(node)
            case "process_substitution":
                walker.gathering.substitutions = True
                ran = self._apart(node)
                if node.children[0].type == "<(":
                    walker.feeding += ran
                else:
                    walker.fed += ran
            case "expansion":
                self._parameter(node)
            case "arithmetic_expansion":
                self.arithmetic(node)
            case _:
                raise Refused(DOES_NOT_PARSE)

    def _apart(self, node: Node) -> list[str]:
        """Commands in a word: what they are fed by is theirs."""
        walker = self._walker
        fed, feeding = walker.fed, walker.feeding
        walker.fed, walker.feeding = [], []
        ran = walker.block(node, inside=True)
        walker.fed, walker.feeding = fed, feeding
        return ran

    def _parameter(self, node: Node) -> None:
        """`${name...}`: what quotes mean in there differs from shell to shell, and so no quotes are read."""
        walker, src = self._walker, self._walker.src
        name = _NAME.match(src, node.start_byte, node.end_byte)
        if name is None:
            raise Refused(DOES_NOT_PARSE)
        walker.gathering.variables[name.group(1)] = None
        at, end = name.end(), node.end_byte - 1
        if src.startswith("@P", at):
            # the variable's value is read as a prompt, and commands in it are run
            walker.gathering.unknown[HIDDEN_CODE] = None
        if src[at : at + 1] == "=" or src[at : at + 2] == ":=":
            walker.assigns(name.group(1))
        while at < end:
            char = src[at]
            if char in "'\"\\`{}()<>\n":
                raise Refused(DOES_NOT_PARSE)
            if char == "$" and src[at + 1] in "({[":
                at = self._nested(node, at, end)
            elif char == "$" and src[at + 1] in "'\"":
                raise Refused(DOES_NOT_PARSE)
            else:
                at += 1
        if src[end] != "}":
            raise Refused(DOES_NOT_PARSE)
        for child in node.children:
            self._variables(child)

    def _nested(self, node: Node, at: int, end: int) -> int:
        found = node.descendant_for_byte_range(at, at + 1)
        while found is not None and not (found.type in SUBSTITUTED and found.start_byte == at):
            found = None if found.start_byte < at else found.parent
        if found is None or found.end_byte > end:
            raise Refused(DOES_NOT_PARSE)
        self._walker.effort.deeper()
        self.inside(found, False)
        self._walker.effort.back()
        return found.end_byte

    def _variables(self, node: Node) -> None:
        if node.type in ("variable_name", "special_variable_name"):
            src = self._walker.src
            self._walker.gathering.variables[src[node.start_byte : node.end_byte]] = None
        elif node.type == "simple_expansion":
            for child in node.children:
                self._variables(child)

    def arithmetic(self, node: Node) -> None:
        """A sum: numbers, variables and what is substituted.

        Raises:
            Refused: something else stands there.
        """
        walker, src = self._walker, self._walker.src
        if node.type == "arithmetic_expansion":
            text = src[node.start_byte : node.end_byte]
            closed = text.endswith("))") if text.startswith("$((") else text.endswith("]")
            if not closed or not _balanced(text):
                raise Refused(DOES_NOT_PARSE)
        walker.effort.deeper()
        for child in walker.children(node):
            kind = child.type
            if kind in ("command_substitution", "expansion"):
                self.inside(child, False)
            elif kind == "string":
                walker.group([child])
            elif not child.is_named:
                continue
            elif kind not in _NUMBERS:
                raise Refused(DOES_NOT_PARSE)
            elif child.child_count:
                self.arithmetic(child)
            elif kind == "word" and _PLAIN_WORD.fullmatch(src, child.start_byte, child.end_byte) is None:
                raise Refused(DOES_NOT_PARSE)
            elif kind in ("variable_name", "word"):
                walker.gathering.variables[src[child.start_byte : child.end_byte]] = None
        walker.effort.back()

    def test(self, node: Node, *, old: bool) -> None:
        """The condition of `[ ... ]` (`old`) or of `[[ ... ]]`.

        Raises:
            Refused: to a shell that knows only the first one it may be something else.
        """
        walker, src = self._walker, self._walker.src
        walker.effort.deeper()
        group: list[Node] = []
        for child in [*walker.children(node), None]:
            if child is not None and child.type in WORDS and (child.is_named or child.type == "$"):
                if child.type in ("regex", "extglob_pattern"):
                    if _PATTERN.fullmatch(src, child.start_byte, child.end_byte) is None:
                        raise Refused(TWO_READINGS)
                    continue
                if group and group[-1].end_byte != child.start_byte:
                    self._operand(group)
                    group = []
                group.append(child)
                continue
            if group:
                self._operand(group)
                group = []
            if child is None or child.type == "test_operator":
                continue
            if not child.is_named:
                if child.type not in (_OLD_SIGNS if old else _NEW_SIGNS):
                    raise Refused(TWO_READINGS)
            elif child.type in ("binary_expression", "unary_expression"):
                self.test(child, old=old)
            elif child.type == "variable_name":
                walker.gathering.variables[src[child.start_byte : child.end_byte]] = None
            else:
                raise Refused(TWO_READINGS)
        if "\n" in src[node.start_byte : node.end_byte]:
            raise Refused(TWO_READINGS)
        walker.effort.back()

    def _operand(self, group: list[Node]) -> None:
        if any(word.hides for word in self._walker.group(group)):
            self._walker.gathering.unknown[HIDDEN_CODE] = None


def _balanced(text: str) -> bool:
    depth = 0
    for at, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if depth <= 0 and char == ")" and at + 1 < len(text):
            return False
    return depth == 0
