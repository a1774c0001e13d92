"""SFTP's packets: values to bytes and back (draft-ietf-secsh-filexfer-02; OpenSSH's PROTOCOL, section 4)."""

import pytest

from bodycam.protocols.ssh.files import extensions, messages
from bodycam.protocols.ssh.files.attributes import Attributes
from bodycam.protocols.ssh.files.codec import Malformed, Packets, framed
from bodycam.protocols.ssh.files.fault import FilesFault
from bodycam.protocols.ssh.files.messages import Code, Flag, Hello, Reply, Request, Type

HELLOS = [
    (Hello(Type.INIT, 3), "01 00000003"),
    (Hello(Type.VERSION, 3, ((b"ab", b"1"),)), "02 00000003 00000002 6162 00000001 31"),
]

REQUESTS = [
    (
        Request(Type.OPEN, 7, path=b"/a", flags=Flag.WRITE | Flag.CREATE, attributes=Attributes(mode=0o644)),
        "03 00000007 00000002 2f61 0000000a 00000004 000001a4",
    ),
    (Request(Type.CLOSE, 7, handle=b"\0\0"), "04 00000007 00000002 0000"),
    (
        Request(Type.READ, 7, handle=b"h", offset=1 << 32, length=16),
        "05 00000007 00000001 68 0000000100000000 00000010",
    ),
    (
        Request(Type.WRITE, 7, handle=b"h", offset=1, data=b"xy"),
        "06 00000007 00000001 68 0000000000000001 00000002 7879",
    ),
    (Request(Type.LSTAT, 7, path=b"/a"), "07 00000007 00000002 2f61"),
    (Request(Type.FSTAT, 7, handle=b"h"), "08 00000007 00000001 68"),
    (
        Request(Type.SETSTAT, 7, path=b"a", attributes=Attributes(size=5, owner=(1, 2), times=(3, 4))),
        "09 00000007 00000001 61 0000000b 0000000000000005 00000001 00000002 00000003 00000004",
    ),
    (
        Request(Type.FSETSTAT, 7, handle=b"h", attributes=Attributes(extended=((b"n", b"v"),))),
        "0a 00000007 00000001 68 80000000 00000001 00000001 6e 00000001 76",
    ),
    (Request(Type.OPENDIR, 7, path=b"a"), "0b 00000007 00000001 61"),
    (Request(Type.READDIR, 7, handle=b"h"), "0c 00000007 00000001 68"),
    (Request(Type.REMOVE, 7, path=b"a"), "0d 00000007 00000001 61"),
    (Request(Type.MKDIR, 7, path=b"a"), "0e 00000007 00000001 61 00000000"),
    (Request(Type.RMDIR, 7, path=b"a"), "0f 00000007 00000001 61"),
    (Request(Type.REALPATH, 7, path=b""), "10 00000007 00000000"),
    (Request(Type.STAT, 0xFFFFFFFF, path=b"\xff"), "11 ffffffff 00000001 ff"),
    (Request(Type.RENAME, 7, path=b"a", to=b"b"), "12 00000007 00000001 61 00000001 62"),
    (Request(Type.READLINK, 7, path=b"a"), "13 00000007 00000001 61"),
    (Request(Type.SYMLINK, 7, path=b"a", to=b"b"), "14 00000007 00000001 61 00000001 62"),
    (
        Request(Type.EXTENDED, 7, extension=extensions.FSYNC, handle=b"h"),
        "c8 00000007 00000011 6673796e63406f70656e7373682e636f6d 00000001 68",
    ),
    (
        Request(
            Type.EXTENDED, 7, extension=extensions.COPY_DATA, handle=b"h", offset=1, span=2, to_handle=b"i",
            to_offset=3,
        ),
        "c8 00000007 00000009 636f70792d64617461 00000001 68 0000000000000001 0000000000000002"
        "00000001 69 0000000000000003",
    ),
    (
        Request(Type.EXTENDED, 7, extension=extensions.LIMITS),
        "c8 00000007 00000012 6c696d697473406f70656e7373682e636f6d",
    ),
]  # fmt: skip

REPLIES = [
    (
        Reply(Type.STATUS, 7, code=Code.EOF, message=b"End"),
        "65 00000007 00000001 00000003 456e64 00000000",
    ),
    (Reply(Type.HANDLE, 7, handle=b"h"), "66 00000007 00000001 68"),
    (Reply(Type.DATA, 7, data=b"xy"), "67 00000007 00000002 7879"),
    (
        Reply(Type.NAME, 7, names=((b"a", b"-rw a", Attributes(size=1)),)),
        "68 00000007 00000001 00000001 61 00000005 2d72772061 00000001 0000000000000001",
    ),
    (Reply(Type.ATTRS, 7, attributes=Attributes(mode=0o100644)), "69 00000007 00000004 000081a4"),
    (Reply(Type.EXTENDED_REPLY, 7, data=b"\1\2"), "c9 00000007 0102"),
]


