"""`bodycam policy`: what the rules at hand say, of a file of operations and of runs on record."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from bodycam.app.judging import decision_point, load_settings
from bodycam.cli.door import knock
from bodycam.cli.failure import NO, USAGE, Failure
from bodycam.cli.options import Json, Settings, Url
from bodycam.cli.printing import print_json, print_line, print_table, tell
from bodycam.config.expectations import Expected, ExpectedOperation, load_expectations
from bodycam.model.identity import Grade, Principal, PrincipalKind
from bodycam.model.verdict import Verdict
from bodycam.net.control_client import ControlClient
from bodycam.policy.rules.told import KINDS
from bodycam.policy.trial import (
    NOON,
    SAID,
    UNDECIDABLE,
    Bar,
    Change,
    NoSuchTarget,
    Recorded,
    Trial,
    judged_again,
    moment,
)

app = typer.Typer(help="Try the rules of a settings file out.", no_args_is_help=True)

# what the transcript does not tell
UNRECORDED = KINDS | {"principal.kind", "principal.groups", "op.facts", "run.labels"}


@app.callback()
def policy() -> None:
    """Try the rules of a settings file out."""


@app.command("test")
def try_out(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="Operations and what is expected.")
    ] = None,
    recorded: Annotated[
        str | None, typer.Option("--recorded", metavar="RUN", help="A run to judge again.")
    ] = None,
    settings: Settings = "bodycam.yaml",
    as_json: Json = False,
    url: Url = None,
) -> None:
    """Compare what the rules at hand say with a file, or with a run's record; exits 1 if they differ."""
    if (file is None) == (recorded is None):
        raise Failure("expected either FILE or --recorded RUN", code=USAGE)
    loaded = load_settings(Path(settings))
    bar = Bar(loaded, decision_point(loaded))
    try:
        differs = _file(bar, file, as_json) if file is not None else _run(bar, str(recorded), url, as_json)
    except NoSuchTarget as error:
        raise Failure(f"{settings} declares no target {error}", hint="bodycam targets", code=USAGE) from error
    if differs:
        raise typer.Exit(NO)


# -- a file --------------------------------------------------------------------------------------------


def _file(bar: Bar, file: Path, as_json: bool) -> bool:
    results = [
        (line, one, _judged(bar, place, one)) for place, (line, one) in enumerate(load_expectations(file))
    ]
    wrong = [(line, one, said) for line, one, said in results if not _as_expected(one, said)]
    if as_json:
        print_json(
            {
                "ok": not wrong,
                "operations": [
                    {
                        "line": line,
                        "text": one.text,
                        "expected": one.expect.value,
                        "verdict": SAID[said.decision],
                        "rule": said.rule,
                        "message": said.message,
                        "alerts": list(said.alerts),
                        "ok": _as_expected(one, said),
                    }
                    for line, one, said in results
                ],
            }
        )
        return bool(wrong)
    for line, one, said in wrong:
        wanted = one.expect.value + (f" by {one.rule}" if one.rule else "")
        print_line(f"{file}:{line}: expected {wanted}, got {_in_words(said)}: {one.text[:100]}")
    tell(f"{len(results)} operations, {len(wrong)} not as expected")
    return bool(wrong)


def _judged(bar: Bar, place: int, one: ExpectedOperation) -> Verdict:
    starter = one.starter
    kind = PrincipalKind.SERVICE if starter.service else PrincipalKind.HUMAN
    try:
        at = NOON if one.at is None else moment(one.at)
    except ValueError as error:
        raise Failure(f"expected a time such as 2026-01-31T12:00:00Z, not {one.at!r}", code=USAGE) from error
    return bar.judge(
        Trial(
            agent=one.agent,
            target=one.target,
            text=one.text,
            session=one.session or f"#{place}",
            verb=one.verb,
            parameters=one.parameters,
            database=one.database,
            principal=Principal(starter.issuer, starter.subject, kind, frozenset(starter.groups)),
            labels=one.labels,
            facts=one.facts,
            rows=one.rows_before,
            at=at,
        )
    )


def _as_expected(one: ExpectedOperation, said: Verdict) -> bool:
    if one.expect is Expected.ALERT:
        return one.rule in said.alerts
    if one.expect.value != SAID[said.decision]:
        return False
    return one.rule is None or one.rule == said.rule


def _in_words(said: Verdict) -> str:
    words = SAID[said.decision]
    if words != Expected.ALLOW:
        words += f" by {said.rule} ({said.message})"
    return words + (f", alerts {', '.join(said.alerts)}" if said.alerts else "")


# -- a run on record -----------------------------------------------------------------------------------


def _run(bar: Bar, run: str, url: str | None, as_json: bool) -> bool:
    with knock(url) as client:
        known = client.get(f"/v1/runs/{run}")["run"]
        operations = list(_recorded(client, known))
    changes = list(judged_again(bar, operations, UNRECORDED))
    if as_json:
        print_json({"run": run, "operations": len(operations), "changes": [_plain(one) for one in changes]})
        return bool(changes)
    print_table(
        ("session", "exchange", "then", "now", "rule", "text"),
        [
            (
                one.recorded.trial.session,
                one.recorded.exchange,
                one.recorded.said,
                one.now,
                one.rule,
                one.recorded.trial.text[:80],
            )
            for one in changes
        ],
        empty="no verdict would change",
    )
    undecidable = sum(one.now == UNDECIDABLE for one in changes)
    tell(
        f"{len(operations)} operations, {len(changes) - undecidable} would change, {undecidable} undecidable"
    )
    return bool(changes)


def _plain(one: Change) -> dict[str, Any]:
    return {
        "session": one.recorded.trial.session,
        "exchange": one.recorded.exchange,
        "text": one.recorded.trial.text,
        "then": one.recorded.said,
        "now": one.now,
        "rule": one.rule,
        "message": one.message,
    }


def _recorded(client: ControlClient, run: dict[str, Any]) -> Iterator[Recorded]:
    """What a run asked for, session by session, in order."""
    subject, _, issuer = str(run["principal"]).rpartition("@")
    principal = Principal(issuer, subject, PrincipalKind.HUMAN)
    for session in client.pages("/v1/sessions", "sessions", {"run": run["id"]}):
        rows = 0
        for entry in client.lines(f"/v1/sessions/{session['id']}/transcript"):
            if entry["type"] == "noted" and entry["what"] == "masked":
                raise Failure(
                    f"your view of session {session['id']} is masked, and without values it can't be judged",
                    hint="somebody with a full view of it can; the settings say who, under viewing",
                )
            if entry["type"] == "done":
                rows += int(entry["rows"])
            if (
                entry["type"] != "asked"
                or (entry["aside"] and not entry["text"])
                or entry["verb"] == "connect"
            ):
                continue
            trial = Trial(
                agent=run["agent"],
                target=session["target"],
                text=entry["text"],
                session=session["id"],
                verb=entry["verb"],
                parameters=tuple(one["text"] for one in entry["parameters"]),
                database=session["database"],
                principal=principal,
                grade=Grade(run["grade"]),
                labels=run["labels"],
                rows=rows,
                at=session["opened"] + entry["at"] / 1e6,
            )
            rows = 0
            yield Recorded(trial, _said(entry["verdict"]), bool(entry["redactions"]), entry["exchange"])


def _said(verdict: str | None) -> str:
    if verdict is None:
        return Expected.ALLOW.value
    decision = verdict.partition(" ")[0]
    return Expected.REQUIRE_APPROVAL.value if decision == "pending" else decision
