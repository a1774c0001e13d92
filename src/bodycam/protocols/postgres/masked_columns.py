"""Keeps what is known of a target's masked columns fresh, before anything more is asked of the target."""

from typing import Final, final

from bodycam.model.target import Dial
from bodycam.protocols.postgres.lookup import Lookup
from bodycam.session.link import AskErrand, ErrandDone, Link
from bodycam.session.masks import Masks
from bodycam.session.session import Session

HINT: Final = "Columns are masked here by name, so nothing is asked before the gateway knows which they are."


@final
class MaskedColumns:
    """The look-ups of one connection, one at a time."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._lookup: Lookup | None = None

    @property
    def asking(self) -> bool:
        """Whether a look-up is under way."""
        return self._lookup is not None

    def begin(self, session: Session, dial: Dial) -> bool:
        """Begin to look up what has to be known, if anything; whether an answer is to be waited for."""
        masks = session.masks
        wanted = None if masks is None else masks.wanted()
        if wanted is None:
            return False
        self._lookup = Lookup(dial, wanted)
        self._link.ask(AskErrand(dial, self._lookup))
        return True

    def answered(self, session: Session, answer: ErrandDone) -> str:
        """The look-up is over; why nothing may be asked of the target now, or nothing."""
        lookup, self._lookup = self._lookup, None
        masks: Masks | None = session.masks
        if lookup is None or masks is None:
            return ""
        # another connection's, if it asked for the same just before
        done = answer.errand if isinstance(answer.errand, Lookup) else lookup
        failure = answer.failure or ("" if done.over else "it was not done to its end")
        if not failure:
            masks.learn(done.found)
            return ""
        session.note("masked-columns-unknown", reason=session.redaction.redact(failure)[0])
        if masks.lasting:
            # what is known is some minutes old, and another attempt comes soon
            return ""
        return f"the masked columns can't be looked up: {failure}"
