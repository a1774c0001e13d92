"""Makes a golden bundle of evidence: `python -m tests.golden.make_evidence FOLDER`. Once for each version."""

import json
import sys
import tempfile
from pathlib import Path

from tests.unit.archive.evidence.made import Made, verified


def make(folder: Path) -> None:
    """A bundle, the head that was kept outside, and what verification says of it."""
    folder.mkdir()
    with tempfile.TemporaryDirectory() as root:
        made = Made(Path(root))
        try:
            bundle = made.export(kept=[2, 5])
            file = bundle.write(folder / "bundle.tar")
            (folder / "signing.pem").write_bytes(bundle["signing.pem"])
            (folder / "kept_head.json").write_text(json.dumps(made.head().to_plain()) + "\n")
            report = verified(file, made.kept.house.keys.signing.public_key(), made.head()).to_plain()
        finally:
            made.close()
    expected = {name: report[name] for name in ("state", "counts", "run", "open", "deletions", "head", "key")}
    (folder / "expected.json").write_text(json.dumps(expected, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    make(Path(sys.argv[1]))
