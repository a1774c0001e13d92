"""TLS contexts towards targets that are made once."""

import os
from pathlib import Path

import pytest

from bodycam.model.target import TlsMode
from bodycam.net.authority import Authority
from bodycam.net.known_contexts import known_context
from bodycam.net.tls import TlsError


def test_the_same_is_made_once(tmp_path: Path) -> None:
    file = authorities(tmp_path, "one")

    first = known_context(TlsMode.VERIFY_FULL, file, ("http/1.1",))

    assert known_context(TlsMode.VERIFY_FULL, file, ("http/1.1",)) is first
    assert known_context(TlsMode.VERIFY_CA, file, ("http/1.1",)) is not first
    assert known_context(TlsMode.VERIFY_FULL, file, ("h2", "http/1.1")) is not first


def test_a_file_of_authorities_that_was_changed_is_read_again(tmp_path: Path) -> None:
    file = authorities(tmp_path, "one")
    before = known_context(TlsMode.VERIFY_FULL, file, ())
    authorities(tmp_path, "another")
    os.utime(file, ns=(1, 1))

    after = known_context(TlsMode.VERIFY_FULL, file, ())

    assert [one["subject"] for one in before.get_ca_certs()] == [((("commonName", "one"),),)]
    assert [one["subject"] for one in after.get_ca_certs()] == [((("commonName", "another"),),)]


def test_a_file_that_is_missing_is_said_each_time(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(TlsError, match=r"gone\.pem"):
            known_context(TlsMode.VERIFY_FULL, str(tmp_path / "gone.pem"), ())


def authorities(folder: Path, name: str) -> str:
    file = folder / "authorities.pem"
    file.write_bytes(Authority.create(name).certificate_pem)
    return str(file)
