"""One compiled condition: what it reads, and whether it holds."""

from collections.abc import Mapping
from typing import Any, final

from bodycam.policy.cel_alone import cel
from bodycam.policy.rules import reading
from bodycam.policy.rules.vocabulary import RULES, Lasting, Vocabulary


class BadCondition(Exception):
    """A condition that can't be used; the message is for people."""


class NotYesOrNo(Exception):
    """A condition gave something that is neither true nor false."""


@final
class Condition:
    """A condition in CEL; `paths` are the facts that it reads."""

    __slots__ = ("_program", "lasting", "paths", "text")

    def __init__(self, text: str, vocabulary: Vocabulary = RULES) -> None:
        """Compile a condition over the facts of a vocabulary.

        Raises:
            BadCondition: it is no CEL, reads what there is not, or mixes types.
        """
        self.text = text
        try:
            self._program = cel.compile(text)
        except ValueError as error:
            raise BadCondition(f"expected a condition in CEL: {_first(error)}") from error
        try:
            self.paths = reading.paths(text, vocabulary)
        except reading.UnknownName as error:
            raise BadCondition(str(error)) from error
        self.lasting = max((lasting(path, vocabulary) for path in self.paths), default=Lasting.SESSION)
        _try(text, vocabulary)

    def holds(self, variables: cel.Context) -> bool:
        """Whether it holds.

        Raises:
            NotYesOrNo: it is neither true nor false.
            Exception: it reads a label that is not there, or the like; the caller fails closed.
        """
        held = self._program.execute(variables)
        if held is True or held is False:
            return bool(held)
        raise NotYesOrNo


def lasting(path: str, vocabulary: Vocabulary = RULES) -> Lasting:
    """For how long what stands at a path stays the same."""
    for depth in range(path.count(".") + 1):
        known = vocabulary.by_path.get(path.rsplit(".", depth)[0])
        if known is not None:
            return known.lasting
    # has() of a branch: whether an operation has such facts, which may be known of the text or not
    return max(
        (one.lasting for one in vocabulary.known if one.path.startswith(path + ".")),
        default=Lasting.STATEMENT,
    )


def _try(text: str, vocabulary: Vocabulary) -> None:
    """Evaluate it, and each clause of it, on samples of the right types.

    A wrong type behind `&&` shows only where what stands before holds, so each clause is tried by itself.
    """
    samples = [_samples(vocabulary, full=True), _samples(vocabulary, full=False)]
    for clause in reading.clauses(text):
        for sample in samples:
            try:
                program = cel.compile(clause)
            except ValueError:
                break  # the cut was wrong; the whole is tried at least
            try:
                held = program.execute(sample)
            except KeyError:
                continue  # a label that the sample has not
            except (TypeError, RuntimeError, ValueError) as error:
                raise BadCondition(f"{_first(error)} in: {clause[:200]}") from error
            if clause == text.strip() and not isinstance(held, bool):
                raise BadCondition(f"expected a condition that is true or false, and this gives {held!r:.80}")


def _samples(vocabulary: Vocabulary, *, full: bool) -> cel.Context:
    values: dict[str, Any] = {}
    for known in vocabulary.known:
        values[known.path] = known.sample if full or not isinstance(known.sample, tuple) else ()
    return variables(values, vocabulary)


def variables(values: Mapping[str, Any], vocabulary: Vocabulary = RULES) -> cel.Context:
    """What conditions read, from values by path."""
    return cel.Context(variables=vocabulary.tree(dict(values)))


def _first(error: Exception) -> str:
    """The first sentence of what the library says."""
    said = str(error).strip()
    for line in said.splitlines():
        if "ERROR:" in line:
            place, _, message = line.partition("ERROR:")[2].strip().partition("Syntax error: ")
            return f"syntax error at {place.strip(' :').removeprefix('<input>:')}: {message[:160]}"
    return said.split(". ")[0].splitlines()[0][:200] if said else type(error).__name__
