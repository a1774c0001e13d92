"""What protocols tell of their operations in facts of their own: the flat name `a.b` is read as `op.a.b`.

Where a fact is not told, `has()` of it does not hold, and a rule that reads it denies.
"""

from collections.abc import Mapping
from typing import Any, Final

from bodycam.model.operation import Fact
from bodycam.policy.rules.lasting import Known, Lasting

_T, _O = Lasting.STATEMENT, Lasting.OPERATION
_WORDS = ("word",)

_TOLD: Final[tuple[tuple[str, Lasting, Any, str], ...]] = (
    ("http.method", _T, "GET", "the request's method, in capitals"),
    ("http.scheme", _T, "https", "`http` or `https`"),
    ("http.host", _T, "api.example.com", "the host that is asked, in small letters, without its port"),
    ("http.port", _T, 443, "its port"),
    ("http.path", _T, "/v1/items", "the path, without its query; not there where servers may read it in two "
        "ways: `..`, `//`, `;`, an escape that is needless or hides a slash"),
    ("http.raw_path", _T, "/v1/a%2fb", "the path as it was sent, whatever it is"),
    ("http.query", _T, "page=2", "the query, without `?`; empty for none"),
    ("http.version", _O, "1.1", "the version of HTTP that the client speaks"),
    ("http.media", _O, "application/json", "the content's type, without parameters; empty for none"),
    ("http.length", _O, 12, "the content's announced bytes; 0 for none, -1 where it is not announced"),
    ("llm.api", _O, "openai.chat", "`openai.chat`, `openai.responses`, `openai.embeddings`, "
        "`openai.completions`, `openai.models`, `anthropic.messages`, `anthropic.count_tokens`"),
    ("llm.model", _O, "model-1", "the model that is asked"),
    ("llm.stream", _O, True, "whether the answer is to come in pieces"),
    ("llm.messages", _O, 2, "how many messages or inputs are sent"),
    ("llm.tools", _O, _WORDS, "the tools that the model may ask for, by name; by type where they have none"),
    ("llm.max_tokens", _O, 100, "the most tokens of the answer; -1 where none is said"),
    ("llm.system", _O, True, "whether there are instructions of the system"),
    ("llm.unknown", _O, "it is no JSON", "why the request can't be told; empty where it can"),
    ("mcp.method", _O, "tools/call", "the method; empty for an answer to the server, and where nothing is "
        "asked; not there for a batch"),
    ("mcp.methods", _O, _WORDS, "the methods of all messages"),
    ("mcp.tool", _O, "search", "the tool that is called; empty for none; not there where several are called"),
    ("mcp.tools", _O, _WORDS, "all tools that are called"),
    ("mcp.arguments", _O, "{}", "the arguments of the one call, as JSON; not there for several calls, "
        "nor where they have more than 16,384 characters"),
    ("mcp.id", _O, "1", "the request's id, as text; not there for a batch"),
    ("mcp.batch", _O, 2, "how many messages a batch has; 0 for none"),
    ("mcp.unknown", _O, "it is no JSON", "why the request can't be told; empty where it can"),
    ("ssh.kind", _O, "exec", "`exec`, `shell`, `sftp`, `subsystem`, `forward`, `socket-forward`, "
        "`reverse-forward`, `agent`, `x11`, `tunnel`"),
    ("ssh.account", _O, "deploy", "the account at the target"),
    ("forward.host", _O, "db.internal", "where the target is to connect to, or a socket's path"),
    ("forward.port", _O, 5432, "its port; 0 for none"),
    ("file.via", _O, "sftp", "`sftp` or `scp`"),
    ("file.action", _O, "write", "`read`, `write`, `list`, `stat`, `remove`, `rename`, `mkdir`, `rmdir`, "
        "`link`, `attributes`, `realpath`, `extended`"),
    ("file.path", _O, "/srv/a", "the path without `//`, `.` and `..`, from the root where that is known"),
    ("file.to", _O, "/srv/b", "the other path: what a file is renamed to, where a link is; empty for none"),
    ("file.mode", _O, _WORDS,
        "for what it is opened: `read`, `write`, `append`, `create`, `truncate`, `exclusive`"),
    ("file.attributes", _O, "mode 644",
        "the attributes that it is to have: size, owner, mode, times; empty for none"),
    ("file.extension", _O, "copy-data", "the extension of SFTP that is used; empty for none"),
    ("file.unknown", _O, "it is no path", "why the path can't be told; empty where it can"),
)  # fmt: skip

TOLD: Final = tuple(Known(f"op.{name}", lasting, sample, means) for name, lasting, sample, means in _TOLD)

KINDS: Final = frozenset(f"op.{name.partition('.')[0]}" for name, *_ in _TOLD)
"""The branches of these facts; a rule that reads one is about operations that have some of it."""


def kind(path: str) -> str | None:
    """The branch of a path that leads to such a fact."""
    branch = ".".join(path.split(".")[:2])
    return branch if branch in KINDS else None


def has(branch: str, facts: Mapping[str, Fact]) -> bool:
    """Whether an operation has any fact of a branch."""
    beginning = branch.removeprefix("op.") + "."
    for name in facts:  # noqa: SIM110 - a generator costs as much as the question
        if name.startswith(beginning):
            return True
    return False
