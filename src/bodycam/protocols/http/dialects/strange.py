"""A request whose content can't be read as its server does.

Its encoding is another than JSON's own (RFC 8259, section 8.1), or not all of it is here.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from bodycam.model.operation import Fact
from bodycam.protocols.http.dialects.dialect import AnswerReader, Deltas, Dialect


@dataclass(frozen=True, slots=True)
class Strange:
    """A dialect whose request a server may decode into other text than is seen here: none is told."""

    inner: Dialect
    why: str = "its encoding is not UTF-8"

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def deltas(self) -> Deltas | None:
        return self.inner.deltas

    def request_facts(self, body: bytes) -> Mapping[str, Fact]:
        if self.inner.name == "mcp":
            return {"mcp.unknown": self.why}
        return {"llm.api": self.inner.name, "llm.unknown": self.why}

    def reader(self, media: str) -> AnswerReader:
        return self.inner.reader(media)
