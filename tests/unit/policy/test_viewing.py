"""What a grant lets whom see, and that what errs, or is not there, lets nobody."""

from pathlib import Path

import pytest

from bodycam.config import SettingsError, parse
from bodycam.config.viewing import Act, View
from bodycam.model.identity import Principal, PrincipalKind
from bodycam.model.provenance import Provenance
from bodycam.policy.access import AccessPolicy, Role
from bodycam.policy.viewing import BadGrants, Permit, Viewer, ViewingPolicy, check_viewing

BASE = """
roles: {reviewer: {groups: [rev]}, auditor: {groups: [aud]}}
targets:
  ledger: {protocol: p, address: "h:1", user: u, labels: {team: payments, pattern: "("}}
  plain: {protocol: p, address: "h:2", user: u}
agents:
  pay-bot: {owner: payments}
"""
LEDGER = Provenance("bob@corp", "pay-bot", "ledger", "p", ("dev", "ops"))
PLAIN = Provenance("bob@corp", "gone-bot", "plain", "p")
GONE = Provenance("bob@x@corp", "pay-bot", "gone", "q")
MINE = Provenance("ann@corp", "pay-bot", "plain", "p")
ALL = (LEDGER, PLAIN, GONE, MINE)


def policy(viewing: str) -> ViewingPolicy:
    return ViewingPolicy(parse(f"{BASE}viewing:\n{viewing}", file="b.yaml", folder=Path("/x")))


def viewer(
    viewing: str, *groups: str, subject: str = "ann", kind: PrincipalKind = PrincipalKind.HUMAN
) -> Viewer:
    text = f"{BASE}viewing:\n{viewing}" if viewing else BASE
    settings = parse(text, file="b.yaml", folder=Path("/x"))
    who = Principal("corp", subject, kind, frozenset(groups))
    return ViewingPolicy(settings).viewer(who, AccessPolicy(settings).roles(who))


@pytest.mark.parametrize(
    ("when", "groups", "seen"),
    [
        ('recording.target.labels.team == "payments"', (), {"ledger"}),
        ("recording.target.labels.team in viewer.groups", ("payments",), {"ledger"}),
        ("recording.target.labels.team in viewer.groups", (), set()),
        ("recording.agent.owner in viewer.groups", ("payments",), {"ledger", "gone", "mine"}),
        ("recording.agent.owner in viewer.groups", ("",), set()),
        ('recording.agent.name == "gone-bot"', (), {"plain"}),
        ('recording.principal.subject == "bob@x"', (), {"gone"}),
        ('recording.principal.subject.startsWith("bob") && recording.principal.issuer == "corp"', (),
         {"ledger", "plain", "gone"}),
        ('recording.target.name == "gone" && recording.target.protocol == "q"', (), {"gone"}),
        ('"dev" in recording.principal.groups', (), {"ledger"}),
        ('!("dev" in recording.principal.groups)', (), {"plain", "gone", "mine"}),
        ("recording.principal.groups.exists(g, g in viewer.groups)", ("ops",), {"ledger"}),
        ("recording.own", (), {"mine"}),
        ("!recording.own", (), {"ledger", "plain", "gone"}),
        ('"reviewer" in viewer.roles && viewer.kind == "human" && viewer.issuer == "corp"', (),
         {"ledger", "plain", "gone", "mine"}),
        ('viewer.subject == "ann"', (), {"ledger", "plain", "gone", "mine"}),
        # what is not there grants nothing, whichever way it is asked
        ('recording.target.labels.team != "shop"', (), {"ledger"}),
        ('!(recording.target.labels.team == "shop")', (), {"ledger"}),
        ("!has(recording.target.labels.team)", (), {"plain", "mine"}),
        ('recording.agent.owner != "shop"', (), {"ledger", "gone", "mine"}),
        ('recording.target.labels.nowhere == "x"', (), set()),
        ("recording.agent.name.matches(recording.target.labels.pattern)", (), set()),
        ("recording.agent.name + recording.target.labels.pattern", (), set()),
        ('recording.target.labels.nowhere == "x" || recording.target.name == "ledger"', (), {"ledger"}),
    ],
)  # fmt: skip
def test_a_condition_lets_see_what_it_holds_for(when: str, groups: tuple[str, ...], seen: set[str]) -> None:
    one = viewer(f"  - {{name: g, when: {when!r}}}" if "'" not in when else f'  - {{name: g, when: "{when}"}}',
                 "rev", *groups)  # fmt: skip
    names = {"ledger": LEDGER, "plain": PLAIN, "gone": GONE, "mine": MINE}
    granted = {
        name
        for name, recording in names.items()
        if any(grant.grant.name == "g" for grant in one._granting(recording))
    }
    assert granted == seen


def test_what_is_no_truth_is_no_condition() -> None:
    with pytest.raises(BadGrants, match="true or false"):
        policy("  - {name: g, when: recording.target.name}")


@pytest.mark.parametrize(
    ("groups", "who", "sees"),
    [
        (("rev", "team"), "{groups: [team]}", True),
        (("rev",), "{groups: [team]}", False),
        (("team",), "{groups: [team]}", False),  # no reviewer
        (("rev",), '{subjects: ["ann@corp"]}', True),
        (("rev",), "{subjects: [ann]}", False),  # an account of the gateway's own
    ],
)
def test_a_grant_is_for_reviewers_that_it_names(groups: tuple[str, ...], who: str, sees: bool) -> None:
    one = viewer(f"  - {{name: g, who: {who}}}", *groups)
    assert (one.permit(Act.PLAY, LEDGER) is not None) is sees
    assert one.reviews is sees


