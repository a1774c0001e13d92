"""Who may look at which recording. What nothing grants is not there for them.

Admins and auditors see everything, everybody their own runs as the grant `own` says, and reviewers what the
other grants name, by conditions over them and where a recording comes from. A condition that reads what is
not there, or fails in another way, grants nothing. Of several grants the one that shows most counts.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bodycam.config.settings import Settings
from bodycam.config.viewing import OWN, Act, View, ViewingGrant
from bodycam.model.identity import Principal
from bodycam.model.provenance import Provenance
from bodycam.policy.access import Role, matches
from bodycam.policy.cel_alone import cel
from bodycam.policy.rules.condition import BadCondition, Condition
from bodycam.policy.rules.vocabulary import Known, Lasting, Vocabulary

_S: Final = Lasting.SESSION
_WORDS: Final = ("word",)

VOCABULARY: Final = Vocabulary(
    (
        Known("viewer.subject", _S, "ada", "who wants to look"),
        Known("viewer.issuer", _S, "corp", "who vouches for them"),
        Known("viewer.kind", _S, "human", "`human` or `service`"),
        Known("viewer.groups", _S, _WORDS, "their groups"),
        Known("viewer.roles", _S, _WORDS, "their roles"),
        Known("recording.own", _S, True, "whether they started the run themselves"),
        Known("recording.principal.subject", _S, "bo", "who started the run"),
        Known("recording.principal.issuer", _S, "corp", "who vouches for whoever started the run"),
        Known("recording.principal.groups", _S, _WORDS, "the groups that whoever started the run had then"),
        Known("recording.agent.name", _S, "billing-bot", "the agent that acted"),
        Known("recording.agent.owner", _S, "payments", "who answers for it, as the settings are now"),
        Known("recording.target.name", _S, "orders", "the target"),
        Known("recording.target.protocol", _S, "http", "its protocol"),
        Known("recording.target.labels", _S, {"team": "a"}, "its labels, as the settings are now", open=True),
    ),
    "docs/access.md",
)

_REMEMBERED: Final = 4096

Finding = tuple[tuple[str | int, ...], str]
"""A place in the settings, and what is wrong there."""


class BadGrants(Exception):
    """Grants that can't be used; nothing of them is."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__("; ".join(f"{'.'.join(map(str, path))}: {said}" for path, said in findings))


