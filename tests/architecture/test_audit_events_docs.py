"""docs/audit-events.md, the table of actions and what the code enters are the same."""

import ast
from pathlib import Path

from bodycam.api.audit_events import ACTIONS
from bodycam.archive import deletions, keywatch, redactions, rewording

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "audit-events.md").read_text()


def entered() -> set[str]:
    """The actions that the code gives to the trail, or to what gives them on, by their literals."""
    # the archivist's own, which stand in constants
    found = {deletions.ACTION, redactions.ACTION, rewording.ACTION, keywatch.ADDED, keywatch.GONE}
    for file in (ROOT / "src" / "bodycam" / "api").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            match node:
                case ast.Call(
                    func=ast.Attribute(attr="before" | "after" | "_enter" | "_write"),
                    args=[ast.Constant(value=str(action)), _, *_],
                ):
                    found.add(action)
    return found


def test_every_action_that_is_entered_has_a_class_and_none_that_is_not() -> None:
    assert entered() == set(ACTIONS)


def test_the_page_has_every_action_with_its_class_activity_and_severity() -> None:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in PAGE.split("## Actions")[1].splitlines()
        if line.startswith("| `")
    ]
    described = {
        action.strip("`"): (int(of.split()[0]), int(activity.split()[0]), int(severity))
        for action, of, activity, severity, _ in rows
    }
    assert described == {name: (kind.of, kind.activity, kind.severity) for name, kind in ACTIONS.items()}
