"""One YAML document as plain values, with the line of every key; the parser is PyYAML's safe one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

MAX_SIZE = 4 * 1024 * 1024
_MERGE = "tag:yaml.org,2002:merge"


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader; a class of its own so that nobody's constructors reach it."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What the YAML itself has wrong: the line from 1, the key it stands under, and why."""

    line: int
    key: str
    message: str


class DocumentError(Exception):
    """Text that is not one good YAML document."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(fault.message for fault in faults))
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True)
class Document:
    """Plain values and where they stood."""

    value: Any
    root: yaml.Node | None

    def line(self, path: Sequence[str | int]) -> int:
        """The line, from 1, of what `path` leads to, or of the last part of it that exists."""
        node, line = self.root, 1
        for step in path:
            found = _child(node, step)
            if found is None:
                return line
            place, node = found
            line = place.start_mark.line + 1
        return line


def read(text: str) -> Document:
    """Parse one document.

    Raises:
        DocumentError: it is not YAML, holds several documents, a key twice, or a map within itself.
    """
    if len(text) > MAX_SIZE:
        raise DocumentError([Fault(0, "", f"expected a file of at most {MAX_SIZE} characters")])
    try:
        loader = _Loader(text)
        try:
            root = loader.get_single_node()
            faults = list(_faults(root, "", ()))
            if faults:
                raise DocumentError(faults)
            value = None if root is None else loader.construct_document(root)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        why = " ".join(part for part in (error.context, error.problem) if part)
        raise DocumentError([Fault(mark.line + 1 if mark else 0, "", f"expected YAML: {why}")]) from error
    except yaml.YAMLError as error:
        raise DocumentError([Fault(0, "", f"expected YAML: {' '.join(str(error).split())}")]) from error
    except (ValueError, RecursionError) as error:
        # a date that no calendar has, or a nesting beyond any settings file
        raise DocumentError([Fault(0, "", f"expected YAML of plain values: {error}")]) from error
    return Document(value, root)


def _child(node: yaml.Node | None, step: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    match node:
        case yaml.MappingNode():
            for key, value in node.value:
                if key.value == str(step):
                    return key, value
        case yaml.SequenceNode() if isinstance(step, int) and step < len(node.value):
            return node.value[step], node.value[step]
    return None


def _faults(node: yaml.Node | None, path: str, above: tuple[yaml.Node, ...]) -> Any:
    if node is None:
        return
    if node in above:
        yield Fault(node.start_mark.line + 1, path, "expected a value that does not hold itself")
        return
    within = (*above, node)
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _faults(item, f"{path}[{index}]", within)
    elif isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            name = f"{path}.{key.value}" if path else str(key.value)
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                yield Fault(line, path, "expected a plain text key")
            elif key.tag == _MERGE:
                yield from _faults(value, name, within)
            elif key.value in seen:
                yield Fault(line, name, f"this key stands here twice; the first is in line {seen[key.value]}")
            else:
                seen[key.value] = line
                yield from _faults(value, name, within)
