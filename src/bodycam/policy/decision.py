"""What an operation of an open session may do: the rules of the settings, asked for each operation.

Whether the session may be there at all was decided by access when it opened. What no rule denies is allowed;
what can't be judged is denied (law 2).
"""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, final

import cbor2

from bodycam.model.operation import (
    DIALECT,
    DOUBT,
    ENVIRONMENT,
    NAMED,
    PORTAL,
    PREPARES,
    Operation,
    RequestFacts,
    Weight,
)
from bodycam.model.verdict import Decision, Verdict
from bodycam.policy.allowing import AllowList
from bodycam.policy.detectors.marks import mask_token_in
from bodycam.policy.hiding import hidden, unreadable
from bodycam.policy.languages import Analysis, Language
from bodycam.policy.masking.origins import Origins
from bodycam.policy.prepared import Prepared, takes_from_cursor
from bodycam.policy.rules.bench import Bench, Said, both
from bodycam.policy.rules.facts import Case, Subject
from bodycam.policy.rules.rule import Rule
from bodycam.policy.shell.analysis import COMMAND_LINE, ShellAnalysis
from bodycam.policy.shell.environment import within
from bodycam.policy.shell.facts import ShellFacts
from bodycam.policy.sql.facts import SqlFacts
from bodycam.policy.usage import Usage, UsageOfRuns

RULE_ACCESS: Final = "access"
RULE_FAULT: Final = "policy-error"
RULE_MASK: Final = "mask-written-back"
RULE_COLUMN: Final = "masked-column"
RULE_ALLOW: Final = "target-allow"

KNOWN_MOST: Final = 2048
"""Texts of one session, or shapes of texts, whose verdict is remembered."""
KNOWN_LONGEST: Final = 4096
"""Characters of a text that is remembered."""


OriginsOf = Callable[[str, Mapping[str, str], str], Origins | None]
"""The masked columns of a database, by a target's name and labels and the database's name."""


