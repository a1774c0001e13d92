from typing import Any

from bodycam.cli.demo.expectation import ASKED, DONE, EXPECTED, counts, exchanges_of, faults, leaks, over_ssh
from bodycam.cli.demo.script import ANSWERS


def over(target: str, verb: str, url: str, status: str, tag: str | None, at: float) -> dict[str, Any]:
    return {"session": f"ses_{target}", "target": target, "verb": verb, "statement": url, "status": status,
            "tag": tag, "at": at}  # fmt: skip


def answer() -> dict[str, Any]:
    exchanges = [
        {
            "session": f"ses_{at}",
            "target": "shop",
            "statement": text,
            "parameters": list(values),
            "rows": rows,
            "status": status,
        }
        for at, session in enumerate(EXPECTED)
        for text, values, rows, status in session
    ]
    # of connections that overlap, the later one first
    exchanges += [
        over("warehouse", verb, f"http://there{end}", status, tag, 100.0 + at)
        for at, (verb, end, status, tag) in enumerate(ASKED)
    ]
    exchanges += [over("model", "POST", "http://m/v1", "ok", "200", float(at)) for at in range(len(ANSWERS))]
    exchanges += [
        over("packing", verb, f"{text}.", status, tag, 200.0 + at)
        for at, (verb, text, status, tag) in enumerate(DONE)
    ]
    return {
        "agent": "bot",
        "principal": "admin@bodycam",
        "exit_code": 0,
        "sessions": [
            *({"id": f"ses_{at}", "target": "shop"} for at in range(len(EXPECTED))),
            {"id": "ses_model", "target": "model"},
            {"id": "ses_packing", "target": "packing"},
        ],
        "exchanges": exchanges,
        "rows": [["payments", "[bodycam:secrets.stripe-access-token]"]],
        "approved": ["apr_1"],
        "verify": {"state": "authentic"},
    }


def test_the_expected_record_has_no_fault() -> None:
    assert faults(answer(), "bot") == []


def test_each_difference_is_a_fault() -> None:
    for name, value in {
        "agent": "x",
        "principal": "x",
        "exit_code": 1,
        "verify": {"state": "broken"},
        "rows": [["payments", "sk_live"]],
        "approved": [],
    }.items():
        assert len(faults({**answer(), name: value}, "bot")) == 1, name
    changed = answer()
    changed["exchanges"][3]["parameters"] = ["3"]
    assert "recorded was" in faults(changed, "bot")[0]
    assert "recorded was" in faults({**answer(), "sessions": answer()["sessions"][1:]}, "bot")[0]


def test_what_was_asked_over_http_is_held_too() -> None:
    asked_less = answer()
    asked_less["exchanges"] = [one for one in asked_less["exchanges"] if "stock" not in one["statement"]]
    assert faults(asked_less, "bot", curl=False) == []
    assert "asked over HTTP was" in faults(asked_less, "bot")[0]
    let_through = answer()
    [metadata] = [one for one in let_through["exchanges"] if "169.254" in one["statement"]]
    metadata |= {"status": "ok", "tag": "200"}
    assert "asked over HTTP was" in faults(let_through, "bot")[0]
    silent = answer()
    silent["exchanges"].remove(next(one for one in silent["exchanges"] if one["target"] == "model"))
    assert "the model was asked" in faults(silent, "bot")[0]
    assert counts(answer()["exchanges"]) == {"requests": 13, "model": 8, "denied": 1}


def test_what_was_done_by_ssh_is_held_too() -> None:
    assert over_ssh(answer()["exchanges"]) == {"commands": 1, "files": 1, "denied": 1}
    without = answer()
    without["exchanges"] = [one for one in without["exchanges"] if one["target"] != "packing"]
    assert faults(without, "bot", ssh=False) == []
    assert "done by SSH was" in faults(without, "bot")[0]
    let_through = answer()
    [tunnel] = [one for one in let_through["exchanges"] if one.get("verb") == "forward"]
    tunnel["status"] = "ok"
    assert "done by SSH was" in faults(let_through, "bot")[0]


def test_exchanges_are_read_from_a_transcript() -> None:
    entries = [
        {
            "type": "asked",
            "exchange": 1,
            "aside": True,
            "verb": "sync",
            "text": "",
            "parameters": [],
            "at": 0,
        },
        {
            "type": "asked",
            "exchange": 2,
            "aside": False,
            "verb": "query",
            "text": "q",
            "parameters": [{"text": None}],
            "at": 2_500_000,
        },
        {"type": "message", "exchange": 2, "level": "error", "code": "42P01", "text": "no"},
        {"type": "done", "exchange": 2, "outcome": "error", "rows": 0, "tag": None},
    ]
    assert exchanges_of("ses_x", entries) == [
        {
            "session": "ses_x",
            "number": 2,
            "at": 2.5,
            "verb": "query",
            "statement": "q",
            "parameters": [None],
            "rows": 0,
            "status": "error",
            "tag": None,
            "error": {"code": "42P01", "message": "no"},
        }
    ]


def test_a_secret_at_rest_is_a_fault_and_so_is_nothing_to_see() -> None:
    masked = b"payments|[bodycam:secrets.stripe-access-token]"
    seen = [("journal", "a at 1", masked), ("recording", "b", masked), ("file", "log", b"all is well")]
    assert leaks(seen, "hunter2") == []
    assert leaks([*seen, ("file", "data/catalog.db", b"\0hunter2\0")], "hunter2") == [
        "file data/catalog.db holds a secret of a target"
    ]
    assert leaks(seen[1:], "hunter2") == ["there is no mask in any journal"]
