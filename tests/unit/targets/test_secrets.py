"""Secrets from variables, files and commands; errors name the source and never the secret."""

import os
import time
from pathlib import Path

import pytest

from bodycam.config.secret import SecretSource
from bodycam.targets.secrets import SecretUnavailable, read_certificate, read_key, read_secret


async def test_a_variable() -> None:
    assert await read_secret(SecretSource(env="A"), environment={"A": "pw"}) == "pw"
    for environment in ({}, {"A": ""}):
        with pytest.raises(SecretUnavailable, match="variable A is not set"):
            await read_secret(SecretSource(env="A"), environment=environment)


async def test_the_first_line_of_a_private_file(tmp_path: Path) -> None:
    path = tmp_path / "pw"
    path.write_bytes(b"s\xc3\xa9cret\r\nmore")
    path.chmod(0o600)
    assert await read_secret(SecretSource(file=path)) == "sécret"


@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [
        (b"hunter2", 0o644, r"open to others \(mode 0644\); make it 0600"),
        (b"\nhunter2", 0o600, "has an empty first line"),
        (b"hunter2" * 9999, 0o600, "is too long"),
        (b"hunter2\xff", 0o600, "not UTF-8"),
    ],
)
async def test_a_file_that_will_not_do(tmp_path: Path, content: bytes, mode: int, said: str) -> None:
    path = tmp_path / "pw"
    path.write_bytes(content)
    path.chmod(mode)
    with pytest.raises(SecretUnavailable, match=said) as caught:
        await read_secret(SecretSource(file=path))
    assert str(path) in str(caught.value)
    assert "hunter2" not in str(caught.value)


async def test_a_fifo_in_the_files_place_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pw", 0o600)
    with pytest.raises(SecretUnavailable, match="not a plain file"):
        await read_secret(SecretSource(file=tmp_path / "pw"))
    with pytest.raises(SecretUnavailable, match="No such file"):
        await read_secret(SecretSource(file=tmp_path / "none"))


async def test_a_key_is_a_whole_private_file_and_a_certificate_may_be_read_by_all(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    for path, mode in ((key, 0o600), (certificate, 0o644)):
        path.write_text("-----BEGIN X-----\nhunter2\n-----END X-----\n")
        path.chmod(mode)

    assert await read_key(key) == key.read_text()
    assert await read_certificate(certificate) == key.read_text()
    key.chmod(0o640)
    with pytest.raises(SecretUnavailable, match=r"open to others \(mode 0640\); make it 0600") as caught:
        await read_key(key)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"), [(b"", "empty"), (b"hunter2" * 9999, "too long"), (b"hunter2\xff", "not text")]
)
async def test_a_key_or_certificate_that_will_not_do(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "x.pem"
    path.write_bytes(content)
    path.chmod(0o600)
    for read in (read_key, read_certificate):
        with pytest.raises(SecretUnavailable, match=said) as caught:
            await read(path)
        assert str(path) in str(caught.value)
        assert "hunter2" not in str(caught.value)
        with pytest.raises(SecretUnavailable, match="No such file"):
            await read(tmp_path / "none")


async def test_a_fifo_in_a_key_s_place_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "k", 0o600)
    for read in (read_key, read_certificate):
        with pytest.raises(SecretUnavailable, match="not a plain file"):
            await read(tmp_path / "k")


async def test_the_first_line_of_a_command() -> None:
    assert await read_secret(SecretSource(command=("printf", "%s\\n", "a b; $x", "c"))) == "a b; $x"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("/nowhere/x", "hunter2"), "the command /nowhere/x can't be run: No such file or directory"),
        (("sh", "-c", "echo hunter2; exit 3"), "the command sh ended with status 3"),
        (("sh", "-c", "yes hunter2"), "the command sh printed more than 16384 bytes"),
        (("true",), "the command true has an empty first line"),
    ],
)
async def test_a_command_that_will_not_do(command: tuple[str, ...], said: str) -> None:
    with pytest.raises(SecretUnavailable) as caught:
        await read_secret(SecretSource(command=command))
    assert str(caught.value) == said


async def test_a_command_that_hangs_is_ended_with_all_it_started() -> None:
    begun = time.monotonic()
    with pytest.raises(SecretUnavailable, match=r"the command sh gave nothing within 0\.3 seconds"):
        await read_secret(SecretSource(command=("sh", "-c", "sleep 30 & sleep 30")), timeout=0.3)
    assert time.monotonic() - begun < 10
