"""Peers and settings at the edge of what the protocol can say: a clear answer, never a stray exception."""

import struct

import pytest

from bodycam.model.target import Dial
from bodycam.net.opening import More
from bodycam.protocols.postgres import backend
from bodycam.protocols.postgres.opening import Opening
from bodycam.protocols.postgres.reading import message
from bodycam.protocols.postgres.target_failure import TargetLoginFailed
from bodycam.protocols.postgres.target_login import TargetLogin
from bodycam.protocols.postgres.target_scram import SCRAM


def login(password: str) -> TargetLogin:
    one = TargetLogin(Dial("db", 5432, "gateway", "shop", password), {})
    one.start()
    return one


def test_no_bytes_yet_tell_nothing() -> None:
    assert Opening(True).look(b"") == More()


def test_more_columns_than_a_signed_count_holds_keep_their_number() -> None:
    many = message(b"T", struct.pack(">H", 40_000), (b"a\0" + bytes(18)) * 40_000)
    assert [field.format for field in backend.row_description(backend.with_formats(many, (1,)))] == [
        1
    ] * 40_000


@pytest.mark.parametrize("password", ["a\0b", "a\x07b", "\u0627x"], ids=["nul", "control", "mixed-direction"])
def test_a_password_that_scram_has_no_form_for_is_a_failed_login(password: str) -> None:
    with pytest.raises(TargetLoginFailed, match="can't carry the password") as failed:
        login(password).receive(backend.authentication_sasl([SCRAM]))
    assert (failed.value.sqlstate, bool(failed.value.hint)) == ("28P01", True)
    assert password not in failed.value.message


def test_a_password_with_a_nul_is_a_failed_login_in_cleartext_too() -> None:
    with pytest.raises(TargetLoginFailed, match="can't be sent") as failed:
        login("a\0b").receive(backend.authentication_cleartext())
    assert failed.value.sqlstate == "28P01"
