"""`bodycam verify`: do recordings and ledger tell one story, asked of the gateway or read offline."""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from rich.console import Console
from rich.progress import Progress

from bodycam import config
from bodycam.app.keyrings import journal_opener
from bodycam.archive.head import Head
from bodycam.archive.kept import KeptHead
from bodycam.archive.keys import KeysUnusable, load_journal, load_signing_public
from bodycam.archive.store.local import LocalStore
from bodycam.archive.succession import KeyChain, Succession, path_between, successions
from bodycam.archive.verify import Verifier
from bodycam.cli.bundles import print_bundle, verify_bundle
from bodycam.cli.door import knock
from bodycam.cli.failure import NO, USAGE, Failure
from bodycam.cli.heads_folder import heads_folder
from bodycam.cli.kept_heads import check, kept_for, read_heads
from bodycam.cli.options import Json, Settings, Url
from bodycam.cli.printing import print_json, print_line, tell
from bodycam.cli.stamped import check_stamps, print_stamps
from bodycam.journal.wrapping import Opener
from bodycam.net.control_client import ControlClient, ControlError

VERIFY_SECONDS = 3600.0
MOST_ASKED = 500
"""Heads about which the gateway is asked, each by a call."""

MARKED_SHOWN = 20
"""Sessions with a marker that the terminal shows; `--json` has more."""


def command(
    bundle: Annotated[
        Path | None, typer.Argument(metavar="[BUNDLE]", help="A file that `export --evidence` wrote.")
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Read the data folder; no gateway is asked.")
    ] = False,
    data: Annotated[
        Path | None, typer.Option("--data", help="The data folder; else that of the settings.")
    ] = None,
    key: Annotated[Path | None, typer.Option("--key", help="The pinned public key, signing.pem.")] = None,
    head: Annotated[
        list[Path] | None,
        typer.Option("--head", help="A file with ledger heads that were kept outside; may be repeated."),
    ] = None,
    authority: Annotated[
        Path | None,
        typer.Option("--authority", help="Certificates of the authority that stamped kept heads, in PEM."),
    ] = None,
    settings: Settings = "bodycam.yaml",
    as_json: Json = False,
    url: Url = None,
) -> None:
    """Verify recordings, ledger and journals, or one bundle of evidence by itself.

    Exits 0 if all holds and 1 if not, with every fault named.

    It says `authentic` only with a pinned key and a head that was kept outside, else `self-consistent`.
    """
    pinned, given = _key(key) if key else None, read_heads(head or [])
    if bundle is not None:
        report = verify_bundle(bundle, pinned, given)
    elif offline:
        report = _offline(data, pinned, given, Path(settings))
    else:
        with knock(url) as client:
            report = _online(client, pinned, given)
    report = check_stamps(report, given, authority)
    if as_json:
        print_json(report)
    elif bundle is not None:
        print_bundle(report)
    else:
        _print(report)
    if not report["ok"]:
        raise typer.Exit(NO)


def _offline(
    data: Path | None, pinned: Ed25519PublicKey | None, kept: Sequence[KeptHead], file: Path
) -> dict[str, Any]:
    found = _settings(file, needed=data is None or pinned is None)
    folder = data or (found.storage.data if found else Path())
    if not (folder / "ledger").is_dir():
        raise Failure(f"{folder} has no ledger", hint="--data names the gateway's data folder", code=USAGE)
    key = pinned or _key((found.keys if found else Path()) / "public" / "signing.pem")
    journal_key = _journal_key(found.keys, key) if found else None
    verifier = Verifier(
        folder / "ledger",
        LocalStore(folder / "recordings"),
        key,
        pinned=pinned is not None,
        kept=kept,
        journal_key=journal_key,
    )
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("recordings", total=None)
        report = verifier.run(lambda done, total: progress.update(task, completed=done, total=total))
    return report.to_plain()


