"""A control process in a test: real catalog, admission and channels; the archivist is played."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from bodycam.api.anchoring import Anchoring
from bodycam.api.app import create_app
from bodycam.api.approval_desk import ApprovalDesk
from bodycam.api.archivist import ArchivistAway, ArchivistRefused, Entered, Settled
from bodycam.api.audit_export import AuditExport
from bodycam.api.context import Control
from bodycam.api.looks import Looks
from bodycam.api.settings_in_use import SettingsInUse
from bodycam.api.sights import Sights
from bodycam.api.sign_in_desk import SignInDesk
from bodycam.api.span_export import SpanExport
from bodycam.api.trail import Trail
from bodycam.api.webhooks import Notifier, Patience
from bodycam.api.workers import Workers
from bodycam.catalog import accounts as catalog_accounts
from bodycam.catalog.approvals import Asking, ask
from bodycam.catalog.engine import make_engine, writing
from bodycam.catalog.sessions import Opening, open_session
from bodycam.config import parse
from bodycam.identity import api_keys
from bodycam.identity.catalog_store import CatalogStore
from bodycam.identity.flows import Flows
from bodycam.identity.oidc.providers import Providers, Source, ask_for_keys
from bodycam.identity.run_prover import RunProver
from bodycam.identity.saml.providers import SamlProviders
from bodycam.identity.saml.providers import Source as MetadataSource
from bodycam.model.event import Event, Kind
from bodycam.model.ids import APPROVAL, SERVICE_ACCOUNT, SESSION, new_id
from bodycam.model.operation import Fact
from bodycam.model.transcript import Asked, Entry, Noted
from bodycam.net.channel import Channel, connect
from bodycam.policy.sql.literals import without_literals
from bodycam.registry import WORDINGS
from bodycam.session.admission import Admission
from bodycam.session.token_runs import TokenRuns
from bodycam.targets.dials import Dials
from tests.catalogs import migrated

SETTINGS = """
listen: {postgres: 127.0.0.1:7432}
tls: {enabled: false}
roles: {admin: {groups: [admins]}, auditor: {groups: [auditors]}}
targets:
  orders: {protocol: postgres, address: db.internal:5432, user: app, database: shop, labels: {env: prod}}
  secret: {protocol: postgres, address: vault.internal:5432, user: app}
agents:
  billing-bot: {owner: payments, may_start: {groups: [devs, admins, auditors]}}
  root-bot: {may_start: {groups: [admins]}}
access:
  - {agents: [billing-bot], targets: {names: [orders]}}
  - {agents: [root-bot], targets: {names: ["*"]}}
