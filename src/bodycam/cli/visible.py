"""Makes recorded text harmless to look at.

What agents and targets sent may hold escape sequences that drive a terminal, or characters that turn the
direction of writing. Whatever is not printable is shown as an escape instead.
"""


def visible(text: str, *, keep: str = "") -> str:
    r"""The text with every character that is not printable and not in `keep` as `\xNN` or `\uNNNN`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(one if one in keep or one.isprintable() else _escape(one) for one in text)


def lines_of(text: str) -> list[str]:
    """The lines of a text, each harmless; tabs become spaces."""
    return [visible(line.replace("\t", "    ")) for line in text.replace("\r\n", "\n").split("\n")]


def _escape(one: str) -> str:
    number = ord(one)
    if number < 0x100:
        return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(one, f"\\x{number:02x}")
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
