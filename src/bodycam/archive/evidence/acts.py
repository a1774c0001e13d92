"""Verification of a bundle's trail: each act that has a leaf is what the leaf is the hash of.

An act of which a value was taken out is what another act, which proves itself so, has the hash of.
"""

from collections.abc import Mapping
from typing import Any, Final

from bodycam.archive.evidence import bundle
from bodycam.archive.evidence.opened import OpenedBundle
from bodycam.archive.evidence.proofs import LedgerPart
from bodycam.archive.evidence.recordings import Told
from bodycam.archive.findings import Findings
from bodycam.archive.leaf import Leaf, detail_text, salted
from bodycam.archive.rewording import ACTION
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
        reworded = self._reworded(ledger)
        changed = 0
        without, size = 0, 0 if ledger.proofs is None else ledger.proofs.head.size
        for number, one in enumerate(self._opened.lines(bundle.TRAIL), 1):
            self.count += 1
            index, where = one.get("leaf"), f"{bundle.TRAIL}: line {number}"
            if not isinstance(index, int) or index >= size:
                without += 1
            elif index not in ledger.told:
                self._findings.add(where, f"nothing proves leaf {index}")
            elif (wrong := _wrong(one, ledger.told[index], reworded.get(index))) is not None:
                self._findings.add(where, wrong)
            else:
                changed += index in reworded
        if changed:
            self.notes.append(
                f"of {changed} entries of the trail a value was taken out, as the ledger has it"
            )
        if without:
            self.notes.append(f"{without} entries of the trail have no place under the ledger's head")
        for index, leaf in ledger.told.items():
            if leaf[0] == Leaf.VIEWED and leaf[2] in told and index not in self._leaves:
                session = ids.session_id(leaf[2])
                self.notes.append(f"session {session} was viewed (leaf {index}), and nothing tells by whom")

    def _reworded(self, ledger: LedgerPart) -> dict[int, bytes]:
        """The new hashes of acts of which a value was taken out, by their leaves."""
        links = list[tuple[int, bytes, int, bytes]]()
        for one in self._opened.lines(bundle.TRAIL):
            if one.get("action") == ACTION and isinstance(one.get("leaf"), int):
                try:
                    detail = one["detail"]
                    links.append(
                        (one["leaf"], _digest(one), int(detail["leaf"]), bytes.fromhex(detail["digest"]))
                    )
                except (KeyError, TypeError, ValueError):
                    continue  # of a record without a leaf, or nothing that proves itself
        found = dict[int, bytes]()
        # the newest first: of such an act too a value may have been taken out
        for own, digest, leaf, said in sorted(links, reverse=True):
            told = ledger.told.get(own)
            if leaf >= own or told is None or told[0] != Leaf.ADMIN:
                continue
            if digest == found.get(own, told[-1]):
                found.setdefault(leaf, said)
        return found


def _digest(act: Mapping[str, Any]) -> bytes:
    """The salted hash of an act. Raises KeyError, TypeError or ValueError where it has no salt."""
    said = str(act["action"]), str(act["actor"]), str(act["object"]), detail_text(act["detail"])
    return salted(*said, salt=bytes.fromhex(act["salt"]))


def _wrong(act: Mapping[str, Any], leaf: list[Any], reworded: bytes | None) -> str | None:
    """What is wrong between an act and its leaf, or what took the place of that."""
    named = leaf[2] if leaf[0] in _OF_A_SESSION else None
    if leaf[0] != Leaf.ADMIN and named is None:
        return "its leaf is not that of an act"
    if named is not None and act.get("object") != ids.session_id(named):
        return "its leaf is about another session"
    try:
        digest = _digest(act)
    except (KeyError, TypeError, ValueError):
        return "has no salt to be checked with"
    return None if digest == (reworded or leaf[-1]) else "is not what its leaf is the hash of"
