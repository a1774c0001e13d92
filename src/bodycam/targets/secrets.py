"""Reads a secret from where the settings say it is: a variable, a file, a command. Nothing is cached.

A private key is a secret too: a whole file, under the same rules.

A secret changed at its source is the one that the next session uses. Errors name the source, never the
secret, and never what a command printed.
"""

import asyncio
import contextlib
import os
import signal
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

from bodycam.config.secret import SecretSource

MAX_BYTES = 16 * 1024
KNOWN_HOSTS_MOST = 64 * 1024
TIMEOUT = 10.0


class SecretUnavailable(Exception):
    """The secret can't be had; the text names its source and what to do."""


async def read_secret(
    source: SecretSource, *, environment: Mapping[str, str] = os.environ, timeout: float = TIMEOUT
) -> str:
    """The secret that `source` refers to: the first line of a file or of what a command printed.

    Raises:
        SecretUnavailable: it is not there, not readable, empty, too long, or not in time.
    """
    return await _read(source, _first_line, environment, timeout)


async def read_secret_text(
    source: SecretSource, *, environment: Mapping[str, str] = os.environ, timeout: float = TIMEOUT
) -> str:
    """All that `source` refers to, of however many lines.

    Raises:
        SecretUnavailable: it is not there, not readable, empty, too long, no text, or not in time.
    """
    return await _read(source, _text, environment, timeout)


async def _read(
    source: SecretSource,
    take: Callable[[bytes, str], str],
    environment: Mapping[str, str],
    timeout: float,
) -> str:
    if source.env is not None:
        value = environment.get(source.env)
        if not value:
            raise SecretUnavailable(f"the gateway's environment variable {source.env} is not set")
        return value
    try:
        async with asyncio.timeout(timeout):
            if source.file is not None:
                # a file may lie on a network, so that reading it may take as long as it likes
                return await asyncio.to_thread(_from_file, source.file, take)
            return await _from_command(source.command or (), take)
    except TimeoutError:
        raise SecretUnavailable(f"{source_name(source)} gave nothing within {timeout:g} seconds") from None


async def read_key(path: Path, *, timeout: float = TIMEOUT) -> str:
    """The text of a file with a private key.

    Raises:
        SecretUnavailable: it is not there, open to others, too long, no text, or not in time.
    """
    return await _whole(path, _private, timeout)


async def read_certificate(path: Path, *, timeout: float = TIMEOUT) -> str:
    """The text of a file with certificates, which anybody may read.

    Raises:
        SecretUnavailable: it is not there, too long, no text, or not in time.
    """
    return await _whole(path, _plain, timeout)


async def read_known_hosts(path: Path, *, timeout: float = TIMEOUT) -> str:
    """The text of a file with hosts' public keys, which anybody may read; it ends with a line's end.

    Raises:
        SecretUnavailable: it is not there, too long, no text, or not in time.
    """
    text = await _whole(path, lambda path: _plain(path, KNOWN_HOSTS_MOST), timeout, KNOWN_HOSTS_MOST)
    return text.removesuffix("\n") + "\n"


async def _whole(path: Path, read: Callable[[Path], bytes], timeout: float, most: int = MAX_BYTES) -> str:
    try:
        async with asyncio.timeout(timeout):
            data = await asyncio.to_thread(read, path)
    except TimeoutError:
        raise SecretUnavailable(f"the file {path} gave nothing within {timeout:g} seconds") from None
    return _text(data, f"the file {path}", most)


def source_name(source: SecretSource) -> str:
    """A source in the words of its error: never the arguments of a command, which can tell too much."""
    if source.env is not None:
        return f"the environment variable {source.env}"
    if source.file is not None:
        return f"the file {source.file}"
    return f"the command {(source.command or ('',))[0]}"


def _from_file(path: Path, take: Callable[[bytes, str], str]) -> str:
    return take(_private(path), f"the file {path}")


def _private(path: Path) -> bytes:
    """The content of a plain file that nobody but its owner can read, cut off behind the limit."""
    with _opened(path) as file:
        status = os.fstat(file.fileno())
        if status.st_mode & 0o077:
            raise SecretUnavailable(
                f"the file {path} is open to others (mode {stat.S_IMODE(status.st_mode):04o}); make it 0600"
            )
        if status.st_uid not in (os.geteuid(), 0):
            raise SecretUnavailable(f"the file {path} belongs to neither the gateway's user nor root")
        return _content(file, path)


def _plain(path: Path, most: int = MAX_BYTES) -> bytes:
    with _opened(path) as file:
        return _content(file, path, most)


def _opened(path: Path) -> BinaryIO:
    try:
        # not blocking, so that a FIFO in the file's place is seen and refused instead of waited for
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise SecretUnavailable(f"the file {path} can't be read: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise SecretUnavailable(f"{path} is not a plain file")
    return os.fdopen(descriptor, "rb")


def _content(file: BinaryIO, path: Path, most: int = MAX_BYTES) -> bytes:
    try:
        return file.read(most + 1)
    except OSError as error:
        raise SecretUnavailable(f"the file {path} can't be read: {error.strerror}") from error


async def _from_command(command: tuple[str, ...], take: Callable[[bytes, str], str]) -> str:
    name = f"the command {command[0]}"
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise SecretUnavailable(
            f"{name} can't be run: {getattr(error, 'strerror', None) or 'bad arguments'}"
        ) from error
    output = process.stdout
    assert output is not None
    data = b""
    try:
        while len(data) <= MAX_BYTES and (chunk := await output.read(4096)):
            data += chunk
        if len(data) > MAX_BYTES:
            raise SecretUnavailable(f"{name} printed more than {MAX_BYTES} bytes")
        status = await process.wait()
    finally:
        # its whole group, so that nothing it started stays behind, whatever ended the wait
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        # a pipe that is full and no longer read would keep `wait` from ending, so it is closed first
        process._transport.close()  # type: ignore[attr-defined]
        await process.wait()
    if status != 0:
        raise SecretUnavailable(f"{name} ended with status {status}")
    return take(data, name)


def _text(data: bytes, name: str, most: int = MAX_BYTES) -> str:
    if not data or len(data) > most:
        raise SecretUnavailable(f"{name} is {'too long' if data else 'empty'}")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise SecretUnavailable(f"{name} is not text, as PEM is") from None


def _first_line(data: bytes, name: str) -> str:
    line = data.split(b"\n", 1)[0].removesuffix(b"\r")
    if len(line) > MAX_BYTES or not line:
        raise SecretUnavailable(f"{name} {'is too long' if line else 'has an empty first line'}")
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        raise SecretUnavailable(f"{name} gave a first line that is not UTF-8") from None