def test_of_several_grants_the_one_that_shows_most_counts_for_each_act() -> None:
    one = viewer("  - {name: a, acts: [play], view: masked}\n  - {name: b, acts: [search]}\n"
                 "  - {name: c, acts: [play, tail], view: masked}", "rev")  # fmt: skip
    assert one.permits(LEDGER) == {
        Act.LIST: Permit("b", View.FULL),
        Act.SEARCH: Permit("b", View.FULL),
        Act.PLAY: Permit("a", View.MASKED),
        Act.TAIL: Permit("c", View.MASKED),
    }
    assert one.grants(Act.PLAY) == ["own", "a", "c"]
    assert set(one.permits(MINE).values()) == {Permit("own", View.FULL)}


def test_own_runs_are_seen_as_the_grant_own_says() -> None:
    assert set(viewer("").permits(MINE)) == set(Act)
    assert viewer("").permits(LEDGER) == {}
    less = viewer("  - {name: own, acts: [play], view: masked}")
    assert less.permits(MINE) == {act: Permit("own", View.MASKED) for act in (Act.LIST, Act.PLAY)}
    assert less.own(Act.SEARCH) is None
    # somebody of the same name elsewhere is somebody else
    assert viewer("").permits(Provenance("ann@bodycam", "pay-bot", "plain", "p")) == {}


def test_admins_and_auditors_see_everything_and_services_may_review() -> None:
    assert set(viewer("  - {name: own, view: masked}", "aud").permits(MINE).values()) == {
        Permit("auditor", View.FULL)
    }
    assert viewer("", "admins", "aud").permit(Act.EXPORT, GONE) == Permit("admin", View.FULL)
    assert viewer("  - {name: g}", "rev", kind=PrincipalKind.SERVICE).permit(Act.PLAY, LEDGER) is not None


def test_roles_are_given_apart_and_users_start() -> None:
    text = BASE.replace("auditor:", "approver: {groups: [dba]}, user: {groups: [devs]}, auditor:")
    settings = parse(
        text.replace("owner: payments", "may_start: {groups: [devs, dba, admins]}"),
        file="b",
        folder=Path("/x"),
    )
    access = AccessPolicy(settings)

    def who(*groups: str) -> Principal:
        return Principal("corp", "ann", PrincipalKind.HUMAN, frozenset(groups))

    assert access.roles(who("dba", "rev", "aud")) == {Role.APPROVER, Role.REVIEWER, Role.AUDITOR}
    assert access.roles(who("devs")) == {Role.USER}
    assert access.roles(who()) == frozenset()
    started = {group: access.may_start(who(group), "pay-bot") for group in ("devs", "dba", "admins")}
    assert started == {"devs": True, "dba": False, "admins": True}


@pytest.mark.parametrize(
    ("viewing", "problem"),
    [
        ("  - name: g\n    when: 'recording.target.labels.team =='", "10: viewing[0].when: expected a condition in CEL"),
        ("  - {name: a}\n  - {name: g, when: 'run.labels.team == \"x\"'}", "10: viewing[1].when: no such name: run.labels.team"),
        ("  - {name: g, when: 'recording.labels.team == \"x\"'}", "9: viewing[0].when: no such fact: recording.labels.team"),
        ("  - {name: g, when: 'recording.target.nam == \"x\"'}", "9: viewing[0].when: no such fact: recording.target.nam (did you mean recording.target.name?)"),
        ("  - {name: g, when: 'viewer.groups + 1'}", "9: viewing[0].when"),
        ("  - {name: admin}", "9: viewing[0]: expected another name"),
        ("  - {name: own, when: 'true'}", "9: viewing[0]: expected neither who nor when"),
        ("  - {name: g, who: {}}", "9: viewing[0]: expected groups or subjects in who"),
        ("  - {name: g, acts: []}", "9: viewing[0].acts: expected at least 1"),
        ("  - {name: g, acts: [look]}", "9: viewing[0].acts[0]: expected 'list'"),
        ("  - {name: g}\n  - {name: g}", "10: viewing[1].name: expected a name that no other grant has"),
    ],
)  # fmt: skip
def test_a_wrong_grant_is_named_by_line_and_key(viewing: str, problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(f"{BASE}viewing:\n{viewing}", file="b.yaml", folder=Path("/x"), checks=[check_viewing])
    said = [str(one) for one in caught.value.problems]
    assert [one for one in said if one.startswith(f"b.yaml:{problem}")], said


def test_grants_without_a_reviewer_are_a_mistake() -> None:
    text = BASE.replace("reviewer: {groups: [rev]}, ", "")
    with pytest.raises(SettingsError, match=r"expected somebody in roles\.reviewer"):
        parse(f"{text}viewing:\n  - {{name: g}}", file="b.yaml", folder=Path("/x"))
    parse(f"{text}viewing:\n  - {{name: own, view: masked}}", file="b.yaml", folder=Path("/x"))
