"""Verification of a bundle's part of the ledger: every leaf leads to the signed head, and none is missing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bodycam.archive import frames, merkle
from bodycam.archive.evidence import bundle
from bodycam.archive.evidence.opened import OpenedBundle
from bodycam.archive.evidence.signers import Signers
from bodycam.archive.evidence.statement import bounded_json
from bodycam.archive.findings import Findings
from bodycam.archive.frames import BadFrame
from bodycam.archive.head import Head
from bodycam.archive.kept import KeptHead
from bodycam.archive.leaf import HASH_BYTES, Leaf, decode_leaf
from bodycam.archive.merkle import Frontier
from bodycam.archive.story import Story
from bodycam.model import ids

_CLOCKS = 300_000
"""Milliseconds by which two times of one gateway may contradict each other: clocks are set."""


@dataclass(frozen=True, slots=True)
class Proofs:
    """What `ledger/proofs.json` holds."""

    head: Head
    begin: int
    end: int
    before: tuple[bytes, ...]
    after: tuple[bytes, ...]
    kept: dict[int, tuple[bytes, ...]]


@dataclass(frozen=True, slots=True)
class Fit:
    """How a head that was kept outside fits the bundle's: `ok` is None where that can't be told."""

    kept: KeptHead
    ok: bool | None
    what: str = ""


class LedgerPart:
    """The leaves of a bundle, each proved, as far as they are.

    `sessions` are those that the bundle tells of, `acts` the indices that its trail names.
    """

    def __init__(
        self,
        opened: OpenedBundle,
        signers: Signers,
        kept: Sequence[KeptHead],
        sessions: dict[bytes, Any],
        acts: set[int],
        story: Story,
        findings: Findings,
    ) -> None:
        self._opened, self._signers, self._kept = opened, signers, kept
        self._words: dict[int, list[Any]] = {}
        self._sessions, self._acts, self._story, self._findings = sessions, acts, story, findings
        self._roots: dict[int, bytes] = {}
        self.proofs: Proofs | None = None
        self.leaves = 0
        self.openings: dict[bytes, tuple[bytes, int]] = {}
        self.sealed: dict[bytes, tuple[int, bytes]] = {}
        self.deleted: dict[bytes, bytes] = {}
        self.told: dict[int, list[Any]] = {}
        """Leaves of acts, viewings and deletions, by index."""

    def check(self) -> None:
        """Read and prove all of it; what does not hold is a finding."""
        try:
            self.proofs = _decode(self._opened.whole(bundle.PROOFS))
        except ValueError as error:
            self._findings.add(bundle.PROOFS, str(error))
            return
        if not (signed := self._signers.signed_head(self.proofs.head)):
            self._findings.add(bundle.PROOFS, "the ledger's head is not signed by this key")
        self._section(self.proofs)
        self._later(self.proofs)
        if signed:
            self._signers.proved(self._words)
        for worker, count, lowest, highest in self._story.holes():
            numbers = f"{count} of the numbers from {lowest} to {highest}"
            self._findings.add(bundle.SECTION, f"worker {worker.hex()}: {numbers} are there")

    def _section(self, proofs: Proofs) -> None:
        wanted = {one.head.size for one in self._kept}
        try:
            frontier = Frontier.resumed(proofs.begin, proofs.before)
            for offset, data in frames.of_pieces(self._opened.pieces(bundle.SECTION)):
                if frontier.size in wanted:
                    self._roots[frontier.size] = frontier.root
                self._leaf(f"{bundle.SECTION}: at offset {offset}", frontier.size, data)
                frontier.add(merkle.leaf_hash(data))
                self.leaves += 1
        except BadFrame as error:
            self._findings.add(f"{bundle.SECTION}: at offset {error.offset}", error.what)
            return
        except ValueError as error:
            self._findings.add(bundle.PROOFS, str(error))
            return
        self._roots[frontier.size] = frontier.root
        head = proofs.head
        if frontier.size != proofs.end:
            what = f"has the leaves up to {frontier.size}, and should have them up to {proofs.end}"
            self._findings.add(bundle.SECTION, what)
        elif not merkle.verify_consistency(frontier.size, head.size, frontier.root, head.root, proofs.after):
            what = (
                f"the leaves {proofs.begin} to {proofs.end} do not lead to the signed head over {head.size}"
            )
            self._findings.add(bundle.SECTION, what)

    def _later(self, proofs: Proofs) -> None:
        last = -1
        for number, one in enumerate(self._opened.lines(bundle.LEAVES), 1):
            where = f"{bundle.LEAVES}: line {number}"
            try:
                index, data, proof = one["index"], bytes.fromhex(one["leaf"]), _hashes(one["proof"])
                in_order = isinstance(index, int) and index > last
            except (KeyError, TypeError, ValueError):
                self._findings.add(where, "is no leaf with its proof")
                continue
            if not in_order or proofs.begin <= index < proofs.end:
                self._findings.add(where, f"leaf {index} is out of its order")
                continue
            last = index
            hashed, head = merkle.leaf_hash(data), proofs.head
            if merkle.verify_inclusion(hashed, index, head.size, proof, head.root):
                self._leaf(where, index, data)
                self.leaves += 1
            else:
                self._findings.add(where, f"leaf {index} is not under the signed head")

    def _leaf(self, where: str, index: int, data: bytes) -> None:
        try:
            leaf = decode_leaf(data)
            # of another's recording that was redacted in this time, the sealing may be long before it
            apart = leaf[0] == Leaf.REDACTED and leaf[2] not in self._sessions
            wrong = None if apart else self._story.leaf(leaf, index)
        except (ValueError, OverflowError) as error:
            self._findings.add(where, str(error))
            return
        if wrong is not None:
            self._findings.add(where, f"session {ids.session_id(leaf[2])} {wrong}")
        own = leaf[0] != Leaf.ADMIN and leaf[2] in self._sessions
        match leaf:
            case [Leaf.OPENED, _, session, worker, opening] if own:
                self.openings[session] = worker, opening
            case [Leaf.SEALED, _, session, root] if own:
                self.sealed[session] = index, root
            case [Leaf.REDACTED, _, session, _, new, _] if own:
                # that the one before was the old root is the story's to say
                self.sealed[session] = index, new
            case [Leaf.DELETED, _, session, digest] if own:
                self.deleted[session] = digest
            case [Leaf.SIGNING, *_]:
                self._words[index] = leaf
        if index in self._acts or (own and leaf[0] == Leaf.VIEWED):
            self.told[index] = leaf

    # -- heads that were kept outside --------------------------------------------------------------------

    def fits(self) -> Iterator[Fit]:
        """Each head that was kept outside, held against the bundle's."""
        for one in self._kept:
            yield Fit(one, *self._fit(one.head))

    def _fit(self, kept: Head) -> tuple[bool | None, str]:
        if not self._signers.signed_head(kept):
            return False, "is not signed by this key"
        if self.proofs is None:
            return None, "can't be compared: the bundle has no head"
        head = self.proofs.head
        if kept.log != head.log:
            return False, "is of another ledger"
        if kept.size > head.size:
            if kept.at + _CLOCKS < head.at:
                what = f"over {kept.size} leaves, is older than the bundle's, over {head.size}"
                return False, f"{what}: the ledger was cut or forked in between"
            return None, "is newer than the bundle, which can't prove anything of it: export it again"
        if kept.size == head.size or kept.size in self._roots:
            root = head.root if kept.size == head.size else self._roots[kept.size]
            return (True, "") if root == kept.root else (False, f"has another root over {kept.size} leaves")
        if kept.size == 0:
            return kept.root == merkle.EMPTY_ROOT, "has another root than an empty ledger"
        if (proof := self.proofs.kept.get(kept.size)) is None:
            return (
                None,
                "can't be compared: the bundle has no proof from it; it has to be there at the export",
            )
        if merkle.verify_consistency(kept.size, head.size, kept.root, head.root, proof):
            return True, ""
        return False, f"has another root over {kept.size} leaves: the ledger was rewritten or forked"


def _decode(data: bytes) -> Proofs:
    plain = bounded_json(data)
    try:
        begin, end = plain["begin"], plain["end"]
        kept = {one["size"]: _hashes(one["proof"]) for one in plain["kept"] if isinstance(one["size"], int)}
        before, after = _hashes(plain["before"]), _hashes(plain["after"])
        head = Head.from_plain(plain["head"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"is not of its form: {error}") from error
    if not (isinstance(begin, int) and isinstance(end, int) and 0 <= begin <= end <= head.size):
        raise ValueError("is not of its form: the section is none of the ledger")
    return Proofs(head, begin, end, before, after, kept)


def _hashes(found: Any) -> tuple[bytes, ...]:
    hashes = tuple(bytes.fromhex(one) for one in found)
    if len(hashes) > 2 * HASH_BYTES * 8 or any(len(one) != HASH_BYTES for one in hashes):
        raise ValueError("not a list of hashes")
    return hashes
