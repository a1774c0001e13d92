"""What the record has of files with secrets in them; client and target get them as they are."""

import pytest

from bodycam.model.event import Kind
from bodycam.policy.redaction import Redactor
from bodycam.protocols.ssh.files.attributes import Attributes
from bodycam.protocols.ssh.files.messages import Flag, Reply, Request, Type
from tests.playbook.scp_stage import ScpChannel
from tests.playbook.sftp_stage import Channel, ok
from tests.playbook.test_http_masks import Masks

NEW = Flag.WRITE | Flag.CREATE | Flag.TRUNCATE


class Masked(Masks):
    def said(self, text: str) -> str:
        return text.replace("hunter2", "*******!")


class Masking:
    def open(self, *about: object) -> Masked:
        return Masked()


class NothingKept(Masked):
    keeps_bodies = False


class Forgetting:
    def open(self, *about: object) -> NothingKept:
        return NothingKept()


def recorded(channel: Channel, way: Kind) -> bytes:
    """What was recorded of the file operations."""
    return b"".join(body[2] for kind, number, body in channel.journal.entries if kind is way and number > 1)


def test_what_is_read_is_masked_in_the_record_alone() -> None:
    channel = Channel(masking=Masking()).greet()
    channel.opened(b"/a", Flag.READ)
    channel.client(
        Request(Type.READ, 1, handle=b"h0", offset=0, length=8),
        Request(Type.READ, 2, handle=b"h0", offset=8, length=8),
    )
    channel.target(Reply(Type.DATA, 1, data=b"key hunt"), Reply(Type.DATA, 2, data=b"er2 end\n"))
    assert [line for line in channel.take() if "client gets" in line] == [
        "client gets DATA 1 key hunt",
        "client gets DATA 2 er2 end\n",
    ]
    channel.client(Request(Type.CLOSE, 3, handle=b"h0"))
    channel.target(ok(3))
    assert recorded(channel, Kind.TO_CLIENT) == b"key *******! end\n"


def test_names_are_masked_in_the_record() -> None:
    channel = Channel(masking=Masking()).greet()
    channel.client(Request(Type.OPENDIR, 1, path=b"/d"))
    channel.target(Reply(Type.HANDLE, 1, handle=b"d"))
    channel.client(Request(Type.READLINK, 2, path=b"/l"))
    channel.target(Reply(Type.NAME, 2, names=((b"/hunter2", b"", Attributes()),)))
    assert recorded(channel, Kind.TO_CLIENT) == b"/*******!\n"
    assert b"/hunter2" in channel.to_client[-1]


def test_what_is_written_is_redacted_in_the_record_alone() -> None:
    channel = Channel(redaction=Redactor()).greet()
    channel.opened(b"/a", NEW)
    pieces = (b"user = a\npass", b"word = 'correct-horse'\n", b"end")
    for at, piece in enumerate(pieces):
        channel.client(Request(Type.WRITE, at, handle=b"h0", offset=sum(map(len, pieces[:at])), data=piece))
        channel.target(ok(at))
        assert piece in channel.to_target[-1]
    channel.client(Request(Type.CLOSE, 9, handle=b"h0"))
    channel.target(ok(9))
    assert recorded(channel, Kind.TO_TARGET) == b"user = a\npassword = '[redacted]'\nend"


def test_the_record_of_a_file_does_not_stay_behind_when_nothing_more_comes() -> None:
    channel = Channel(redaction=Redactor()).greet()
    channel.opened(b"/a", NEW)
    channel.client(Request(Type.WRITE, 1, handle=b"h0", offset=0, data=b"all\nand half a l"))
    channel.target(ok(1))
    assert recorded(channel, Kind.TO_TARGET) == b"all\n"
    assert channel.relay.lags
    channel.client(Request(Type.WRITE, 2, handle=b"h0", offset=16, data=b"ine and"))
    channel.target(ok(2))
    # more has come in between
    channel.relay.settle()
    assert recorded(channel, Kind.TO_TARGET) == b"all\n"
    channel.relay.settle()
    assert recorded(channel, Kind.TO_TARGET) == b"all\nand half a line and"
    assert not channel.relay.lags
    channel.client(Request(Type.WRITE, 3, handle=b"h0", offset=23, data=b" more"))
    channel.target(ok(3))
    channel.client(Request(Type.CLOSE, 9, handle=b"h0"))
    channel.target(ok(9))
    assert recorded(channel, Kind.TO_TARGET) == b"all\nand half a line and more"


def test_nor_does_that_of_the_old_scp() -> None:
    channel = ScpChannel("scp -f /a", masking=Masking())
    channel.client(b"\0")
    channel.target(b"C0600 11 a\n")
    channel.client(b"\0")
    channel.target(b"is half")
    channel.scp.settle()
    channel.scp.settle()
    assert recorded(channel, Kind.TO_CLIENT) == b"is half"
    assert not channel.scp.lags
    channel.target(b" too\0")
    channel.client(b"\0")
    assert recorded(channel, Kind.TO_CLIENT) == b"is half too"


@pytest.mark.parametrize("flags", [NEW, Flag.READ])
def test_where_nothing_is_kept_the_record_has_the_hash_alone(flags: int) -> None:
    channel = Channel(masking=Forgetting()).greet()
    channel.opened(b"/a", flags)
    if flags == NEW:
        channel.client(Request(Type.WRITE, 1, handle=b"h0", offset=0, data=b"content"))
        channel.target(ok(1))
    else:
        channel.client(Request(Type.READ, 1, handle=b"h0", offset=0, length=7))
        channel.target(Reply(Type.DATA, 1, data=b"content"))
    channel.client(Request(Type.CLOSE, 9, handle=b"h0"))
    channel.target(ok(9))
    assert recorded(channel, Kind.TO_TARGET) + recorded(channel, Kind.TO_CLIENT) == b""
    notes = [body for kind, _, body in channel.journal.entries if kind is Kind.NOTE]
    assert notes[-2]["what"].startswith("0 of a file's 7 bytes are recorded; SHA-256 of all: ")
    assert (notes[-1]["note"], notes[-1]["size"]) == ("file", 7)


def test_a_path_with_a_secret_is_redacted_in_the_record_alone() -> None:
    channel = Channel(redaction=Redactor()).greet()
    path = b"/a?password='correct-horse'"
    channel.client(Request(Type.REMOVE, 1, path=path))
    assert path in channel.to_target[-1]
    body = channel.journal.entries[-1][2]
    assert "correct-horse" not in str(body)


def test_the_old_scp_is_no_other() -> None:
    channel = ScpChannel("scp -f /a", masking=Masking())
    channel.client(b"\0")
    channel.target(b"C0600 11 a\n")
    channel.client(b"\0")
    channel.target(b"is hun", b"ter2.\0")
    assert channel.to_client[1:] == [b"is hunter2.", b"\0"]
    channel.client(b"\0")
    assert recorded(channel, Kind.TO_CLIENT) == b"is *******!."
