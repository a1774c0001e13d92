"""Variables that a command line finds set, because its client asked for them beside it."""

from dataclasses import replace

from bodycam.policy.shell.facts import Names, ShellFacts
from bodycam.policy.shell.reasons import READING_CHANGED
from bodycam.policy.shell.wrappers import changes_reading


def within(facts: ShellFacts, environment: Names) -> ShellFacts:
    """The facts of a command line with these variables, each `NAME=value`, as if it set them itself.

    One without a `=` stands for others that are not named.
    """
    names = tuple([name for one in environment for name, equals, _ in (one.partition("="),) if equals])
    unclear = len(names) < len(environment) or any(map(changes_reading, names))
    unknown = (READING_CHANGED,) if unclear else ()
    return replace(
        facts,
        assigns=tuple(dict.fromkeys(facts.assigns + names)),
        unknown=tuple(dict.fromkeys(facts.unknown + unknown)),
    )