"""
PEOPLE = {"ada": ["admins"], "aud": ["auditors"], "dev": ["devs"], "eve": ["devs"]}
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class PlayedArchivist:
    """Answers as the archivist does, from lists that a test fills; `away` makes it absent."""

    def __init__(self) -> None:
        self.away = False
        self.entered: list[tuple[str, str, str, dict[str, Any]]] = []
        self.events: dict[str, list[list[Any]]] = {}
        self.unsealed: set[str] = set()
        self.left = self.settled = 0
        self.plan: dict[str, Any] = {
            "at": 1.0, "waits": "", "counts": {}, "by_rule": {}, "recordings": [], "more": False,
        }  # fmt: skip
        self.bundle: list[bytes | Exception] = [b"one", b"two"]
        self.asked: list[tuple[str, list[int]]] = []
        self.signed: dict[str, Any] | None = None
        self.applied: list[tuple[str, bool]] = []
        self.told: dict[str, Any] = {"lag_seconds": 0.25, "sealed_total": 7, "journal_bytes": 4096}

    @property
    def connected(self) -> bool:
        return not self.away

    def _here(self) -> None:
        if self.away:
            raise ArchivistAway("nobody listens")

    async def transcript(self, session: str) -> AsyncIterator[Sequence[Any]]:
        self._here()
        if session not in self.events:
            raise ArchivistRefused("not-found", f"no recording of session {session}")
        try:
            for event in self.events[session]:
                yield event
                await asyncio.sleep(0)
        finally:
            self.left += 1

    async def evidence(self, run: str, kept: Sequence[int]) -> AsyncIterator[Any]:
        self._here()
        self.asked.append((run, list(kept)))
        yield len(self.bundle)
        for piece in self.bundle:
            if isinstance(piece, Exception):
                raise piece
            yield piece

    async def head(self) -> dict[str, Any]:
        self._here()
        if self.signed is not None:
            return self.signed
        return {"log": "aa", "size": len(self.entered), "root": "bb", "at": 1, "signature": "cc"}

    async def settle(self, sessions: Sequence[str], timeout: float) -> Settled:
        self._here()
        missing = tuple(one for one in sessions if one in self.unsealed)
        return Settled(tuple(one for one in sessions if one not in missing), missing, await self.head())

    async def consistency(self, first: int, second: int) -> list[bytes]:
        self._here()
        return [b"\x01" * 32]

    async def enter(self, action: str, actor: str, object: str, detail: dict[str, Any]) -> Entered:  # noqa: A002
        self._here()
        self.entered.append((action, actor, object, detail))
        return Entered(len(self.entered) - 1, b"salt" * 4)

    async def retention_plan(self, within: float, limit: int) -> dict[str, Any]:
        self._here()
        return self.plan | {"within": within, "limit": limit}

    async def retention_apply(self, actor: str, *, trust_clock: bool) -> dict[str, Any]:
        self._here()
        self.applied.append((actor, trust_clock))
        return {"deleted": {"rule-1": 2}, "held": 1, "unreadable": [], "objects": 1, "objects_left": 0,
                "more": False, "refused": ""}  # fmt: skip

    async def settle_holds(self) -> None:
        self._here()
        self.settled += 1

    async def verify(self) -> dict[str, Any]:
        self._here()
        return {"state": "self-consistent", "ok": True, "findings": []}

    async def status(self) -> dict[str, Any]:
        self._here()
        return self.told


class PlainReader:
    """A decoder of requests alone."""

    def feed(self, event: Event) -> list[Entry]:
        if event.kind is Kind.REQUEST:
            asked = Asked(event.body[0], event.body[1], (), aside=False)
            return [Entry(event.at, event.exchange, asked)]
        return [Entry(event.at, event.exchange, Noted(event.kind.name.lower(), ""))]


class PlainTranscript:
    def reader(self) -> PlainReader:
        return PlainReader()

    def trace(self, text: str, facts: Mapping[str, Any]) -> None:
        return None

    def kept(self, facts: Mapping[str, Any], tag: str | None) -> Mapping[str, Fact]:
        return {}

    def shape(self, text: str) -> None:
        return None


@dataclass
class World:
    """A gateway's control process, its callers' keys, and a client for each."""

    context: Control
    archivist: PlayedArchivist
    folder: Path
    keys: dict[str, str]
    http: httpx.AsyncClient
    lines: list[tuple[Channel, asyncio.Task[None]]] = field(default_factory=list)

    async def call(self, who: str | None, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.keys[who]}"} if who else {}
        return await self.http.request(method, path, headers=headers | more.pop("headers", {}), **more)

    async def start_run(self, who: str = "dev", agent: str = "billing-bot", **more: Any) -> dict[str, Any]:
        answer = await self.call(who, "POST", "/v1/runs", json={"agent": agent, **more})
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def add_session(self, run: str, who: str = "dev", session: str | None = None) -> str:
        name = session or new_id(SESSION)
        principal = who if "@" in who else f"{who}@bodycam"
        opening = Opening(
            name, run, principal, "billing-bot", "orders", "postgres", "shop", "127.0.0.1", {}, "p1",
            1_000_000, "aa", 1,
        )  # fmt: skip
        with writing(self.context.catalog) as connection:
            open_session(connection, opening)
        return name

    def add_approval(self, run: str, session: str) -> str:
        name, now = new_id(APPROVAL), round(time.time() * 1e6)
        wanted = Asking(
            name.encode(), session, 1, "orders", "shop", "rule", "p1", "query", "DROP TABLE old", (), ("dba",), 1,
            now + 60_000_000,
        )  # fmt: skip
        with writing(self.context.catalog) as connection:
            ask(connection, wanted, id=name, run=run, most=100, most_lately=100, since=0, now=now)
        return name

    async def worker(
        self, number: int = 0, incarnation: str = "aa", sessions: Sequence[Any] = ()
    ) -> "PlayedWorker":
        played = PlayedWorker()
        channel = await connect(self.folder / "control.sock", played.hear)
        self.lines.append((channel, asyncio.create_task(channel.run())))
        hello = {
            "worker": number,
            "incarnation": incarnation,
            "pid": 1,
            "sessions": list(sessions),
            "csr": None,
        }
        played.channel, played.welcome = channel, await channel.call("hello", hello)
        return played

    async def close(self) -> None:
        for channel, task in self.lines:
            channel.close()
            await task
        await self.http.aclose()
        await self.context.workers.stop()
        await self.context.approvals.ended()
        await asyncio.sleep(0)
        self.context.catalog.dispose()


class PlayedWorker:
    """The worker's end of the line; keeps what it is told."""

    channel: Channel
    welcome: dict[str, Any]

    def __init__(self) -> None:
        self.orders: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        self.cancel_keys: set[bytes] = set()

    async def hear(self, _channel: Channel, verb: str, body: Any) -> Any:
        self.orders.put_nowait((verb, body))
        return {"found": body["key"] in self.cancel_keys} if verb == "cancel" else None

    async def told(self, verb: str, seconds: float = 30) -> Any:
        async with asyncio.timeout(seconds):
            while True:
                heard, body = await self.orders.get()
                if heard == verb:
                    return body

    async def log_in(self, secret: str, target: str = "orders") -> dict[str, Any]:
        asked = {"name": "token", "secure": True, "address": "127.0.0.1"}
        begun = await self.channel.call("challenge", asked)
        return await self.open(begun["login"], secret.encode(), target)

    async def open(self, login: str, proof: bytes, target: str = "orders") -> dict[str, Any]:
        wanted = {
            "protocol": "postgres",
            "target": target,
            "database": None,
            "address": "127.0.0.1",
            "claims": {},
        }
        body = {"login": login, "proof": proof, "wanted": wanted}
        return dict(await self.channel.call("open", body))


