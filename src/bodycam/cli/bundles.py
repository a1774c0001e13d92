"""`bodycam verify BUNDLE`: a bundle of evidence, checked by itself, and what is said of it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from rich.console import Console
from rich.progress import Progress

from bodycam.archive.evidence.checking import BundleVerifier
from bodycam.archive.kept import KeptHead
from bodycam.cli.failure import USAGE, Failure
from bodycam.cli.printing import print_line, tell, when
from bodycam.cli.stamped import print_stamps
from bodycam.registry import TRANSCRIPTS


def verify_bundle(file: Path, pinned: Ed25519PublicKey | None, kept: Sequence[KeptHead]) -> dict[str, Any]:
    """The report on a bundle; nothing but the file is read.

    Raises:
        Failure: it can't be read.
    """
    verifier = BundleVerifier(file, key=pinned, kept=kept, transcripts=TRANSCRIPTS)
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("the bundle", total=None)
        try:
            report = verifier.run(lambda done, total: progress.update(task, completed=done, total=total))
        except OSError as error:
            raise Failure(f"{file} can't be read: {error.strerror}", code=USAGE) from error
    return report.to_plain()


def print_bundle(report: dict[str, Any]) -> None:
    """The report for people."""
    counts, run = report["counts"], report["run"]
    print_line(f"{report['state']}: " + ", ".join(f"{number} {name}" for name, number in counts.items()))
    principal = run.get("principal")
    if isinstance(principal, dict):
        who = f"{principal.get('subject')}@{principal.get('issuer')}"
        created = run.get("created")
        begun = when(created / 1e6) if isinstance(created, int) and abs(created) < 1 << 56 else ""
        print_line(f"run {run.get('id')} of agent {run.get('agent')}, started by {who}, {begun}")
    for one in report["open"]:
        print_line(f"not sealed when the bundle was made: {one}")
    for one in report["deletions"]:
        rule = one.get("rule")
        by = f"by the retention rule {rule}" if rule else "by a rule that nothing tells any more"
        print_line(f"deleted {by}: {one.get('session')}")
    for one in report["kept_heads"]:
        if one["ok"]:
            print_line(f"extends the head over {one['size']} leaves kept in {one['file']}")
        elif one["ok"] is None:
            print_line(f"the head over {one['size']} leaves in {one['file']} {one['what']}")
    print_stamps(report)
    for note in report["notes"]:
        print_line(f"note: {note}")
    for one in report["findings"]:
        print_line(f"broken: {one['where']}: {one['what']}")
    if report["state"] == "self-consistent":
        tell("`authentic` takes --key and --head: a key and a head that were kept elsewhere")
