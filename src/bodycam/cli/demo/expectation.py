"""What the demo's run must have left on the record, and what is wrong if it has not."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bodycam.cli.demo.stores import JOURNAL, RECORDING

MASK = b"[bodycam:secrets."

# (statement, parameters, rows, status) of each connection, in order
EXPECTED: Sequence[Sequence[tuple[str, tuple[str, ...], int, str]]] = (
    (("select count(*) from customers", (), 1, "ok"),),
    (
        (
            "select c.name, sum(o.amount) as total from customers c join orders o on o.customer_id = c.id "
            "group by c.name order by total desc",
            (),
            3,
            "ok",
        ),
    ),
    (
        ("BEGIN", (), 0, "ok"),
        ("select id, item, amount from orders where customer_id = $1 order by id", ("2",), 1, "ok"),
        (
            "insert into orders (customer_id, item, amount) values ($1, $2, $3)",
            ("2", "desk lamp", "4990"),
            1,
            "ok",
        ),
        ("COMMIT", (), 0, "ok"),
    ),
    (("select service, token from integrations order by service", (), 2, "ok"),),
    (
        ("drop table customers", (), 0, "denied"),
        ("select count(*) from customers", (), 1, "ok"),
        ("delete from orders where amount = $1", ("0",), 1, "ok"),
    ),
    (("select * from invoices", (), 0, "error"),),
)


def exchanges_of(session: str, entries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The exchanges of a transcript: statement, parameters, rows, status; housekeeping is left out."""
    found: dict[int, dict[str, Any]] = {}
    for entry in entries:
        number = int(entry["exchange"])
        if entry["type"] == "asked" and not entry["aside"]:
            found[number] = {
                "session": session,
                "number": number,
                "statement": entry["text"],
                "parameters": [one["text"] for one in entry["parameters"]],
                "rows": 0,
                "status": "open",
            }
        elif number in found and entry["type"] == "done":
            found[number] |= {"rows": entry["rows"], "status": entry["outcome"], "tag": entry["tag"]}
        elif number in found and entry["type"] == "message" and entry["level"] == "error":
            found[number]["error"] = {"code": entry["code"], "message": entry["text"]}
    return list(found.values())


def leaks(kept: Iterable[tuple[str, str, bytes]], secret: str) -> list[str]:
    """Where in all that a gateway keeps (`stores.decoded`) a secret of the database stands; nowhere it must.

    That journal and recordings were looked into shows in the mask, which has to be in both.
    """
    wrong: list[str] = []
    masked: set[str] = set()
    for kind, where, said in kept:
        if secret.encode() in said:
            wrong.append(f"{kind} {where} holds a secret of the database")
        if MASK in said:
            masked.add(kind)
    return wrong + [f"there is no mask in any {kind}" for kind in (JOURNAL, RECORDING) if kind not in masked]


def faults(answer: Mapping[str, Any], agent: str) -> list[str]:
    """What differs from what was expected; nothing if all is right."""
    wrong = []
    if answer["agent"] != agent:
        wrong.append(f"the agent is {answer['agent']}, not {agent}")
    if not str(answer["principal"]).startswith("admin@"):
        wrong.append(f"the principal is {answer['principal']}, not the admin")
    if answer["exit_code"] != 0:
        wrong.append(f"the run ended with exit code {answer['exit_code']}")
    sessions = [one["id"] for one in answer["sessions"]]
    recorded = [
        [
            (one["statement"].strip().rstrip(";"), tuple(one["parameters"]), one["rows"], one["status"])
            for one in answer["exchanges"]
            if one["session"] == session
        ]
        for session in sessions
    ]
    if recorded != [list(one) for one in EXPECTED]:
        wrong.append(f"recorded was {recorded}, expected {[list(one) for one in EXPECTED]}")
    if len(answer["approved"]) != 1:
        wrong.append(f"{len(answer['approved'])} approvals were given, not one")
    if not any(MASK.decode() in str(row) for row in answer["rows"]):
        wrong.append("the token of the payments is not masked in what was recorded")
    verified = answer["verify"]
    if verified.get("state") != "authentic":
        wrong.append(f"verify says {verified.get('state')}: {verified.get('findings')}")
    return wrong
