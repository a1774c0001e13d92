"""Operations whose effect can't be told from their text: what is said of them where rules ask for effects."""

from typing import Final

from bodycam.model.operation import DIALECT, Operation
from bodycam.policy.shell.facts import ShellFacts
from bodycam.policy.sql.dialect import changes_dialect
from bodycam.policy.sql.facts import SqlFacts

RULE_UNKNOWN: Final = "unknown-effect"
RULE_DIALECT: Final = "dialect"

Denial = tuple[str, str, str]
"""A rule's name, what is wrong, and what to do."""


def hidden(operation: Operation, sql: SqlFacts | None, shell: ShellFacts | None) -> Denial | None:
    """Why an operation is denied that hides what it does; None where it does not.

    `sql` and `shell` are its facts where some rule asks for them.
    """
    if sql is not None:
        return _statement(operation, sql)
    if shell is not None and shell.unknown:
        return (
            RULE_UNKNOWN,
            f"what it runs can't be told: {', '.join(shell.unknown)[:300]}",
            "Name each program and its options plainly, in a line of its own where need be.",
        )
    return None


def unreadable(text: str) -> Denial | None:
    """Why a rule that reads the text can't be asked: no condition is evaluated over what is not UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return (
            RULE_UNKNOWN,
            "its text is not UTF-8, and a rule reads it",
            "Send it as UTF-8; a database client can take UTF8 as its encoding.",
        )
    return None


def _statement(operation: Operation, sql: SqlFacts) -> Denial | None:
    why = sql.unknown
    if operation.verb == "function":
        why = ("it calls a function by its number",)
    for setting in sql.settings:
        if changes_dialect(setting):
            return (
                RULE_DIALECT,
                f"{setting.partition('=')[0]} changes how statements are read",
                "Leave standard_conforming_strings on, and use UTF8 as the client's encoding.",
            )
    dialect = operation.facts.get(DIALECT)
    if isinstance(dialect, str):
        return (
            RULE_DIALECT,
            f"this connection reads statements in another way: {dialect}",
            "Connect with standard_conforming_strings on and UTF8 as the client's encoding.",
        )
    if not why:
        return None
    return (
        RULE_UNKNOWN,
        f"what it does can't be told: {', '.join(why)[:300]}",
        "Say it in plain statements whose effect shows.",
    )
