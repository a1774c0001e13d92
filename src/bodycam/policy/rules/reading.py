"""Which facts a condition reads, found in its text without evaluating it.

The CEL library compiles and evaluates but shows no syntax tree, so this looks at the words: strings and
comments are passed over, and a chain of names that starts at a root is a path. That an expression is valid
CEL the library has said before.
https://github.com/google/cel-spec/blob/master/doc/langdef.md#syntax
"""

import re
from dataclasses import dataclass
from difflib import get_close_matches

from bodycam.policy.rules.vocabulary import RULES, Vocabulary

_TOKEN = re.compile(
    r"""
    (?P<comment>//[^\n]*)
  | (?P<string>[rRbB]{0,2}
      (?:\"\"\"(?:\\.|[^\\])*?\"\"\"|'''(?:\\.|[^\\])*?'''|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))
  | (?P<number>\.?[0-9][0-9A-Za-z_.]*)
  | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<sign>&&|\|\||[^\s])
  | (?P<space>\s+)
    """,
    re.VERBOSE | re.DOTALL,
)
_MACROS = frozenset({"all", "exists", "exists_one", "filter", "map"})
_WORDS = frozenset({"true", "false", "null", "in"})


class UnknownName(Exception):
    """A condition reads what there is not; the message is for people."""


@dataclass(frozen=True, slots=True)
class Token:
    """One token of an expression, and where it begins; `kind` is a group of the pattern."""

    kind: str
    text: str
    start: int


def tokens(expression: str) -> list[Token]:
    """The tokens of an expression that compiles, without space and comments."""
    found = []
    for match in _TOKEN.finditer(expression):
        kind = match.lastgroup or ""
        if kind not in ("space", "comment"):
            found.append(Token(kind, match.group(), match.start()))
    return found


def paths(expression: str, vocabulary: Vocabulary = RULES) -> frozenset[str]:
    """The facts that an expression reads, out of those that there are.

    Raises:
        UnknownName: it reads something else.
    """
    words = tokens(expression)
    bound = _bound(words, vocabulary)
    found: set[str] = set()
    at = 0
    while at < len(words):
        token = words[at]
        behind_dot = at > 0 and words[at - 1].text == "."
        called = at + 1 < len(words) and words[at + 1].text == "("
        if token.kind != "name" or behind_dot or token.text in _WORDS or token.text in bound:
            at += 1
            continue
        if called:
            at += 1
            continue
        steps, at = _chain(words, at)
        in_has = _inside_has(words, at, len(steps))
        found.add(_known(steps, in_has, vocabulary))
    return frozenset(found)


def clauses(expression: str) -> list[str]:
    """The parts of an expression that `&&` and `||` join at its top, and those of its bracketed parts."""
    words = tokens(expression)
    found: list[list[Token]] = []
    _clauses(words, found)
    return [expression[part[0].start : part[-1].start + len(part[-1].text)] for part in found if part]


def _clauses(words: list[Token], found: list[list[Token]]) -> None:
    found.append(words)
    while words and words[0].text == "!" and len(words) > 1:
        words = words[1:]
    if len(words) > 2 and words[0].text == "(" and _closes(words, 0) == len(words) - 1:
        _clauses(words[1:-1], found)
        return
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in words:
        depth += (token.text in ("(", "[", "{")) - (token.text in (")", "]", "}"))
        if depth == 0 and token.text in ("&&", "||"):
            parts.append([])
        elif depth == 0 and token.text == "?":
            return  # of a choice only one side may be fit for the values
        else:
            parts[-1].append(token)
    if len(parts) > 1:
        for part in parts:
            _clauses(part, found)


def _closes(words: list[Token], at: int) -> int:
    depth = 0
    for place in range(at, len(words)):
        depth += (words[place].text in ("(", "[", "{")) - (words[place].text in (")", "]", "}"))
        if depth == 0:
            return place
    return -1


def _bound(words: list[Token], vocabulary: Vocabulary) -> frozenset[str]:
    """The variables that macros bind: `x` in `list.exists(x, ...)`."""
    found: set[str] = set()
    for at in range(len(words) - 3):
        if words[at].text in _MACROS and words[at + 1].text == "(" and words[at + 3].text == ",":
            name = words[at + 2].text
            if name in vocabulary.roots:
                raise UnknownName(
                    f"{name} is a fact already; call the variable of {words[at].text}() otherwise"
                )
            found.add(name)
    return frozenset(found)


def _chain(words: list[Token], at: int) -> tuple[list[str], int]:
    """The names from `at` on, `a.b["c"]` as a, b, c, but not the name of a method; and where they end."""
    steps = [words[at].text]
    at += 1
    while at + 1 < len(words):
        if words[at].text == "." and words[at + 1].kind == "name":
            if at + 2 < len(words) and words[at + 2].text == "(":
                return steps, at + 2
            steps.append(words[at + 1].text)
            at += 2
        elif words[at].text == "[" and words[at + 1].kind == "string" and at + 2 < len(words):
            steps.append(words[at + 1].text.strip("rRbB").strip("\"'"))
            at += 3
        else:
            break
    return steps, at


def _inside_has(words: list[Token], end: int, steps: int) -> bool:
    start = end - (2 * steps - 1)
    return start >= 2 and words[start - 1].text == "(" and words[start - 2].text == "has"


def _known(steps: list[str], in_has: bool, vocabulary: Vocabulary) -> str:
    path = ".".join(steps)
    for length in range(len(steps), 0, -1):
        known = vocabulary.by_path.get(".".join(steps[:length]))
        if known is not None and (length == len(steps) or known.open):
            # a label's name is part of what is read
            return path if known.open and length < len(steps) else known.path
    if path in vocabulary.branches:
        if in_has:
            return path
        raise UnknownName(f"{path} has many facts; name one of them, or ask has({path})")
    names = [known.path for known in vocabulary.known]
    near = get_close_matches(path, names, 1, 0.6)
    meant = f" (did you mean {near[0]}?)" if near else ""
    if steps[0] not in vocabulary.roots:
        raise UnknownName(
            f"no such name: {path}{meant}; conditions read {', '.join(sorted(vocabulary.roots))}"
        )
    raise UnknownName(f"no such fact: {path}{meant}; {vocabulary.page} lists them")
