from typing import Any

from bodycam.cli.demo.expectation import EXPECTED, exchanges_of, faults, leaks


def answer() -> dict[str, Any]:
    exchanges = [
        {
            "session": f"ses_{at}",
            "statement": text,
            "parameters": list(values),
            "rows": rows,
            "status": status,
        }
        for at, session in enumerate(EXPECTED)
        for text, values, rows, status in session
    ]
    return {
        "agent": "bot",
        "principal": "admin@bodycam",
        "exit_code": 0,
        "sessions": [{"id": f"ses_{at}"} for at in range(len(EXPECTED))],
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


def test_exchanges_are_read_from_a_transcript() -> None:
    entries = [
        {"type": "asked", "exchange": 1, "aside": True, "text": "", "parameters": []},
        {"type": "asked", "exchange": 2, "aside": False, "text": "q", "parameters": [{"text": None}]},
        {"type": "message", "exchange": 2, "level": "error", "code": "42P01", "text": "no"},
        {"type": "done", "exchange": 2, "outcome": "error", "rows": 0, "tag": None},
    ]
    assert exchanges_of("ses_x", entries) == [
        {
            "session": "ses_x",
            "number": 2,
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
        "file data/catalog.db holds a secret of the database"
    ]
    assert leaks(seen[1:], "hunter2") == ["there is no mask in any journal"]