def _people(engine: Any) -> dict[str, str]:
    keys = {}
    with writing(engine) as connection:
        for name, groups in PEOPLE.items():
            account = catalog_accounts.add_account(
                connection, id=new_id(SERVICE_ACCOUNT), name=name, groups=groups, now=1
            )
            issued = api_keys.issue(0.0, None)
            catalog_accounts.add_key(connection, id=issued.id, account=account.id, hash=issued.digest, now=1)
            keys[name] = issued.text
    return keys


@contextlib.asynccontextmanager
async def living(
    folder: Path,
    settings: str = SETTINGS,
    *,
    source: Source = ask_for_keys,
    metadata: MetadataSource | None = None,
) -> AsyncIterator[World]:
    """A world in `folder` (short, for the socket's path) until the block ends."""
    engine = make_engine(f"sqlite:///{folder / 'catalog.db'}")
    await asyncio.to_thread(migrated, engine)
    tree = parse(settings, file="bodycam.yaml", folder=folder)
    store, archivist = CatalogStore(engine), PlayedArchivist()
    providers = Providers(tree, source=source)
    tokens = TokenRuns(providers, store, bytes(32))
    admission = Admission(tree, store, [RunProver(store)], bytes(32), resolver=Dials().resolve, tokens=tokens)
    in_use, trail = SettingsInUse(tree), Trail(engine, archivist)
    notifier = Notifier(in_use, patience=Patience(attempt=5.0, first=0.01, longest=0.05, attempts=3))
    approvals = ApprovalDesk(engine, store, admission.sessions, in_use, trail, notifier)
    context = Control(
        catalog=engine,
        settings=in_use,
        admission=admission,
        archivist=archivist,
        workers=Workers(admission, approvals=approvals.ask),
        approvals=approvals,
        trail=trail,
        looks=Looks(trail),
        sights=Sights(engine, in_use),
        audit_export=AuditExport(
            engine, in_use, folder / "audit-sinks", "1.2.3", interval=0.02, first_pause=0.05
        ),
        anchoring=Anchoring(archivist, in_use, folder / "anchors", interval=0.02, first_pause=0.05),
        span_export=SpanExport(engine, in_use, WORDINGS, "1.2.3", interval=0.02, first_pause=0.05),
        keys=store,
        providers=providers,
        sign_ins=SignInDesk(engine, in_use, trail, Flows(bytes(32)), SamlProviders(tree, source=metadata)),
        transcripts={"postgres": PlainTranscript()},
        literals={"postgres": without_literals},
        version="1.2.3",
        ca_pem="PEM",
        interception_ca_pem="OTHER",
    )
    await context.workers.start(folder / "control.sock")
    transport = httpx.ASGITransport(create_app(context), raise_app_exceptions=False)
    http = httpx.AsyncClient(transport=transport, base_url="http://gateway")
    world = World(context, archivist, folder, _people(engine), http)
    try:
        yield world
    finally:
        await world.close()
