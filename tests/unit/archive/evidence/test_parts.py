"""The bundle's parts by themselves: envelope, statement, tar form, sheets, pages, the order in a stamp."""

import io
import json
import tarfile
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from bodycam.archive import frames, merkle
from bodycam.archive.der import with_sorted_certificates
from bodycam.archive.evidence import bundle, dsse, statement
from bodycam.archive.evidence.pages import TEXT_MOST, Pages, visible
from bodycam.archive.evidence.sheet import MOST_LISTED, Sheet, plain
from bodycam.archive.merkle import Frontier
from bodycam.model.event import Kind
from bodycam.registry import TRANSCRIPTS

KEY = Ed25519PrivateKey.generate()


class TestEnvelopes:
    """https://github.com/secure-systems-lab/dsse/blob/master/protocol.md, test vectors."""

    TYPE, PAYLOAD = "http://example.com/HelloWorld", b"hello world"

    def test_the_encoding_of_the_specification(self) -> None:
        assert dsse.pae(self.TYPE, self.PAYLOAD) == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        assert dsse.pae("", b"") == b"DSSEv1 0  0 "
        assert dsse.pae("ü", b"\n") == b"DSSEv1 2 \xc3\xbc 1 \n"

    def test_the_signature_of_the_specification(self) -> None:
        x = 46950820868899156662930047687818585632848591499744589407958293238635476079160
        y = 5640078356564379163099075877009565129882514886557779369047442380624545832820
        signature = "A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA=="
        raw = dsse._bytes(signature)
        r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
        key = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
        key.verify(encode_dss_signature(r, s), dsse.pae(self.TYPE, self.PAYLOAD), ec.ECDSA(hashes.SHA256()))

    def test_there_and_back(self) -> None:
        data = dsse.signed(dsse.IN_TOTO, b"payload", KEY)
        found = dsse.read(data)
        assert (found.kind, found.payload, found.holds(KEY.public_key())) == (dsse.IN_TOTO, b"payload", True)
        assert found.signatures[0][0] == dsse.key_id(KEY.public_key())
        assert not found.holds(Ed25519PrivateKey.generate().public_key())
        assert not dsse.Envelope("other", found.payload, found.signatures).holds(KEY.public_key())

    @pytest.mark.parametrize(
        "data",
        [
            b"", b"[]", b"{}", b'{"payload":"","payloadType":"x","signatures":[]}', b"[" * 5000,
            b'{"payload":"!","payloadType":"x","signatures":[{"sig":""}]}',
            b'{"payload":"","payloadType":"x","signatures":[{"keyid":"a"}]}',
            b'{"payload":"","payloadType":"x","signatures":[5]}',
            b'{"payload": "","payloadType":"x","signatures":[{"keyid":"","sig":""}]}\n',
        ],
    )  # fmt: skip
    def test_what_is_none(self, data: bytes) -> None:
        with pytest.raises(dsse.BadEnvelope):
            dsse.read(data)


def test_a_statement_is_read_as_it_was_written_and_nothing_else_is() -> None:
    members = [("a", "00" * 32), ("b/c", "ff" * 32)]
    data = statement.encode(members, {"run": "run_a"})
    assert statement.decode(data) == statement.Statement(tuple(members), {"run": "run_a"})
    good: dict[str, Any] = json.loads(data)
    for change in (
        {"_type": "x"},
        {"predicateType": "x"},
        {"predicate": 1},
        {"subject": [1]},
        {"subject": [{"name": "a", "digest": {"sha1": "00"}}]},
    ):
        with pytest.raises(ValueError):  # noqa: PT011 - which of them it is does not matter
            statement.decode(json.dumps(good | change).encode())


def test_every_tar_program_reads_a_bundle() -> None:
    parts = [("sessions/ses_a/recording.bcs", b"x" * 700), ("run.json", b"{}"), ("empty", b"")]
    data = b"".join(bundle.whole(name, content) for name, content in parts) + bundle.END
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert [(one.name, one.size, one.isfile()) for one in archive] == [
            (name, len(content), True) for name, content in parts
        ]
        archive_file = archive.extractfile("run.json")
        assert archive_file is not None
        assert archive_file.read() == b"{}"
    assert [one.name for one in bundle.members(io.BytesIO(data))] == [name for name, _ in parts]
    # more than eight gigabytes do not fit into octal digits
    assert tarfile.TarInfo.frombuf(bundle.header("big", 1 << 43), "ascii", "strict").size == 1 << 43


def test_frames_are_found_wherever_the_pieces_end() -> None:
    data = b"".join(frames.encode(bytes([number]) * (number + 1)) for number in range(9))
    expected = list(frames.read(io.BytesIO(data)))
    for size in (1, 3, 8, 9, 100):
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        assert list(frames.of_pieces(pieces)) == expected
    for bad in (data[:-1], data[:3], b"\0" * 20, data[:9] + b"\1" + data[10:]):
        with pytest.raises(frames.BadFrame):
            list(frames.of_pieces([bad]))


