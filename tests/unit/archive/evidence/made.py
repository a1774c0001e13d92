"""Bundles of a small house: two runs, sessions that were sealed, deleted, viewed, and one that is open."""

import io
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from bodycam.archive.evidence import bundle, dsse, section, statement
from bodycam.archive.evidence.checking import BundleVerifier
from bodycam.archive.evidence.preparing import Sources
from bodycam.archive.evidence.report import BundleReport
from bodycam.archive.evidence.writing import evidence
from bodycam.archive.head import Head
from bodycam.archive.kept import KeptHead
from bodycam.archive.leaf import Leaf, detail_text, new_salt, salted
from bodycam.catalog import approvals, audit, runs
from bodycam.catalog.engine import reading, writing
from bodycam.catalog.sessions import get_session
from bodycam.config import parse
from bodycam.model import ids
from bodycam.model.event import Kind
from bodycam.model.identity import Principal, PrincipalKind, Run
from bodycam.registry import TRANSCRIPTS
from tests.unit.archive.house import opened
from tests.unit.archive.kept import Kept

ADA = Principal("corp", "ada", PrincipalKind.HUMAN, frozenset({"payments"}))
Members = list[tuple[str, bytes]]


@dataclass
class Bundle:
    """A bundle's members, which a test may change; `write` puts them together again."""

    members: Members
    signing: Ed25519PrivateKey

    def __getitem__(self, name: str) -> bytes:
        return dict(self.members)[name]

    def named(self, end: str) -> str:
        """The first member whose name ends so."""
        return next(name for name, _ in self.members if name.endswith(end))

    def change(self, name: str, change: Callable[[bytes], bytes]) -> None:
        self.members = [(one, change(data) if one == name else data) for one, data in self.members]

    def change_lines(
        self, name: str, change: Callable[[list[dict[str, Any]]], Sequence[Mapping[str, Any]]]
    ) -> None:
        def changed(data: bytes) -> bytes:
            lines = change([json.loads(line) for line in data.splitlines()])
            return b"".join(
                json.dumps(one, sort_keys=True, separators=(",", ":")).encode() + b"\n" for one in lines
            )

        self.change(name, changed)

    def drop(self, *names: str) -> None:
        self.members = [(one, data) for one, data in self.members if one not in names]

    def sign(self, key: Ed25519PrivateKey | None = None, **predicate: Any) -> None:
        """Sign anew what there is now."""
        envelope = dsse.read(self["manifest.json"])
        said = statement.decode(envelope.payload)
        rest = [(name, data) for name, data in self.members if name != "manifest.json"]
        named = [(name, dsse.hashlib.sha256(data).hexdigest()) for name, data in rest]
        payload = statement.encode(named, {**said.predicate, **predicate})
        self.members = [*rest, ("manifest.json", dsse.signed(dsse.IN_TOTO, payload, key or self.signing))]

    def write(self, file: Path) -> Path:
        file.write_bytes(b"".join(bundle.whole(name, data) for name, data in self.members) + bundle.END)
        return file


def read(data: bytes) -> Members:
    stream = io.BytesIO(data)
    return [(one.name, b"".join(bundle.content(stream, one))) for one in bundle.members(stream)]


