"""A key management service of a few lines: it masks by its one key, and fails or hangs when it is told to.

`kms.py FOLDER wrap|unwrap`; the file `mode` in the folder says `fail`, `hang`, `flood`, `wrong` or nothing.
"""

import sys
import time
from pathlib import Path

folder, verb = Path(sys.argv[1]), sys.argv[2]
with (folder / "calls").open("a") as calls:
    calls.write(f"{verb}\n")
mode = (folder / "mode").read_text().strip() if (folder / "mode").exists() else ""
data = sys.stdin.buffer.read()
key = (folder / "master").read_bytes()
match mode:
    case "fail":
        sys.stderr.write(f"refused, and by accident the key is said: {data.hex()}\n")
        sys.exit(7)
    case "hang":
        time.sleep(3600)
    case "flood":
        sys.stdout.buffer.write(b"x" * (1 << 20))
    case "wrong":
        sys.stdout.buffer.write(bytes(32))
    case _:
        said = bytes(one ^ key[at % len(key)] for at, one in enumerate(data))
        sys.stdout.buffer.write(said)