def _online(
    client: ControlClient, pinned: Ed25519PublicKey | None, given: Sequence[KeptHead]
) -> dict[str, Any]:
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal, transient=True) as progress:
        progress.add_task("the gateway verifies", total=None)
        report = client.post("/v1/verify", seconds=VERIFY_SECONDS)
    plain = client.get("/v1/ledger/head")
    findings = list(report.get("findings") or [])
    try:
        now = Head.from_plain(plain)
    except ValueError as error:
        raise Failure(f"the gateway's ledger head can't be understood: {error}") from error
    chain = None if pinned is None else _chain(pinned, report)
    if chain is not None and not now.holds(chain.current):
        findings.append({"where": "ledger head", "what": "it is not signed by the pinned key"})
    kept = [*kept_for(client.url, heads_folder(os.environ)), *given[-MOST_ASKED:]]
    if len(given) > MOST_ASKED:
        tell(f"of {len(given)} heads the last {MOST_ASKED} are asked about; --offline compares all of them")
    checked = []
    for one in kept:
        try:
            checked.append(check(client, one, now, chain))
        except ControlError as error:
            checked.append({"file": one.where, "size": one.head.size, "ok": False, "what": error.message})
    findings += [{"where": one["file"], "what": one["what"]} for one in checked if not one["ok"]]
    ok = bool(report.get("ok")) and not findings
    state = report.get("state") if ok else "broken"
    return {**report, "ok": ok, "state": state, "findings": findings, "kept_heads": checked, "head": plain}


def _print(report: dict[str, Any]) -> None:
    counts = report.get("counts") or {}
    print_line(f"{report.get('state')}: " + ", ".join(f"{number} {name}" for name, number in counts.items()))
    print_stamps(report)
    kept = report.get("kept_heads")
    if kept:
        print_line(
            f"{sum(one['ok'] for one in kept)} of {len(kept)} ledger heads kept here are extended by it"
        )
    if report.get("open"):
        print_line(f"{len(report['open'])} sessions are open or not sealed yet")
    _print_journals(report.get("journals") or {})
    for one in report.get("torn") or []:
        print_line(f"torn, by a crash: {one.get('where')}: {one.get('what')}")
    for marker, told in (report.get("marked") or {}).items():
        _print_marked(marker, told)
    _print_deletions(report.get("deletions") or {})
    for one in report.get("findings") or []:
        print_line(f"broken: {one.get('where')}: {one.get('what')}")
    if report.get("state") == "self-consistent":
        tell("`authentic` takes --offline with --key and --head: a key and a head that were kept elsewhere")


def _chain(pinned: Ed25519PublicKey, report: dict[str, Any]) -> KeyChain:
    """The pinned key, those that it leads to over the word of each for the next, and those that led to it."""
    words = list[Succession]()
    for plain in report.get("successions") or []:
        with contextlib.suppress(ValueError):
            words.append(Succession.from_plain(plain))
    first = pinned.public_bytes_raw()
    for one in reversed(words):
        if one.new == first and one.holds:
            first = one.old
    chain = KeyChain(Ed25519PublicKey.from_public_bytes(first))
    for one in words:
        if one.old == chain.current.public_bytes_raw():
            chain.follow(one.leaf)
    return chain


def _settings(file: Path, *, needed: bool) -> config.Settings | None:
    try:
        return config.load(file)
    except config.SettingsError:
        if needed:
            raise
        return None


def _print_journals(journals: dict[str, Any]) -> None:
    if not journals.get("segments"):
        return
    looked = f"journals: {journals['segments']} segments with {journals.get('records')} records"
    if journals.get("checked") == "contents":
        print_line(f"{looked}, contents checked")
    else:
        print_line(f"{looked}, structure checked; contents take the archivist's journal.pem")


def _print_deletions(told: dict[str, Any]) -> None:
    for rule, count in (told.get("by_rule") or {}).items():
        print_line(f"deleted by the retention rule {rule}: {count}")
    if told.get("unknown"):
        print_line(f"deleted, by a rule that nothing tells any more: {told['unknown']}")


def _print_marked(marker: str, told: dict[str, Any]) -> None:
    sessions = told.get("sessions") or []
    if sessions:
        more = ", ..." if told.get("count", 0) > MARKED_SHOWN else ""
        shown = ", ".join(sessions[:MARKED_SHOWN])
        print_line(f"recordings marked {marker}: {told.get('count')} ({shown}{more})")


def _journal_key(keys: Path, signing: Ed25519PublicKey) -> Opener | None:
    """What opens the journals, if it can be read and is of the gateway that is verified."""
    try:
        own, asked = (
            load_signing_public(keys / "public" / "signing.pem").public_bytes_raw(),
            signing.public_bytes_raw(),
        )
        load_journal(keys)
        known = path_between(successions(keys / "public"), asked, own) is not None
        return journal_opener(keys) if known else None
    except KeysUnusable:
        return None


def _key(file: Path) -> Ed25519PublicKey:
    try:
        return load_signing_public(file)
    except KeysUnusable as error:
        raise Failure(
            str(error), hint="--key names keys/public/signing.pem, or a copy of it", code=USAGE
        ) from error