@dataclass
class Made:
    """A house with a run of four sessions; another run's session lies between them."""

    root: Path
    run: str = "run_aaaaaaaaaaaaaaaa"
    names: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.kept = Kept(self.root)
        self.kept.start()
        assert self.kept.house.archivist is not None
        self.archivist = self.kept.house.archivist
        self.sources = Sources(
            self.archivist, self.kept.house.store, self.kept.keystore, self.kept.engine, TRANSCRIPTS,
            self.root, "0.1.0",
        )  # fmt: skip
        for run, agent in ((self.run, "billing-bot"), ("run_bbbbbbbbbbbbbbbb", "other-bot")):
            with writing(self.kept.engine) as connection:
                lasting = Run(run, ADA, agent, time.time() + 60, labels={"ticket": "<i>7</i>"})
                runs.add_run(connection, lasting, None, time.time_ns() // 1000, "key_x")
        for name, run, target in (
            ("first", self.run, "orders"),
            ("other", "run_bbbbbbbbbbbbbbbb", "orders"),
            ("gone", self.run, "brief"),
            ("second", self.run, "orders"),
        ):
            self.names[name] = self.record(run, target)
        self.names["open"] = self.open(self.run, "orders")
        self.kept.house.until(lambda: self.indexed(self.names["open"]))
        self.kept.rules = parse(
            "retention: [{name: short, targets: {names: [brief]}, keep: 1s}]", file="t", folder=self.root
        ).retention
        self.kept.clock.pass_(3600)
        assert sum(self.kept.apply().deleted.values()) == 1
        self.act("viewed", "aud@corp", self.names["first"], {"run": self.run})
        self.approve()
        with writing(self.kept.engine) as connection:
            runs.end_run(connection, self.run, 0, time.time_ns() // 1000)
        time.sleep(0.01)
        self.act("run-ended", "ada@corp", self.run, {"sessions": []})
        self.act("approval-approved", "bob@corp", "apr_aaaaaaaaaaaaaaaa", {"run": self.run})
        self.act("viewed", "aud@corp", self.names["second"], {"run": self.run})

    def close(self) -> None:
        self.kept.stop()
        self.kept.end()

    def indexed(self, session: str) -> bool:
        with reading(self.kept.engine) as connection:
            return get_session(connection, session) is not None

    def open(self, run: str, target: str) -> str:
        session, worker = ids.new_id(ids.SESSION), self.kept.worker
        worker.numbers[session] = number = len(worker.numbers) + 1
        body = opened(session, worker.writer.incarnation, number) | {"run": run}
        body["principal"] |= {"issuer": "corp", "subject": "ada", "kind": "human"}
        body["target"] |= {"name": target}
        worker.put(session, Kind.OPENED, 0, body)
        denied = ["deny", "no-drop", "p1", "<b>never</b>"]
        worker.put(session, Kind.REQUEST, 1, ["query", "drop table <x>", [], {}, "statement", denied, 0])
        worker.put(session, Kind.FINISH, 1, ["denied", 0, 0, 0, None, {"code": "42501", "message": "no"}])
        for number in range(2, 12):
            worker.query(session, number)
        return session

    def record(self, run: str, target: str) -> str:
        session = self.open(run, target)
        self.kept.worker.close(session)
        self.kept.house.until_sealed(session)
        self.kept.settle(session)
        return session

    def act(self, action: str, actor: str, object: str, detail: dict[str, Any]) -> None:  # noqa: A002
        """An act in ledger and trail, as the control process enters it."""
        salt = new_salt()
        digest = salted(action, actor, object, detail_text(detail), salt=salt)
        with self.archivist.lock:
            kind = [Leaf.VIEWED, ids.raw(object)] if action == "viewed" else [Leaf.ADMIN]
            leaf = self.archivist.ledger.append([*kind, digest])
            self.archivist.ledger.commit()
        with writing(self.kept.engine) as connection:
            now = time.time_ns() // 1000
            audit.add_event(
                connection,
                at=now,
                actor=actor,
                action=action,
                object=object,
                detail=detail,
                salt=salt,
                leaf=leaf,
            )

    def approve(self) -> None:
        now = time.time_ns() // 1000
        asking = approvals.Asking(
            b"d" * 32, self.names["first"], 1, "orders", "shop", "ask", "p1", "query", "delete <all>", (), ("dba",), 1, now + 10**9,
        )  # fmt: skip
        with writing(self.kept.engine) as connection:
            _, made = approvals.ask(
                connection,
                asking,
                id="apr_aaaaaaaaaaaaaaaa",
                run=self.run,
                most=9,
                most_lately=9,
                since=0,
                now=now,
            )
            assert made is not None
            approvals.decide(connection, made.id, "bob@corp", approve=True, reason="<u>fine</u>", now=now)

    def export(self, run: str | None = None, kept: Sequence[int] = ()) -> Bundle:
        # what comes behind the run's end is proved leaf by leaf, and in a test all is within a second
        with patch.object(section, "AFTER", 0):
            _, pieces = evidence(self.sources, run or self.run, kept)
        return Bundle(read(b"".join(pieces)), self.kept.house.keys.signing)

    def head(self) -> Head:
        return self.archivist.ledger.head()


def verified(file: Path, key: Ed25519PublicKey | None, *kept: Head) -> BundleReport:
    heads = [KeptHead(f"head {number}", one) for number, one in enumerate(kept)]
    return BundleVerifier(file, key=key, kept=heads, transcripts=TRANSCRIPTS).run()


def told(report: BundleReport) -> list[str]:
    return [f"{one.where}: {one.what}" for one in report.findings]
