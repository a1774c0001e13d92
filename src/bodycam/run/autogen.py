"""The optional AutoGen shim: tells which agent's code opened a connection.

A claimed hint in `application_name` and never an identity: the code that runs can claim what it likes.
Wrap the executor that an agent is given:

    executor = hinted(LocalCommandLineCodeExecutor(work_dir=folder), agent="coder")

Needs autogen-core, which comes with autogen-agentchat 0.7.5; no other part of this package imports this.
"""

import ast
import re

from autogen_core import CancellationToken
from autogen_core.code_executor import CodeBlock, CodeExecutor, CodeResult
from pydantic import BaseModel

_APPLICATION_NAME_BYTES = 63  # NAMEDATALEN - 1 of PostgreSQL, which cuts what is longer
_SHELLS = frozenset({"bash", "sh", "shell"})
_PYTHONS = frozenset({"python", "py"})
# AutoGen looks for the name of the file in the first line, in these comments
_FILE_NAME = re.compile(r"\s*(#|//|/\*|<!--)\s*filename:", re.IGNORECASE)


def application_name(agent: str) -> str:
    """The hint for an agent: printable ASCII, at most 63 bytes."""
    plain = re.sub(r"[^\x21-\x7e]", "_", agent)
    return f"autogen/{plain}"[:_APPLICATION_NAME_BYTES]


def hinted(executor: CodeExecutor, agent: str) -> "HintedExecutor":
    """An executor that runs the same blocks with PGAPPNAME set to the agent's hint."""
    return HintedExecutor(executor, agent)


class HintedExecutor(CodeExecutor):
    """Hands each block on to another executor, with the hint set inside the block's own process.

    The local executor copies the environment of this process at the moment it starts a block, so setting it
    here would mix up agents that run at the same time. The block sets it for itself instead, which also works
    in containers.
    """

    component_config_schema = BaseModel
    component_type = "code_executor"

    def __init__(self, executor: CodeExecutor, agent: str) -> None:
        self._executor, self._name = executor, application_name(agent)

    async def execute_code_blocks(
        self, code_blocks: list[CodeBlock], cancellation_token: CancellationToken
    ) -> CodeResult:
        blocks = [CodeBlock(_with_hint(one, self._name), one.language) for one in code_blocks]
        return await self._executor.execute_code_blocks(blocks, cancellation_token)

    async def start(self) -> None:
        await self._executor.start()

    async def stop(self) -> None:
        await self._executor.stop()

    async def restart(self) -> None:
        await self._executor.restart()


def _with_hint(block: CodeBlock, name: str) -> str:
    language = block.language.lower()
    if language in _SHELLS:
        line = "export PGAPPNAME='" + name.replace("'", "'\\''") + "'"
        return _inserted(block.code, line, after=1 if _names_its_file(block.code) else 0)
    if language in _PYTHONS:
        prologue = _prologue(block.code)
        if prologue is not None:
            return _inserted(block.code, f"__import__('os').environ['PGAPPNAME'] = {name!r}", after=prologue)
    return block.code


def _prologue(code: str) -> int | None:
    """How many lines must stay first: the file's name, the docstring, imports from __future__.

    None where nothing may be inserted: it does not parse, and its own error is to be seen as it is.
    """
    try:
        statements = ast.parse(code).body
    except (SyntaxError, ValueError):
        return None
    last = 1 if _names_its_file(code) else 0
    for at, statement in enumerate(statements):
        match statement:
            case ast.Expr(value=ast.Constant(value=str())) if at == 0:
                last = statement.end_lineno or last
            case ast.ImportFrom(module="__future__"):
                last = statement.end_lineno or last
            case _:
                # two statements on one line can't be parted by a line between them
                return None if statement.lineno <= last else last
    return last


def _names_its_file(code: str) -> bool:
    return _FILE_NAME.match(code) is not None


def _inserted(code: str, line: str, *, after: int) -> str:
    lines = code.split("\n")
    return "\n".join([*lines[:after], line, *lines[after:]])
