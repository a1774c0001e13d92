import asyncio
import warnings
from pathlib import Path

import pytest
from autogen_core import CancellationToken
from autogen_core.code_executor import CodeBlock
from autogen_ext.code_executors.local import LocalCommandLineCodeExecutor

from bodycam.run.autogen import application_name, hinted

SAY = "import os; print(os.environ['PGAPPNAME'])"


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("python", SAY),
        ("python", f'"""Doc."""\nfrom __future__ import annotations\n{SAY}'),
        ("python", f"# filename: named.py\n{SAY}"),
        ("python", "def say():\n    import os\n    print(os.environ['PGAPPNAME'])\nsay()"),
        ("bash", 'echo "$PGAPPNAME"'),
        ("sh", '# filename: named.sh\necho "$PGAPPNAME"'),
    ],
)
async def test_blocks_see_the_hint(tmp_path: Path, language: str, code: str) -> None:
    [said] = await run(tmp_path, ["it's me"], language, code)
    assert said == "autogen/it's_me"


async def test_executors_at_the_same_time_are_not_mixed_up(tmp_path: Path) -> None:
    agents = [f"agent-{number}" for number in range(4)]
    assert await run(tmp_path, agents, "bash", 'sleep 0.2; echo "$PGAPPNAME"') == [
        f"autogen/{agent}" for agent in agents
    ]


async def test_code_that_does_not_parse_fails_by_itself(tmp_path: Path) -> None:
    [said] = await run(tmp_path, ["x"], "python", "def (")
    assert "SyntaxError" in said


def test_the_hint_is_ascii_and_fits() -> None:
    assert application_name("näme\n") == "autogen/n_me_"
    assert len(application_name("x" * 200)) == 63


async def run(folder: Path, agents: list[str], language: str, code: str) -> list[str]:
    async def one(number: int, agent: str) -> str:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            inner = LocalCommandLineCodeExecutor(work_dir=folder / str(number), timeout=30)
        async with hinted(inner, agent) as executor:
            result = await executor.execute_code_blocks([CodeBlock(code, language)], CancellationToken())
        return result.output.strip()

    return await asyncio.gather(*(one(number, agent) for number, agent in enumerate(agents)))
