"""From a command line to its facts, once for each text."""

from typing import Final, final

from bodycam.policy.known_texts import KnownTexts
from bodycam.policy.shell.effort import Effort
from bodycam.policy.shell.facts import ShellFacts
from bodycam.policy.shell.gathering import Gathering
from bodycam.policy.shell.reasons import PARSER_FAILED, TOO_DEEP, Refused
from bodycam.policy.shell.walker import Walker

COMMAND_LINE: Final = "exec"
"""The verb of operations whose text is a command line for a shell."""


def analyse(text: str) -> ShellFacts:
    """The facts of a command line as bash reads it; never raises, `unknown` says what can't be told."""
    gathering = Gathering()
    try:
        Walker(text, gathering, Effort()).whole()
    except Refused as refused:
        gathering.unknown[refused.args[0]] = None
    except RecursionError:
        gathering.unknown[TOO_DEEP] = None
    except Exception:
        # a tree that nobody foresaw; what is unknown is denied, and no command line may end a worker
        gathering.unknown[PARSER_FAILED] = None
    return gathering.facts()


@final
class ShellAnalysis:
    """Facts by text."""

    __slots__ = ("texts",)

    def __init__(self) -> None:
        self.texts: KnownTexts[ShellFacts] = KnownTexts(
            analyse, max_count=5_000, max_characters=2 << 20, max_text=8_192
        )

    def facts(self, text: str) -> ShellFacts:
        """The facts of a command line; never raises."""
        known = self.texts.known(text)
        return self.texts.analysed(text) if known is None else known
