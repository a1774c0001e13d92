"""Ledger heads that were kept outside: what files hold them, and how they are read.

`bodycam run` keeps one at a run's end; anchors keep one a line, in a file or as the body of a webhook, and
with a time stamp where an authority gave one.
"""

import base64
import binascii
import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bodycam.archive.head import Head

MOST = 100_000
"""Heads that are taken of one file, the last ones."""

MOST_LINE = 1 << 20


@dataclass(frozen=True, slots=True)
class KeptHead:
    """A head, where it was kept (a file, with the line in it), and its time-stamp response in DER, if any."""

    where: str
    head: Head
    stamp: bytes | None = None


def read_kept(file: Path) -> list[KeptHead]:
    """The heads in a file: a head, what has one under `head`, or one of these a line.

    Lines that a crash cut, and empty ones, are passed over.

    Raises:
        OSError: it can't be read.
        ValueError: it holds no head.
    """
    try:
        found = deque(_lines(file), maxlen=MOST)
    except ValueError:
        found = deque()
    if not found:
        with file.open("rb") as stream:
            data = stream.read(MOST_LINE + 1)
        if len(data) > MOST_LINE:
            raise ValueError("it holds no ledger head")
        found.append(_kept(str(file), json.loads(data)))
    return list(found)


def _lines(file: Path) -> Iterator[KeptHead]:
    with file.open("rb") as stream:
        number = 0
        while line := stream.readline(MOST_LINE):
            number += 1
            try:
                plain = json.loads(line)
                yield _kept(f"{file}: line {number}", plain)
            except (ValueError, RecursionError):
                # an appender that died leaves half a line, and ends it when it goes on
                continue


def _kept(where: str, plain: Any) -> KeptHead:
    if not isinstance(plain, dict):
        raise ValueError("it holds no ledger head")
    head = Head.from_plain(plain.get("head", plain))
    stamp = plain.get("stamp")
    if stamp is None:
        return KeptHead(where, head)
    try:
        return KeptHead(where, head, base64.b64decode(stamp, validate=True))
    except (binascii.Error, TypeError, ValueError) as error:
        raise ValueError("its time stamp is not base64") from error
