"""OpenAI's embeddings, whose answers say nothing to people, and its lists of models, which ask for nothing.

https://platform.openai.com/docs/api-reference/embeddings
"""

from collections.abc import Mapping
from dataclasses import dataclass

from bodycam.model.operation import Fact
from bodycam.protocols.http.dialects import assembly, llm
from bodycam.protocols.http.dialects.assembly import Assembly, as_fields
from bodycam.protocols.http.dialects.dialect import AnswerReader, Deltas
from bodycam.protocols.http.dialects.strict import field


@dataclass(frozen=True, slots=True)
class Embeddings:
    """`deployment` is the model where the path names it."""

    deployment: str = ""

    @property
    def name(self) -> str:
        return "openai.embeddings"

    @property
    def deltas(self) -> Deltas | None:
        return None

    def request_facts(self, body: bytes) -> Mapping[str, Fact]:
        return llm.facts(self.name, body, self._facts)

    def reader(self, media: str) -> AnswerReader:
        return assembly.reader(media, _taken, _taken)

    def _facts(self, asked: Mapping[str, object]) -> llm.Asked:
        return llm.Asked(
            model=llm.model(asked, self.deployment), messages=llm.count(field(asked, "input"), "input")
        )


@dataclass(frozen=True, slots=True)
class Models:
    """Asking which models there are; `model` is the one that the path asks about."""

    model: str = ""

    @property
    def name(self) -> str:
        return "openai.models"

    @property
    def deltas(self) -> Deltas | None:
        return None

    def request_facts(self, body: bytes) -> Mapping[str, Fact]:
        if body.strip():
            return {"llm.api": self.name, "llm.unknown": "there is a body where none belongs"}
        return llm.facts(self.name, b"{}", lambda _: llm.Asked(model=self.model))

    def reader(self, media: str) -> AnswerReader:
        return assembly.reader(media, _taken, _taken)


def _taken(into: Assembly, body: object) -> None:
    answer = as_fields(body)
    into.named(answer.get("model"))
    into.failed(answer.get("error"))
    usage = as_fields(answer.get("usage"))
    into.used(usage.get("prompt_tokens"), usage.get("completion_tokens"))
