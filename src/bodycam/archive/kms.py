"""A command that wraps and unwraps key-encryption keys, such as the client of a key management service.

It gets the bytes on its standard input and answers on its standard output, without a shell, with next to no
environment, within a time and a size. What it says on standard error is not kept: it might say too much.
"""

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from bodycam.archive.kek import MAX_BLOB, KeyAway

_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")
_READ = 65536


@dataclass(frozen=True, slots=True)
class KeyCommand:
    """The command of one key-encryption key, how long it may take, and how long its answer is good.

    `timeout` and `cache` are in seconds.
    """

    wrap: tuple[str, ...]
    unwrap: tuple[str, ...]
    timeout: float = 10.0
    cache: float = 300.0


def ask(argv: Sequence[str], data: bytes, timeout: float) -> bytes:
    """Run a command with `data` on its standard input, and return what it says.

    Raises:
        KeyAway: it can't be started, fails, says nothing or too much, or is not done in time; the text names
            the program and nothing of what it was given or said.
    """
    program = os.path.basename(argv[0])  # noqa: PTH119  (a text, not a path)
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    try:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
            close_fds=True,
        )
    except OSError as error:
        raise KeyAway(f"the key command {program} can't be started: {error.strerror}") from error
    try:
        said = _talk(process, data, time.monotonic() + timeout, f"the key command {program}")
    finally:
        _end(process)
    if process.returncode:
        raise KeyAway(f"the key command {program} failed with exit code {process.returncode}")
    if not said:
        raise KeyAway(f"the key command {program} said nothing")
    return said


def _talk(process: "subprocess.Popen[bytes]", data: bytes, deadline: float, what: str) -> bytes:
    assert process.stdin is not None
    assert process.stdout is not None
    said, view = bytearray(), memoryview(data)
    os.set_blocking(process.stdin.fileno(), False)
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdin, selectors.EVENT_WRITE)
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            if not ready:
                raise KeyAway(f"{what} did not answer in time")
            for key, _ in ready:
                if key.fileobj is process.stdout:
                    piece = os.read(process.stdout.fileno(), _READ)
                    said += piece
                    if len(said) > MAX_BLOB:
                        raise KeyAway(f"{what} said more than {MAX_BLOB} bytes")
                    if not piece:
                        _wait(process, deadline, what)
                        return bytes(said)
                    continue
                try:
                    view = view[os.write(process.stdin.fileno(), view) :]
                except BlockingIOError:
                    continue
                except BrokenPipeError:
                    view = view[:0]  # it does not want to hear it; its exit code says whether that is well
                if not view:
                    selector.unregister(process.stdin)
                    process.stdin.close()


def _wait(process: "subprocess.Popen[bytes]", deadline: float, what: str) -> None:
    try:
        process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired as error:
        raise KeyAway(f"{what} did not end in time") from error


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Take away what is left of it, its children too."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(OSError):
                stream.close()
