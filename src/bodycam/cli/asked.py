"""What was asked, in words for people."""

from typing import Final

_DONE_TO: Final = frozenset(
    (
        "attributes",
        "extended",
        "forward",
        "link",
        "list",
        "mkdir",
        "read",
        "realpath",
        "remove",
        "rename",
        "rmdir",
        "stat",
        "subsystem",
        "write",
    )
)
"""Verbs whose text is only what something was done to."""


def asked(verb: object, text: object) -> str:
    """The text; behind its verb where that is the client's own word.

    Those are in capitals (`GET`, `DELETE`); most of a protocol's own words for what its clients do (`query`)
    say nothing that the text does not, unless that is a path or an address. A command is led by a prompt.
    """
    word, said = str(verb or ""), str(text or "")
    if word == "exec" and said:
        return f"$ {said}"
    return f"{word} {said}" if said and (word.isupper() or word in _DONE_TO) else said or word
