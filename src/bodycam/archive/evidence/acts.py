"""Verification of a bundle's trail: each act that has a leaf is what the leaf is the hash of."""

from collections.abc import Mapping
from typing import Any, Final

from bodycam.archive.evidence import bundle
from bodycam.archive.evidence.opened import OpenedBundle
from bodycam.archive.evidence.proofs import LedgerPart
from bodycam.archive.evidence.recordings import Told
from bodycam.archive.findings import Findings
from bodycam.archive.leaf import Leaf, detail_text, salted
from bodycam.model import ids

_OF_A_SESSION: Final = (Leaf.VIEWED, Leaf.DELETED, Leaf.REDACTED)


class ActsCheck:
    """Goes through the trail twice: for the leaves that it names, and to check them."""

    def __init__(self, opened: OpenedBundle, findings: Findings) -> None:
        self._opened, self._findings = opened, findings
        self._leaves = set[int]()
        self.count = 0
        self.notes: list[str] = []

    def leaves(self) -> set[int]:
        """The indices of the leaves that the acts name."""
        named = (one.get("leaf") for one in self._opened.lines(bundle.TRAIL))
        self._leaves = {index for index in named if isinstance(index, int)}
        return self._leaves

    def check(self, ledger: LedgerPart, told: Mapping[bytes, Told]) -> None:
        """Hold each act against its leaf, and each viewing in the ledger against the acts."""
        without, size = 0, 0 if ledger.proofs is None else ledger.proofs.head.size
        for number, one in enumerate(self._opened.lines(bundle.TRAIL), 1):
            self.count += 1
            index, where = one.get("leaf"), f"{bundle.TRAIL}: line {number}"
            if not isinstance(index, int) or index >= size:
                without += 1
            elif index not in ledger.told:
                self._findings.add(where, f"nothing proves leaf {index}")
            elif (wrong := _wrong(one, ledger.told[index])) is not None:
                self._findings.add(where, wrong)
        if without:
            self.notes.append(f"{without} entries of the trail have no place under the ledger's head")
        for index, leaf in ledger.told.items():
            if leaf[0] == Leaf.VIEWED and leaf[2] in told and index not in self._leaves:
                session = ids.session_id(leaf[2])
                self.notes.append(f"session {session} was viewed (leaf {index}), and nothing tells by whom")


def _wrong(act: Mapping[str, Any], leaf: list[Any]) -> str | None:
    """What is wrong between an act and its leaf."""
    named = leaf[2] if leaf[0] in _OF_A_SESSION else None
    if leaf[0] != Leaf.ADMIN and named is None:
        return "its leaf is not that of an act"
    if named is not None and act.get("object") != ids.session_id(named):
        return "its leaf is about another session"
    try:
        digest = salted(
            str(act["action"]),
            str(act["actor"]),
            str(act["object"]),
            detail_text(act["detail"]),
            salt=bytes.fromhex(act["salt"]),
        )
    except (KeyError, TypeError, ValueError):
        return "has no salt to be checked with"
    return None if digest == leaf[-1] else "is not what its leaf is the hash of"