@dataclass(frozen=True, slots=True)
class Permit:
    """That something may be done: how much is shown of it, and the grant that says so."""

    grant: str
    view: View


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A grant with its condition; None holds always."""

    grant: ViewingGrant
    when: Condition | None
    reads: frozenset[str] = frozenset()
    """Of a provenance, what the condition can see: principal, agent, target."""

    def gives(self, act: Act) -> bool:
        return act is Act.LIST or act in self.grant.acts


_DEFAULT_OWN: Final = ViewingGrant(name=OWN)


class ViewingPolicy:
    """The grants of one version of the settings."""

    def __init__(self, settings: Settings) -> None:
        """Compile the grants.

        Raises:
            BadGrants: a condition can't be used.
        """
        self._settings = settings
        found: list[_Compiled] = []
        faults: list[Finding] = []
        for place, grant in enumerate(settings.viewing):
            try:
                when = None if grant.when is None else Condition(grant.when, VOCABULARY)
            except BadCondition as error:
                faults.append((("viewing", place, "when"), str(error)))
            else:
                found.append(_Compiled(grant, when, frozenset() if when is None else _reads(when)))
        if faults:
            raise BadGrants(faults)
        self._own = next((one for one in found if one.grant.name == OWN), _Compiled(_DEFAULT_OWN, None))
        self._grants = [one for one in found if one.grant.name != OWN]

    def viewer(self, principal: Principal, roles: frozenset[Role]) -> "Viewer":
        """What this principal, in these roles, may look at."""
        concerned: list[_Compiled] = []
        if Role.REVIEWER in roles:
            concerned = [
                one for one in self._grants if one.grant.who is None or matches(one.grant.who, principal)
            ]
        return Viewer(self._settings, principal, roles, self._own, concerned)


class Viewer:
    """One principal, and what it may look at.

    Attributes:
        principal: as `subject@issuer`.
        everything: the permit for all recordings of an admin or an auditor; None for others.
        reviews: whether others' recordings may be among what they see.
    """

    def __init__(
        self,
        settings: Settings,
        principal: Principal,
        roles: frozenset[Role],
        own: _Compiled,
        grants: Sequence[_Compiled],
    ) -> None:
        self._settings, self._own, self._grants = settings, own, tuple(grants)
        self.principal = str(principal)
        role = next((one for one in (Role.ADMIN, Role.AUDITOR) if one in roles), None)
        self.everything = None if role is None else Permit(role.value, View.FULL)
        self.reviews = bool(grants)
        self._viewer = {
            "subject": principal.subject,
            "issuer": principal.issuer,
            "kind": principal.kind.value,
            "groups": sorted(principal.groups),
            "roles": sorted(roles),
        }
        self._held: dict[Hashable, bool] = {}

    def own(self, act: Act) -> Permit | None:
        """What they may do with recordings of runs that they started, whatever else is granted."""
        if self.everything is not None:
            return self.everything
        return Permit(OWN, self._own.grant.view) if self._own.gives(act) else None

    def permit(self, act: Act, recording: Provenance) -> Permit | None:
        """Whether they may do this with such a recording; None where nothing grants it."""
        return self.permits(recording).get(act)

    def permits(self, recording: Provenance) -> dict[Act, Permit]:
        """All that they may do with such a recording; of several grants the one that shows most counts."""
        if self.everything is not None:
            return dict.fromkeys(Act, self.everything)
        found: dict[Act, Permit] = {}
        for one in self._granting(recording):
            for act in Act:
                known = found.get(act)
                if one.gives(act) and (
                    known is None or (known.view is View.MASKED and one.grant.view is View.FULL)
                ):
                    found[act] = Permit(one.grant.name, one.grant.view)
        return found

    def grants(self, act: Act) -> list[str]:
        """The names of all grants by which they might do this, for the trail."""
        if self.everything is not None:
            return [self.everything.grant]
        return [one.grant.name for one in (self._own, *self._grants) if one.gives(act)]

    def _granting(self, recording: Provenance) -> Iterator[_Compiled]:
        if recording.principal == self.principal:
            yield self._own
        for place, one in enumerate(self._grants):
            if one.when is None or self._holds(place, one.when, one.reads, recording):
                yield one

    def _holds(self, place: int, when: Condition, reads: frozenset[str], recording: Provenance) -> bool:
        # of thousands of provenances few differ in what a condition reads
        target = (recording.target, recording.protocol) if "target" in reads else None
        key = (
            place,
            (recording.principal, recording.groups) if "principal" in reads else None,
            recording.agent if "agent" in reads else None,
            target,
        )
        held = self._held.get(key)
        if held is None:
            if len(self._held) >= _REMEMBERED:
                self._held.clear()
            held = self._held[key] = self._asked(when, recording)
        return held

    def _asked(self, when: Condition, recording: Provenance) -> bool:
        try:
            return when.holds(
                cel.Context(variables={"viewer": self._viewer, "recording": self._facts(recording)})
            )
        except Exception:
            # it reads a label that is not there, or the like: what can't be told is not granted
            return False

    def _facts(self, recording: Provenance) -> dict[str, Any]:
        subject, _, issuer = recording.principal.rpartition("@")
        agent: dict[str, Any] = {"name": recording.agent}
        declared = self._settings.agents.get(recording.agent)
        if declared is not None:
            agent["owner"] = declared.owner
        target: dict[str, Any] = {"name": recording.target, "protocol": recording.protocol}
        known = self._settings.targets.get(recording.target)
        if known is not None:
            # of a target that is gone nobody knows the labels: to ask for one, even by has(), is an error
            target["labels"] = dict(known.labels)
        return {
            "own": recording.principal == self.principal,
            "principal": {"subject": subject, "issuer": issuer, "groups": list(recording.groups)},
            "agent": agent,
            "target": target,
        }


def check_viewing(settings: Settings) -> Iterator[Finding]:
    """What is wrong with the grants of settings that are whole in form (`config.load.Check`)."""
    try:
        ViewingPolicy(settings)
    except BadGrants as error:
        yield from error.findings


_READ_BY: Final = {
    "recording.own": "principal",
    "recording.principal": "principal",
    "recording.agent": "agent",
    "recording.target": "target",
}


def _reads(when: Condition) -> frozenset[str]:
    """Of a provenance, what a condition can see."""
    roots = {".".join(path.split(".")[:2]) for path in when.paths if path.startswith("recording")}
    return frozenset(_READ_BY[root] for root in roots if root in _READ_BY) | (
        frozenset(_READ_BY.values()) if roots - _READ_BY.keys() else frozenset()
    )
