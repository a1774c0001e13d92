"""The AutoGen program that the demo runs: an ordinary one, that knows nothing of who watches it.

A model, asked through OpenAI's own client, writes blocks of bash and Python, and a local executor runs them.
They use psql and psycopg, curl, requests and httpx with whatever the environment says. The key for the model
is not here: the gateway has it.
"""

import asyncio
import os
import sys
import tempfile
import warnings

from autogen_agentchat.agents import AssistantAgent, CodeExecutorAgent
from autogen_agentchat.base import TaskResult
from autogen_agentchat.conditions import TextMentionTermination
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_core.models import ModelFamily, ModelInfo
from autogen_ext.code_executors.local import LocalCommandLineCodeExecutor
from autogen_ext.models.openai import OpenAIChatCompletionClient

MODEL = "demo-model"


async def main() -> None:
    """Let the two agents talk until the model says that all is done."""
    model = OpenAIChatCompletionClient(
        model=MODEL,
        base_url=os.environ["MODEL_API"],
        api_key="the gateway has it",
        model_info=ModelInfo(
            vision=False,
            function_calling=False,
            json_output=False,
            family=ModelFamily.UNKNOWN,
            structured_output=False,
        ),
    )
    with tempfile.TemporaryDirectory() as folder:
        async with LocalCommandLineCodeExecutor(work_dir=folder, timeout=90) as executor:
            team = RoundRobinGroupChat(
                [
                    AssistantAgent("analyst", model_client=model, description="Writes code."),
                    CodeExecutorAgent(
                        "computer", code_executor=executor, supported_languages=["python", "bash"]
                    ),
                ],
                termination_condition=TextMentionTermination("ALL DONE", sources=["analyst"]),
                max_turns=16,
            )
            async for message in team.run_stream(task="Look after the orders of our customers."):
                if not isinstance(message, TaskResult):
                    source = getattr(message, "source", "")
                    print(f"--- {source}\n{message.to_text()}", file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # the local executor warns of itself; here that is the point
    asyncio.run(main())
