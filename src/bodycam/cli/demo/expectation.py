"""What the demo's run must have left on the record, and what is wrong if it has not."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bodycam.cli.demo.script import ANSWERS
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


# (verb, the URL's end, outcome, status) of what was asked over HTTP, but for the model, in order
ASKED: Sequence[tuple[str, str, str, str]] = (
    ("GET", "/stock?item=lamp", "ok", "200"),
    ("GET", "/prices?item=lamp", "ok", "200"),
    ("POST", "/reservations", "ok", "201"),
    ("GET", "/settings", "ok", "200"),
    ("GET", "http://169.254.169.254/latest/meta-data/", "denied", "403"),
)
BY_CURL = ASKED[:1]
# (verb, what its text has in it, outcome, tag) of what was done by SSH, each on a connection of its own
DONE: Sequence[tuple[str, str, str, str | None]] = (
    ("exec", "cat ", "ok", "exit 0"),
    ("write", "/lamp.txt", "ok", None),
    ("forward", "127.0.0.1:", "denied", None),
)
_DATABASE = "shop"
_MODEL = "model"
_HOST = "packing"


def counts(exchanges: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """How much was asked over HTTP: of the model, of others, and what of all that was refused."""
    asked = [one for one in exchanges if one["target"] not in (_DATABASE, _HOST)]
    return {
        "requests": len(asked),
        "model": sum(one["target"] == _MODEL for one in asked),
        "denied": sum(one["status"] == "denied" for one in asked),
    }


def over_ssh(exchanges: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How much was done by SSH: commands, files, and what of all that was refused."""
    done = [one for one in exchanges if one["target"] == _HOST]
    return {
        "commands": sum(one["verb"] == "exec" for one in done),
        "files": sum(one["verb"] == "write" for one in done),
        "denied": sum(one["status"] == "denied" for one in done),
    }


def exchanges_of(session: str, entries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The exchanges of a transcript: statement, parameters, rows, status; housekeeping is left out.

    `at` is in seconds after the session opened.
    """
    found: dict[int, dict[str, Any]] = {}
    for entry in entries:
        number = int(entry["exchange"])
        if entry["type"] == "asked" and not entry["aside"]:
            found[number] = {
                "session": session,
                "number": number,
                "at": entry["at"] / 1e6,
                "verb": entry["verb"],
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


def leaks(kept: Iterable[tuple[str, str, bytes]], *secrets: str) -> list[str]:
    """Where in all that a gateway keeps (`stores.decoded`) one of these secrets stands; nowhere it must.

    That journal and recordings were looked into shows in the mask, which has to be in both.
    """
    wrong: list[str] = []
    masked: set[str] = set()
    for kind, where, said in kept:
        if any(secret.encode() in said for secret in secrets):
            wrong.append(f"{kind} {where} holds a secret of a target")
        if MASK in said:
            masked.add(kind)
    return wrong + [f"there is no mask in any {kind}" for kind in (JOURNAL, RECORDING) if kind not in masked]


def faults(answer: Mapping[str, Any], agent: str, *, curl: bool = True, ssh: bool = True) -> list[str]:
    """What differs from what was expected; nothing if all is right. `curl` and `ssh`: are they there?"""
    wrong = []
    if answer["agent"] != agent:
        wrong.append(f"the agent is {answer['agent']}, not {agent}")
    if not str(answer["principal"]).startswith("admin@"):
        wrong.append(f"the principal is {answer['principal']}, not the admin")
    if answer["exit_code"] != 0:
        wrong.append(f"the run ended with exit code {answer['exit_code']}")
    sessions = [one["id"] for one in answer["sessions"] if one["target"] == _DATABASE]
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
    wrong += _asked(answer, curl)
    wrong += _done(answer, DONE if ssh else ())
    if len(answer["approved"]) != 1:
        wrong.append(f"{len(answer['approved'])} approvals were given, not one")
    if not any(MASK.decode() in str(row) for row in answer["rows"]):
        wrong.append("the token of the payments is not masked in what was recorded")
    verified = answer["verify"]
    if verified.get("state") != "authentic":
        wrong.append(f"verify says {verified.get('state')}: {verified.get('findings')}")
    return wrong


def _asked(answer: Mapping[str, Any], curl: bool) -> list[str]:
    """What is wrong with what was asked over HTTP, each on a connection of its client's choice."""
    over = sorted(
        (one for one in answer["exchanges"] if one["target"] not in (_DATABASE, _HOST)),
        key=lambda one: one["at"],
    )
    wrong = []
    told = [one for one in over if one["target"] == _MODEL]
    if [(one["verb"], one["status"]) for one in told] != [("POST", "ok")] * len(ANSWERS):
        wrong.append(f"the model was asked {told}, expected {len(ANSWERS)} questions with an answer each")
    others = [one for one in over if one["target"] != _MODEL]
    expected = [one for one in ASKED if curl or one not in BY_CURL]
    right = len(others) == len(expected) and all(
        (one["verb"], one["status"], one["tag"]) == (verb, outcome, status) and one["statement"].endswith(end)
        for one, (verb, end, outcome, status) in zip(others, expected, strict=True)
    )
    return wrong if right else [*wrong, f"asked over HTTP was {others}, expected {expected}"]


def _done(answer: Mapping[str, Any], expected: Sequence[tuple[str, str, str, str | None]]) -> list[str]:
    """What is wrong with what was done by SSH, one thing after the other."""
    done = sorted((one for one in answer["exchanges"] if one["target"] == _HOST), key=lambda one: one["at"])
    right = len(done) == len(expected) and all(
        (one["verb"], one["status"], one["tag"]) == (verb, outcome, tag) and part in one["statement"]
        for one, (verb, part, outcome, tag) in zip(done, expected, strict=True)
    )
    return [] if right else [f"done by SSH was {done}, expected {list(expected)}"]