@pytest.mark.parametrize("size", [0, 1, 2, 3, 5, 8, 13])
def test_a_tree_goes_on_from_its_peaks(size: int) -> None:
    leaves = [merkle.leaf_hash(bytes([number])) for number in range(16)]
    frontier = Frontier.resumed(size, merkle.peaks(size, merkle.subtrees(leaves)))
    assert frontier.root == merkle.root(leaves[:size])
    for number in range(size, 16):
        frontier.add(leaves[number])
        assert frontier.root == merkle.root(leaves[: number + 1])
    with pytest.raises(ValueError, match="complete subtrees"):
        Frontier.resumed(size, [bytes(32)] * 9)


def test_a_sheet_holds_what_a_hostile_worker_wrote() -> None:
    assert plain(
        {1: b"\xff", b"k": {2, 1}, "n": float("nan"), "big": 1 << 20_000, "deep": [[[[[[[[[[1]]]]]]]]]]}
    )
    assert len(plain("x" * 10_000)) == 4000
    sheet = Sheet()
    sheet.feed([2, 1 << 90_000, 1 << 90_000, ["query", "", [], {}, "statement", ["deny", "r", "p", "m"], 0]])
    for event in (
        [1, 0, 0, {"run": ["no"], "started": "x"}],
        [1, 0, 0, 5],
        [2, 0, 1, []],
        [2, 0, 1, None],
        [6, 0, 0, 7],
        [99, 0, 0, {}],
    ):
        sheet.feed(event)
    assert (sheet.run, sheet.started) == ("['no']", 0)
    for number in range(MOST_LISTED + 5):
        sheet.feed([2, number, number, ["query", "", [], {}, "statement", ["deny", "r", "p", "m"], 0]])
    assert sheet._more == 6
    assert json.dumps(sheet._verdicts)


HUGE = 1 << 90_000
"""Python refuses to write numbers of more than some thousand digits."""

OPENED = {"principal": {"issuer": "i", "subject": "s"}, "target": {"name": "t", "protocol": "postgres"}, "run": "r",
          "agent": "a", "database": "d", "address": "x", "started": 1}  # fmt: skip


def pages(*events: list[Any]) -> list[str]:
    made = Pages("ses_a", TRANSCRIPTS)
    found = [page for event in events for page in made.feed(event)]
    return [one.decode() for one in (*found, made.finish())]


def test_a_long_session_has_pages_that_lead_to_each_other() -> None:
    asked = [
        [2, number, number, ["query", f"select '{'y' * 5000}'", [], {}, "statement", None, 0]]
        for number in range(300)
    ]
    found = pages([1, 0, 0, OPENED], *asked)
    assert len(found) == 3
    assert 'href="transcript-00002.html"' in found[0]
    assert 'href="transcript-00001.html"' in found[1]
    assert "The end" in found[2]
    assert max(map(len, found)) < 1 << 20


def test_what_can_not_be_seen_is_shown_and_a_very_long_text_cut() -> None:
    assert visible("a\x1b[2J\u202e\ud800\tb\n") == "a\\x1b[2J\\u202e\\ud800\tb\n"
    assert visible("x" * (TEXT_MOST + 7)).endswith("[7 more characters are in the recording]")


@pytest.mark.parametrize(
    "event",
    [
        [1, 0, 0, {}],
        [1, 0, 0, None],
        [2, 0, 1, "?"],
        [4, 0, 1, [1, 1, b"\xff" * 9]],
        [77, 0, 0, {}],
        [2, HUGE, HUGE, ["query", "x", [], {}, "statement", ["deny", "r", "p", "m"], HUGE]],
        [5, 0, 1, ["ok", HUGE, 0, 0, None, None]],
        [2, 0, 1, ["query", "x", [[HUGE, 0, b"y"]], {}, 1, None, 0]],
    ],
)
def test_an_event_that_makes_no_sense_is_a_page_all_the_same(event: list[Any]) -> None:
    assert "Session ses_a" in pages([1, 0, 0, OPENED], event)[0]
    assert "Session ses_a" in pages(event)[0]


@pytest.mark.parametrize(
    "data", [b"", b"\x30", b"\x30\x80", b"\x30\x84\xff\xff\xff\xff", b"\x30\x03\x02\x01\x00", bytes(100)]
)
def test_an_answer_of_no_form_is_left_as_it_is(data: bytes) -> None:
    assert with_sorted_certificates(data) == data


def test_the_key_in_a_bundle_is_in_pem() -> None:
    pem = KEY.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert serialization.load_pem_public_key(pem)
    assert Kind.OPENED == 1