class DecisionPoint:
    """The rules of one version of the settings, and what is asked of them."""

    def __init__(
        self,
        rules: Sequence[Rule] = (),
        version: str = "",
        *,
        deny_unknown: bool = True,
        masks: bool = False,
        languages: Mapping[str, Language] | None = None,
        requests: Mapping[str, RequestFacts] | None = None,
        origins: OriginsOf | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`languages` has what reads the texts of each protocol that has a language, by the protocol's name.

        `requests` says, by a protocol's name, where its operations have what an allow list is asked about;
        `origins` tells what is known of the columns that are masked by name in a database.
        """
        self._languages: dict[str, Analysis] = {}
        self._shells: dict[str, ShellAnalysis] = {}
        for protocol, language in (languages or {}).items():
            if isinstance(language, ShellAnalysis):
                self._shells[protocol] = language
            else:
                self._languages[protocol] = language
        self._requests = dict(requests or {})
        self._origins = origins
        self.clock = clock
        self.used = UsageOfRuns()
        self.adopt(rules, version, deny_unknown=deny_unknown, masks=masks)

    def adopt(
        self,
        rules: Sequence[Rule],
        version: str,
        *,
        deny_unknown: bool = True,
        masks: bool = False,
        allowed: Mapping[str, AllowList] | None = None,
    ) -> None:
        """Judge everything that comes from here on by these rules, in sessions that are open too.

        With `masks` results are masked, and writing a mask over what it stands for is denied. `allowed` has
        the allow lists of the targets that have one, by their names.
        """
        self._rules, self.version = tuple(rules), version
        self.deny_unknown, self.masks = deny_unknown, masks
        self._allowed = dict(allowed or {})
        self._benches: dict[tuple[str, str], Bench] = {}

    def allowed(self, subject: Subject) -> AllowList | None:
        """The allow list of a session's target; None: it has none."""
        return self._allowed.get(subject.target.name)

    def requests(self, subject: Subject) -> RequestFacts | None:
        """Where the operations of a session have what an allow list is asked about."""
        return self._requests.get(subject.target.protocol)

    def open(self, subject: Subject) -> "SessionJudge":
        """What judges the operations of one session."""
        usage = self.used.open(subject.run.id)
        target, origins = subject.target, None
        if self._origins is not None:
            origins = self._origins(target.name, target.labels, subject.database)
        languages = self._languages.get(target.protocol), self._shells.get(target.protocol)
        return SessionJudge(self, subject, Usage(usage), *languages, origins)

    def speaks(self, protocol: str) -> bool:
        """Whether the operations of a protocol are SQL, so that their text is all that is told of them."""
        return protocol in self._languages

    def bench(self, subject: Subject) -> Bench:
        """The rules that concern a session."""
        key = (subject.run.agent, subject.target.name)
        bench = self._benches.get(key)
        if bench is None:
            if len(self._benches) >= 1000:
                self._benches.clear()
            concerned = [rule for rule in self._rules if rule.concerns(subject.run, subject.target)]
            bench = self._benches[key] = Bench(concerned, self.version)
        return bench


@final
class SessionJudge:
    """Judges the operations of one session, in their order."""

    def __init__(
        self,
        point: DecisionPoint,
        subject: Subject,
        usage: Usage,
        analysis: Analysis | None,
        commands: ShellAnalysis | None = None,
        origins: Origins | None = None,
    ) -> None:
        self._point, self._subject, self._usage, self._analysis = point, subject, usage, analysis
        self._commands = commands
        self._origins, self._masked_by = origins, 0
        self._prepared = None if analysis is None else Prepared(analysis.facts)
        self._standing: dict[str, str] = {}
        self._known: dict[str, dict[str, Verdict]] = {}
        self._remembered = 0
        self._over = False
        # under this version the session was opened, which needs no rule's word
        self.version = subject.policy
        self._bench = point.bench(subject)
        self._allow, self._requests = point.allowed(subject), point.requests(subject)
        self._asked_of = point.version
        self._allowed = Verdict(Decision.ALLOW, RULE_ACCESS, subject.policy)

    def decide(self, operation: Operation) -> Verdict:
        """What is said of one operation.

        Raises:
            Exception: it could not be judged; the caller denies.
        """
        if self._asked_of != self._point.version:
            self._renew()
        usage = self._usage
        usage.operations += 1
        if self._point.masks and _holds_mask(operation):
            return self._denial(
                RULE_MASK,
                "it holds a mask, which stands for a value that was not shown",
                "Leave that value out: written back, the mask would take its place.",
            )
        if self._allow is not None and not operation.inert:
            why = self._allow.against(operation, self._requests)
            if why:
                return self._denial(
                    RULE_ALLOW,
                    f"{why} is not among what may be asked of target {self._subject.target.name}",
                    "For the gateway's operator: targets.NAME.allow has what may be asked.",
                )
        origins = self._origins
        if origins is not None:
            if origins.version != self._masked_by:
                self._masked_by = origins.version
                self._forget()
        elif self._bench.empty:
            usage.run.own_operations += 1
            return self._allowed
        usage.run.count(self._point.clock())
        if operation.inert:
            return self._allowed
        if not self._bench.passing:
            known = self._known.get(operation.verb)
            if known is not None:
                verdict = known.get(operation.text)
                if verdict is None:
                    shaped = self._shape(operation.text)
                    if shaped is not None:
                        verdict = known.get(shaped)
                leaves_rows = origins is not None and PORTAL in operation.facts
                if verdict is not None and not leaves_rows and not _by_name(operation):
                    return verdict
        return self._judge(operation)

    def moved(self, rows: int) -> None:
        """Rows went to or came from the target."""
        self._usage.add_rows(rows)

    def close(self) -> None:
        """The session is over."""
        if not self._over:
            self._over = True
            self._point.used.closed(self._subject.run.id)

    def binding(self, operation: Operation) -> bytes:
        """What an approval of this operation is bound to, as a SHA-256 over all of it.

        Role and search path are those that this session was last told to take.
        """
        subject = self._subject
        bound = [
            str(subject.run.principal),
            subject.run.agent,
            subject.target.name,
            subject.database,
            sorted(self._standing.items()),
            # a statement says itself what it does; of anything else the verb is half of what is asked
            "" if self._analysis is not None else operation.verb,
            operation.text.encode("utf-8", "surrogatepass"),
            [list(parameter) for parameter in operation.parameters],
        ]
        if environment := _environment(operation):
            bound.append(list(environment))
        return hashlib.sha256(cbor2.dumps(bound)).digest()

    def _renew(self) -> None:
        """The rules have changed."""
        self.version = self._asked_of = self._point.version
        self._bench = self._point.bench(self._subject)
        self._allow = self._point.allowed(self._subject)
        self._forget()
        self._allowed = Verdict(Decision.ALLOW, RULE_ACCESS, self.version)

    def _forget(self) -> None:
        self._known.clear()
        self._remembered = 0

    def effects(self, operation: Operation) -> SqlFacts | None:
        """What an operation does, with all that may run by the names in it; None where that is no SQL."""
        if self._analysis is None or self._prepared is None:
            return None
        return self._prepared.rows_of(operation, self._analysis.facts(operation.text))

    def _judge(self, operation: Operation) -> Verdict:
        why = unreadable(operation.text) if "op.text" in self._bench.paths else None
        if why is not None:
            return self._denial(*why)
        own = sql = None
        if self._analysis is not None and self._prepared is not None:
            own = self._analysis.facts(operation.text)
            sql = self._prepared.resolve(operation, own)
        shell = None
        if self._commands is not None and operation.verb == COMMAND_LINE:
            shell = self._commands.facts(operation.text)
            if environment := _environment(operation):
                shell = within(shell, environment)
        case = Case(operation, self._subject, sql, self._usage, self._point.clock, shell)
        said = self._bench.lasting(case)
        if self._bench.passing:
            said = both(said, self._bench.of_the_moment(case))
        verdict = self._hidden(operation, sql, shell) or self._masked(sql) or said.verdict
        if verdict is None:
            verdict = self._allowed
        elif verdict.decision is Decision.PENDING and operation.weight is Weight.ASIDE:
            # it is for what acts that a person is asked: preparing does nothing yet
            verdict = self._allowed
        if said.alerts:
            verdict = _with_alerts(verdict, said)
        if own is not None and self._prepared is not None and verdict.decision is not Decision.DENY:
            self._prepared.learn(operation, own)
            self._note_settings(own)
        self._remember(operation, own, verdict)
        return verdict

    def _hidden(self, operation: Operation, sql: SqlFacts | None, shell: ShellFacts | None) -> Verdict | None:
        """The denial of what hides its effect from rules that ask for it."""
        if not self._point.deny_unknown:
            return None
        said = hidden(
            operation,
            sql if self._bench.about_sql or self._origins is not None else None,
            shell if self._bench.about_shell else None,
        )
        return None if said is None else self._denial(*said)

    def _shape(self, text: str) -> str | None:
        """What a verdict on many texts is remembered under, where no rule reads the text itself."""
        if self._analysis is None or "op.text" in self._bench.paths:
            return None
        return self._analysis.shape(text)

    def _masked(self, sql: SqlFacts | None) -> Verdict | None:
        """The denial of what would put values of masked columns where no mask follows them."""
        if self._origins is None or sql is None or self._prepared is None:
            return None
        stored = self._origins.stores(self._prepared.with_cursors(sql))
        if stored is None:
            return None
        return self._denial(
            RULE_COLUMN,
            f"masked values would get where no mask follows them, by {stored:.200}",
            "Leave that out, or let a person do it at the database itself.",
        )

    def _denial(self, rule: str, message: str, hint: str) -> Verdict:
        return Verdict(Decision.DENY, rule, self._asked_of, message, hint)

    def _note_settings(self, own: SqlFacts) -> None:
        for setting in own.settings:
            name, _, value = setting.partition("=")
            if name in ("role", "session_authorization", "search_path"):
                self._standing[name] = value
        if own.roles:
            self._standing["role"] = own.roles[-1]

    def _remember(self, operation: Operation, own: SqlFacts | None, verdict: Verdict) -> None:
        facts = operation.facts
        if operation.weight is not Weight.STATEMENT and (PREPARES in facts or PORTAL in facts):
            # what is put under a name has to be learnt each time
            return
        if _by_name(operation):
            return
        if own is not None and (
            own.executes or own.prepares or own.settings or own.roles or _of_cursors(own)
        ):
            return
        text = operation.text
        shaped = self._shape(text)
        if shaped is not None and self._analysis is not None and self._analysis.facts(shaped) is own:
            text = shaped
        if len(text) <= KNOWN_LONGEST:
            if self._remembered >= KNOWN_MOST:
                self._known.clear()
                self._remembered = 0
            self._remembered += 1
            self._known.setdefault(operation.verb, {})[text] = verdict


def _holds_mask(operation: Operation) -> bool:
    if mask_token_in(operation.text):
        return True
    for _, _, value in operation.parameters:  # noqa: SIM110 - a generator costs as much as the question
        if value is not None and mask_token_in(value):
            return True
    return False


def _by_name(operation: Operation) -> bool:
    """Whether more may run than the operation's text says."""
    facts = operation.facts
    return NAMED in facts or DOUBT in facts or DIALECT in facts or bool(facts.get(ENVIRONMENT))


def _environment(operation: Operation) -> tuple[str, ...]:
    environment = operation.facts.get(ENVIRONMENT)
    return environment if isinstance(environment, tuple) else ()


def _of_cursors(facts: SqlFacts) -> bool:
    return "declare" in facts.kinds or (facts.kinds != ("fetch",) and takes_from_cursor(facts))


def _with_alerts(verdict: Verdict, said: Said) -> Verdict:
    return Verdict(
        verdict.decision,
        verdict.rule,
        verdict.policy,
        verdict.message,
        verdict.hint,
        said.alerts,
        verdict.terms,
    )
