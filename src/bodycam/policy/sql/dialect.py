"""Settings of a session by which the same text becomes another statement."""

from typing import Final

# client encodings in which a byte of a character can be an ASCII quote or backslash
# https://www.postgresql.org/docs/current/multibyte.html#MULTIBYTE-CHARSET-SUPPORTED
UNSAFE_ENCODINGS: Final = frozenset(
    {"sjis", "mskanji", "shiftjis", "win932", "windows932", "big5", "win950", "windows950", "gbk", "win936",
     "windows936", "uhc", "win949", "windows949", "gb18030", "johab", "shiftjis2004", "shift_jis_2004", "?"}
)  # fmt: skip


def changes_dialect(setting: str) -> bool:
    """Whether a setting, as `name=value`, has the server read statements by other rules than the grammar."""
    name, _, value = setting.partition("=")
    value = value.strip().lower()
    if name == "?" and value != "?":
        # a setting whose very name is not known could be any of them: pg_dump asks for one in this way
        off = value == "0" or any(word.startswith(value) for word in ("off", "no", "false"))
        return off or _unsafe_encoding(value)
    if name == "standard_conforming_strings":
        return value not in ("on", "true", "yes", "1")
    if name in ("client_encoding", "names"):
        return _unsafe_encoding(value)
    return name == "?"


def _unsafe_encoding(name: str) -> bool:
    return name.replace("-", "").replace("_", "").replace(" ", "") in UNSAFE_ENCODINGS