def values(message: Hello | Request | Reply) -> dict[str, object]:
    return {
        name: str(value) if isinstance(value := getattr(message, name), Attributes) else repr(value)
        for name in message.__slots__
        if name != "names"
    }


@pytest.mark.parametrize(("message", "said"), HELLOS, ids=lambda one: one if isinstance(one, str) else "")
def test_hellos(message: Hello, said: str) -> None:
    packet = bytes.fromhex(said)
    assert message.pack() == packet
    assert values(messages.hello(packet, message.kind)) == values(message)


@pytest.mark.parametrize(("message", "said"), REQUESTS, ids=lambda one: one if isinstance(one, str) else "")
def test_requests(message: Request, said: str) -> None:
    packet = bytes.fromhex(said)
    assert message.pack() == packet
    read = messages.request(packet)
    assert read.pack() == packet
    assert (read.kind, read.id, read.path, read.to, read.handle, read.data, read.offset, read.length) == (
        message.kind, message.id, message.path, message.to, message.handle, message.data, message.offset,
        message.length,
    )  # fmt: skip
    for cut in range(5, len(packet)):
        with pytest.raises(Malformed):
            messages.request(packet[:cut])
    with pytest.raises(Malformed, match="too many"):
        messages.request(packet + b"\0")


@pytest.mark.parametrize(("message", "said"), REPLIES, ids=lambda one: one if isinstance(one, str) else "")
def test_replies(message: Reply, said: str) -> None:
    packet = bytes.fromhex(said)
    assert message.pack() == packet
    read = messages.reply(packet)
    assert read.pack() == packet
    assert (read.kind, read.code, read.message, read.handle, read.data) == (
        message.kind, message.code, message.message, message.handle, message.data,
    )  # fmt: skip


def test_every_request_of_the_draft_is_in_the_table() -> None:
    assert {message.kind for message, _ in REQUESTS} == {*messages.REQUEST_TYPES, Type.EXTENDED}


def test_a_status_may_leave_out_its_message() -> None:
    assert messages.reply(bytes.fromhex("65 00000001 00000000")).code == Code.OK


@pytest.mark.parametrize("kind", [0, 2, 21, 101, 199, 255])
def test_what_nobody_knows_has_an_id(kind: int) -> None:
    read = messages.request(bytes([kind]) + b"\0\0\0\7 whatever")
    assert (read.known, read.id) == (False, 7)


def test_an_extension_that_nobody_knows_is_named() -> None:
    read = messages.request(bytes.fromhex("c8 00000007 00000003 6f6464 ffff"))
    assert (read.known, read.extension) == (False, b"odd")


@pytest.mark.parametrize(
    "said",
    [
        "03 00000007 00000001 61 00000001 00000010",  # a flag of attributes that version 3 has not
        "03 00000007 ffffffff 61 00000001 00000000",  # a string as long as the world
        "09 00000007 00000001 61 80000000 ffffffff",  # as many extended attributes
    ],
)
def test_requests_that_make_no_sense(said: str) -> None:
    with pytest.raises(Malformed):
        messages.request(bytes.fromhex(said))


@pytest.mark.parametrize(
    "said", ["68 00000001 ffffffff", "00 00000001", "03 00000001", "66 00000001 7fffffff"]
)
def test_replies_that_make_no_sense(said: str) -> None:
    with pytest.raises(Malformed):
        messages.reply(bytes.fromhex(said))


def test_packets_come_in_any_pieces() -> None:
    sent = b"".join(framed(packet) for packet in (b"\1abc", b"\2", b"\3" + b"x" * 300))
    for size in (1, 2, 3, 5, 100, 400):
        packets = Packets("client")
        found = []
        for at in range(0, len(sent), size):
            found += packets.feed(sent[at : at + size])
        assert found == [b"\1abc", b"\2", b"\3" + b"x" * 300]


@pytest.mark.parametrize("length", ["00000000", "00000065", "80000000", "ffffffff"])
def test_packets_have_bounds(length: str) -> None:
    packets = Packets("client", most=100)
    with pytest.raises(FilesFault, match="100 are the most"):
        for byte in bytes.fromhex(length):
            list(packets.feed(bytes([byte])))


def test_extensions_of_other_versions_are_not_understood() -> None:
    announced = [(b"statvfs@openssh.com", b"1"), (b"fsync@openssh.com", b"1"), (b"vendor-id", b"x")]
    assert extensions.understood(announced) == ((b"fsync@openssh.com", b"1"),)


def test_what_extended_replies_say() -> None:
    names = bytes.fromhex("00000008 00000004 726f6f74 00000004 00000000")
    assert extensions.told(extensions.USERS_GROUPS, names) == "users root groups "
    numbers = b"".join([at.to_bytes(8, "big") for at in range(11)])
    assert extensions.told(extensions.STATVFS, numbers).startswith("bsize 0 frsize 1 blocks 2 ")
    with pytest.raises(Malformed):
        extensions.told(extensions.FSTATVFS, numbers[:-1])
