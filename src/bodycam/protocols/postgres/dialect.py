"""Whether the target reads statements as PostgreSQL's grammar says, going by the settings that it reports.

With `standard_conforming_strings` off a backslash in a plain string escapes the quote behind it, and in some
client encodings a byte of a character can itself be a quote or a backslash. A statement then means one thing
to whoever parses it on the way and another to the server. The server reports both settings whenever they
change, however that came about.
https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-ASYNC
https://www.postgresql.org/docs/current/multibyte.html#MULTIBYTE-CHARSET-SUPPORTED
"""

from collections.abc import Mapping

from bodycam.model.operation import DIALECT, NO_FACTS, Fact

_UNSAFE = frozenset({"SJIS", "BIG5", "GBK", "UHC", "GB18030", "JOHAB", "SHIFT_JIS_2004"})


class Dialect:
    """The two settings of one connection; `facts` are for every statement while one is not the usual one."""

    def __init__(self) -> None:
        self._strange: dict[str, str] = {}
        self.facts: Mapping[str, Fact] = NO_FACTS

    def reported(self, name: str, value: str) -> None:
        """The server reports a setting (ParameterStatus)."""
        match name:
            case "standard_conforming_strings":
                strange = value != "on"
            case "client_encoding":
                strange = value.upper() in _UNSAFE
            case _:
                return
        if strange:
            self._strange[name] = f"{name} is {value[:63]}"
        else:
            self._strange.pop(name, None)
        self.facts = {DIALECT: ", ".join(self._strange.values())} if self._strange else NO_FACTS
