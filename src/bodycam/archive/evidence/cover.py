"""The bundle's first page for people: whose run it was, its sessions, who approved, who looked at it."""

import json
from collections.abc import Mapping
from typing import Any, Final

from bodycam.archive.evidence.bundle import page_name
from bodycam.archive.evidence.pages import environment, moment

MOST: Final = 1000
"""Rows of each table; the members have all."""


class Cover:
    """Takes what the members hold, in any order, and gives the page."""

    def __init__(self) -> None:
        self._rows: dict[str, list[dict[str, Any]]] = {"sessions": [], "approvals": [], "trail": []}
        self._left = dict.fromkeys(self._rows, 0)

    def session(self, one: Mapping[str, Any]) -> None:
        """Take a line of `sessions.jsonl`."""
        name = str(one.get("session", ""))
        page = page_name(name, 1) if one.get("state") == "sealed" else ""
        told = {key: str(one.get(key, "")) for key in ("session", "state", "target", "what")}
        self._add("sessions", told | {"page": page, "opened": _when(one.get("opened"))})

    def approval(self, one: Mapping[str, Any]) -> None:
        """Take a line of `approvals.jsonl`."""
        told = {key: str(one.get(key, "")) for key in ("id", "rule", "state", "text")}
        votes = [
            {
                "principal": str(vote.get("principal", "")),
                "approve": vote.get("approve") is True,
                "at": _when(vote.get("at")),
                "reason": str(vote.get("reason", "")),
            }
            for vote in list(one.get("votes") or ())[:20]
        ]
        self._add("approvals", told | {"votes": votes})

    def act(self, one: Mapping[str, Any]) -> None:
        """Take a line of `trail.jsonl`."""
        told = {key: str(one.get(key, "")) for key in ("actor", "action", "object")}
        leaf = one.get("leaf")
        told["detail"] = json.dumps(one.get("detail"), sort_keys=True)
        told |= {"at": _when(one.get("at")), "leaf": "not in the ledger" if leaf is None else str(leaf)}
        self._add("trail", told)

    def page(self, run: Mapping[str, Any], made: int, version: str) -> bytes:
        """The page; `run` is what `run.json` says, `made` Unix milliseconds.

        Raises:
            LookupError, TypeError, AttributeError: `run` is not of that form.
        """
        principal = run["principal"]
        told = {
            "id": str(run["id"]),
            "agent": str(run["agent"]),
            "grade": str(run["grade"]),
            "labels": {str(name): str(value) for name, value in run["labels"].items()},
            "api_key": str(run["api_key"] or ""),
            "created": _when(run["created"]),
            "until": _when(run["until"]),
            "principal": {key: str(principal[key]) for key in ("issuer", "subject", "kind")}
            | {"groups": [str(one) for one in principal["groups"]]},
        }
        text = (
            environment()
            .get_template("cover.html")
            .render(run=told, made=moment(made * 1000), version=version, left=self._left, **self._rows)
        )
        return text.encode()

    def _add(self, table: str, row: dict[str, Any]) -> None:
        if len(self._rows[table]) < MOST:
            self._rows[table].append(row)
        else:
            self._left[table] += 1


def _when(micros: Any) -> str:
    return moment(micros) if isinstance(micros, int) else ""
