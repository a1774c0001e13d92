"""What is known of the columns that are masked in one database: looked up there, and again every minute."""

import time
from collections.abc import Callable
from typing import Final, final

from bodycam.model.operation import Operation
from bodycam.model.relation import Relations
from bodycam.policy.masking.leaving import leaves
from bodycam.policy.masking.policy import Plan
from bodycam.policy.masking.relations import MaskedRelations
from bodycam.policy.sql.facts import SqlFacts

FRESH: Final = 60.0
"""Seconds for which what was looked up holds; so long may a change that others make go unnoticed."""

RETRY: Final = 10.0
"""Seconds between two attempts while what is known still lasts."""

LASTS: Final = 600.0
"""Seconds after which what is known is good for nothing, if it can't be looked up again."""

Effects = Callable[[Operation], SqlFacts | None]
"""What an operation does, with all that may run by names in it."""


@final
class Origins:
    """The masked columns of one database."""

    def __init__(self, plan: Plan, clock: Callable[[], float] = time.monotonic) -> None:
        self.plan, self._clock = plan, clock
        self._learned = self._asked = -LASTS
        self.version = 0
        """Another one each time that something else is known."""
        self._found: Relations | None = None
        self.client: MaskedRelations | None = None
        self.record: MaskedRelations | None = None
        named = [*plan.record.named, *(plan.client.named if plan.client is not None else ())]
        self.patterns = tuple(dict.fromkeys(name for names in named for name in names.written))

    def wanted(self) -> tuple[tuple[str, ...], ...] | None:
        """The names of the columns that have to be looked up now, if any; who gets them looks them up."""
        now = self._clock()
        if now - self._learned < FRESH:
            return None
        if self.lasting and now - self._asked < RETRY:
            # somebody does already, or could not
            return None
        self._asked = now
        return self.patterns

    @property
    def lasting(self) -> bool:
        """Whether what is known is good for anything."""
        return self._found is not None and self._clock() - self._learned < LASTS

    def learn(self, found: Relations) -> None:
        """What was looked up: every relation with such a column, and all that get values from it."""
        self._learned = self._clock()
        if found == self._found:
            return
        self._found = found
        self.record = MaskedRelations(self.plan.record, found)
        client = self.plan.client
        if self.plan.same:
            self.client = self.record
        else:
            self.client = None if client is None else MaskedRelations(client, found)
        self.version += 1

    def stores(self, facts: SqlFacts) -> str | None:
        """What of a statement would put masked values where no mask follows; see `leaving`."""
        record = self.record
        return None if record is None else leaves(record, self.client, facts)
