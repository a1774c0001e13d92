"""Bundles of evidence: what is in a whole one, and that each part that is altered is found and named."""

import copy
import json
import os
import secrets
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import update

from bodycam.archive import frames
from bodycam.archive.evidence import bundle, preparing
from bodycam.archive.evidence.writing import evidence
from bodycam.archive.findings import Verified
from bodycam.archive.head import Head, decode_head
from bodycam.archive.leaf import Leaf
from bodycam.catalog import tables
from bodycam.catalog.engine import writing
from bodycam.model import ids
from tests.unit.archive.evidence.made import Bundle, Made, told, verified

OTHER = Ed25519PrivateKey.generate()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    made = Made(tmp_path_factory.mktemp("made"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def exported(made: Made) -> Bundle:
    return made.export(kept=[2, 5])


@pytest.fixture(scope="module")
def heads(made: Made) -> dict[int, Head]:
    with (made.root / "ledger" / "heads").open("rb") as stream:
        return {one.size: one for _, data in frames.read(stream) for one in [decode_head(data)[0]]}


@pytest.fixture
def whole(exported: Bundle) -> Bundle:
    return Bundle(list(exported.members), exported.signing)


def check(made: Made, changed: Bundle, file: Path, *kept: Head) -> list[str]:
    """What is found of a bundle that must not pass."""
    report = verified(
        changed.write(file), made.kept.house.keys.signing.public_key(), *(kept or (made.head(),))
    )
    assert report.state is Verified.BROKEN, told(report)
    return told(report)


class TestAWholeOne:
    def test_is_authentic_with_key_and_head(self, made: Made, whole: Bundle, tmp_path: Path) -> None:
        key = made.kept.house.keys.signing.public_key()
        report = verified(whole.write(tmp_path / "b.tar"), key, made.head())
        assert (told(report), report.state, report.notes) == ([], Verified.AUTHENTIC, ())
        assert report.open == (made.names["open"],)
        assert [(one["session"], one["rule"]) for one in report.deletions] == [(made.names["gone"], "short")]
        counts = {name: report.counts[name] for name in ("sessions", "sealed", "open", "deleted", "acts")}
        assert counts == {"sessions": 4, "sealed": 2, "open": 1, "deleted": 1, "acts": 5}
        assert report.run["principal"]["subject"] == "ada"

    def test_is_only_self_consistent_without_one_of_them(
        self, made: Made, whole: Bundle, tmp_path: Path
    ) -> None:
        file, key = whole.write(tmp_path / "b.tar"), made.kept.house.keys.signing.public_key()
        assert verified(file, None, made.head()).state is Verified.SELF_CONSISTENT
        assert verified(file, key).state is Verified.SELF_CONSISTENT

    def test_each_page_is_escaped_and_runs_nothing(self, whole: Bundle) -> None:
        pages = [data.decode() for name, data in whole.members if name.endswith(".html")]
        assert len(pages) >= 3
        for page in pages:
            assert "<script" not in page
            assert "default-src 'none'" in page
        cover = whole["index.html"].decode()
        for text in (
            "&lt;i&gt;7&lt;/i&gt;",
            "delete &lt;all&gt;",
            "&lt;u&gt;fine",
            "aud@corp",
            "short",
            "ada of corp",
        ):
            assert text in cover
        assert "drop table &lt;x&gt;" in whole[whole.named("00001.html")].decode()

    def test_sheets_say_who_and_with_which_verdicts(self, whole: Bundle) -> None:
        sheet = json.loads(whole[whole.named("session.json")])
        assert sheet["opened"]["principal"] == {
            "issuer": "corp",
            "subject": "ada",
            "kind": "human",
            "groups": [],
        }
        assert [(one["decision"], one["rule"]) for one in sheet["verdicts"]] == [("deny", "no-drop")]

    def test_what_came_later_is_proved_leaf_by_leaf(self, whole: Bundle) -> None:
        assert len(whole["ledger/leaves.jsonl"].splitlines()) == 3
        assert len(whole["trail.jsonl"].splitlines()) == 5

    def test_the_same_is_made_twice(self, made: Made, whole: Bundle) -> None:
        again = made.export(kept=[2, 5])
        different = {a[0] for a, b in zip(whole.members, again.members, strict=True) if a != b}
        # the moment of making is on the cover and in the manifest; the run goes on
        assert different <= {"index.html", "manifest.json", "run.json"}

    def test_an_unknown_run_has_none(self, made: Made) -> None:
        with pytest.raises(Exception, match="no run"):
            made.export("run_zzzzzzzzzzzzzzzz")


ALTER: dict[str, Callable[[bytes], bytes]] = {
    "flip the first": lambda data: bytes([data[0] ^ 1]) + data[1:] if data else b"x",
    "flip the middle": lambda data: (
        data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 4]) + data[len(data) // 2 + 1 :]
        if data
        else b"y"
    ),
    "flip the last": lambda data: data[:-1] + bytes([data[-1] ^ 1]) if data else b"z",
    "cut": lambda data: data[:-1] if data else b"q",
    "empty": lambda data: b"" if data else b"w",
    "grow": lambda data: data + b"\n",
}


class TestAnyMember:
    @pytest.mark.parametrize("how", ALTER)
    def test_altered(self, made: Made, whole: Bundle, tmp_path: Path, how: str) -> None:
        for name, data in whole.members:
            changed = copy.copy(whole)
            changed.change(name, ALTER[how])
            assert changed[name] != data
            found = check(made, changed, tmp_path / "b.tar")
            wanted = "no bundle" if name == bundle.MAGIC_NAME else name
            assert any(wanted in one for one in found), (name, how, found)

    def test_removed(self, made: Made, whole: Bundle, tmp_path: Path) -> None:
        for name, _ in whole.members:
            changed = copy.copy(whole)
            changed.drop(name)
            found = check(made, changed, tmp_path / "b.tar")
            wanted = "no bundle" if name == bundle.MAGIC_NAME else f"{name}: is missing"
            assert any(wanted in one for one in found), (name, found)

    def test_put_into_another_place(self, made: Made, whole: Bundle, tmp_path: Path) -> None:
        for at in range(1, len(whole.members) - 1):
            changed = copy.copy(whole)
            order = list(whole.members)
            order[at], order[at + 1] = order[at + 1], order[at]
            changed.members = order
            found = check(made, changed, tmp_path / "b.tar")
            assert any("another order" in one or "not the last" in one for one in found), (
                order[at][0],
                found,
            )

    def test_there_twice(self, made: Made, whole: Bundle, tmp_path: Path) -> None:
        changed = copy.copy(whole)
        changed.members = [*whole.members, whole.members[3]]
        assert any("a second member named" in one for one in check(made, changed, tmp_path / "b.tar"))

    def test_added(self, made: Made, whole: Bundle, tmp_path: Path) -> None:
        changed = copy.copy(whole)
        changed.members = [*whole.members[:-1], ("sessions/extra.txt", b"hello"), whole.members[-1]]
        assert any("sessions/extra.txt: was added" in one for one in check(made, changed, tmp_path / "b.tar"))

    def test_any_byte_of_the_file(self, made: Made, whole: Bundle, tmp_path: Path) -> None:
        file = whole.write(tmp_path / "b.tar")
        data = file.read_bytes()
        key = made.kept.house.keys.signing.public_key()
        step = max(1, len(data) // 60)
        for offset in [*range(7, len(data), step), len(data) - 1, len(data) - 1024]:
            altered = bytearray(data)
            altered[offset] ^= 0x20
            file.write_bytes(altered)
            assert verified(file, key, made.head()).state is Verified.BROKEN, offset

    @pytest.mark.parametrize("cut", [1, 512, 1024, 1025, 5000])
    def test_the_end_cut_off(self, made: Made, whole: Bundle, tmp_path: Path, cut: int) -> None:
        file = whole.write(tmp_path / "b.tar")
        file.write_bytes(file.read_bytes()[:-cut])
        assert any("offset" in one for one in told(verified(file, None)))

    def test_signed_by_another(self, made: Made, whole: Bundle, tmp_path: Path) -> None:
        whole.sign(OTHER)
        found = check(made, whole, tmp_path / "b.tar")
        assert found == ["manifest.json: is not signed by the pinned key"]

    def test_made_by_another_altogether(self, made: Made, tmp_path: Path) -> None:
        stranger = Made(tmp_path / "stranger")
        try:
            found = check(made, stranger.export(), tmp_path / "b.tar", stranger.head())
        finally:
            stranger.close()
        for part in (
            "manifest.json: is not signed",
            "signing.pem: is another key",
            "proofs.json: the ledger's head",
        ):
            assert any(part in one for one in found), found


def raw(whole: Bundle, name: str = "") -> list[tuple[int, bytes]]:
    return list(frames.of_pieces([whole["ledger/section"]]))


def without_leaf(whole: Bundle, number: int) -> None:
    kept = [data for at, (_, data) in enumerate(raw(whole)) if at != number]
    whole.change("ledger/section", lambda _: b"".join(map(frames.encode, kept)))


def swap_leaves(whole: Bundle) -> None:
    leaves = [data for _, data in raw(whole)]
    leaves[0], leaves[1] = leaves[1], leaves[0]
    whole.change("ledger/section", lambda _: b"".join(map(frames.encode, leaves)))


def recording(whole: Bundle) -> str:
    return whole.named("recording.bcs")


def line_of(which: str, **more: Any) -> Callable[[Bundle], None]:
    def change(whole: Bundle) -> None:
        whole.change_lines(
            "sessions.jsonl", lambda lines: [one | more if one["state"] == which else one for one in lines]
        )

    return change


def swap_recordings(whole: Bundle) -> None:
    one, two = (name for name, _ in whole.members if name.endswith("recording.bcs"))
    first, second = whole[one], whole[two]
    whole.change(one, lambda _: second)
    whole.change(two, lambda _: first)


def proof_of(what: str, change: Callable[[Any], Any]) -> Callable[[Bundle], None]:
    def changed(data: bytes) -> bytes:
        plain = json.loads(data)
        plain[what] = change(plain[what])
        return json.dumps(plain).encode()

    return lambda whole: whole.change("ledger/proofs.json", changed)


def act(number: int, **more: Any) -> Callable[[Bundle], None]:
    return lambda whole: whole.change_lines(
        "trail.jsonl", lambda lines: [one | more if at == number else one for at, one in enumerate(lines)]
    )


# what somebody with the archivist's own key could have left in a bundle: the hashes and the signature hold
STOLEN_KEY: dict[str, tuple[Callable[[Bundle], None], str]] = {
    "a recording altered": (lambda b: b.change(recording(b), ALTER["flip the middle"]), "block"),
    "a recording cut": (lambda b: b.change(recording(b), ALTER["cut"]), "recording.bcs: at offset"),
    "a recording grown": (lambda b: b.change(recording(b), ALTER["grow"]), "bytes that belong to no session"),
    "a recording left out": (lambda b: b.drop(recording(b)), "its recording is missing"),
    "recordings swapped": (swap_recordings, "is the recording of"),
    "a page altered": (
        lambda b: b.change(b.named("00001.html"), ALTER["grow"]),
        "00001.html: is not what the recording says",
    ),
    "a page left out": (lambda b: b.drop(b.named("00001.html")), "00001.html: is missing"),
    "a page too many": (
        lambda b: b.members.insert(3, (recording(b).replace("recording.bcs", "transcript-00009.html"), b"x")),
        "00009.html: is of no session",
    ),
    "a sheet altered": (
        lambda b: b.change(b.named("session.json"), lambda data: data.replace(b"ada", b"eve")),
        "session.json: is not what the recording says",
    ),
    "a sealed session told as open": (line_of("sealed", state="open"), "the ledger has it as sealed"),
    "a sealed session told as deleted": (line_of("sealed", state="deleted"), "the ledger has no tombstone"),
    "an open session told as sealed": (line_of("open", state="sealed"), "its recording is missing"),
    "a deleted session told as sealed": (line_of("deleted", state="sealed"), "the ledger has it as deleted"),
    "a rule of deletion altered": (line_of("deleted", rule="long"), "not what its tombstone is the hash of"),
    "an odd state": (line_of("open", state="fine"), "in no known state"),
    "a session told of twice": (
        lambda b: b.change_lines("sessions.jsonl", lambda lines: [*lines, lines[0]]),
        "is told of twice",
    ),
    "a session that never was": (
        lambda b: b.change_lines(
            "sessions.jsonl", lambda lines: [*lines, {"session": "ses_" + "a" * 26, "state": "open"}]
        ),
        "has no opening in the ledger",
    ),
    "a leaf left out": (lambda b: without_leaf(b, 0), "ledger/section: has the leaves up to"),
    "leaves reordered": (swap_leaves, "do not lead to the signed head"),
    "a section of bytes": (
        lambda b: b.change("ledger/section", lambda _: b"nonsense" * 9),
        "ledger/section: at offset 0",
    ),
    "what is before the section": (
        proof_of("before", lambda found: [*found, "00" * 32]),
        "complete subtrees",
    ),
    "what is behind the section": (
        proof_of("after", lambda _: ["00" * 32]),
        "do not lead to the signed head",
    ),
    "a head's root": (
        proof_of("head", lambda head: head | {"root": "00" * 32}),
        "the ledger's head is not signed",
    ),
    "a head's size": (
        proof_of("head", lambda head: head | {"size": head["size"] + 1}),
        "has another head than the manifest says",
    ),
    "a section out of range": (proof_of("end", lambda end: end + 10**6), "is not of its form"),
    "proofs of nothing": (lambda b: b.change("ledger/proofs.json", lambda _: b"{}"), "is not of its form"),
    "an actor altered": (act(1, actor="nobody"), "is not what its leaf is the hash of"),
    "a detail altered": (act(1, detail={"run": "x"}), "is not what its leaf is the hash of"),
    "an act with another leaf": (act(1, leaf=0), "its leaf is not that of an act"),
    "an act without a salt": (act(1, salt=None), "has no salt"),
    "a leaf behind the run altered": (
        lambda b: b.change_lines(
            "ledger/leaves.jsonl", lambda lines: [one | {"leaf": "8204" + one["leaf"][4:]} for one in lines]
        ),
        "is not under the signed head",
    ),
    "a proof altered": (
        lambda b: b.change_lines(
            "ledger/leaves.jsonl", lambda lines: [one | {"proof": one["proof"][1:]} for one in lines]
        ),
        "is not under the signed head",
    ),
    "leaves behind the run reordered": (
        lambda b: b.change_lines("ledger/leaves.jsonl", lambda lines: lines[::-1]),
        "is out of its order",
    ),
    "a leaf of no form": (
        lambda b: b.change_lines("ledger/leaves.jsonl", lambda lines: [{"index": "x"}]),
        "is no leaf with its proof",
    ),
    "an act of which nothing is proved": (
        lambda b: b.change_lines("ledger/leaves.jsonl", lambda lines: lines[:-1]),
        "nothing proves leaf",
    ),
    "a cover altered": (
        lambda b: b.change("index.html", ALTER["grow"]),
        "index.html: does not say what the other members say",
    ),
    "a run altered": (
        lambda b: b.change(
            "run.json", lambda data: data.replace(b'"agent":"billing-bot"', b'"agent":"evil"')
        ),
        "index.html: does not say",
    ),
    "another run": (
        lambda b: b.change("run.json", lambda data: data.replace(b"run_aaaa", b"run_cccc")),
        "is another run than the manifest's",
    ),
    "a data key altered": (
        lambda b: b.change_lines("keys.jsonl", lambda lines: [one | {"key": "00" * 32} for one in lines]),
        "does not open with the key",
    ),
    "a data key left out": (lambda b: b.change("keys.jsonl", lambda _: b""), "has no key in keys.jsonl"),
    "a data key of no form": (
        lambda b: b.change_lines("keys.jsonl", lambda lines: [one | {"key": 5} for one in lines]),
        "no key of a session",
    ),
    "lines that are none": (
        lambda b: b.change("approvals.jsonl", lambda _: b"[1]\n"),
        "approvals.jsonl: line 1 is no map",
    ),
    "half a line": (
        lambda b: b.change("approvals.jsonl", lambda data: data + b"{"),
        "approvals.jsonl: the last line has no end",
    ),
}


@pytest.mark.parametrize("name", STOLEN_KEY)
def test_a_bundle_signed_anew_with_the_archivists_key(
    made: Made, whole: Bundle, tmp_path: Path, name: str
) -> None:
    change, wanted = STOLEN_KEY[name]
    change(whole)
    whole.sign()
    found = check(made, whole, tmp_path / "b.tar")
    assert any(wanted in one for one in found), found


def test_members_of_another_runs_bundle(made: Made, whole: Bundle, tmp_path: Path) -> None:
    other = made.export("run_bbbbbbbbbbbbbbbb")
    theirs = other.named("recording.bcs")
    whole.change(recording(whole), lambda _: other[theirs])
    assert any(
        "recording.bcs: is not what was signed" in one for one in check(made, whole, tmp_path / "b.tar")
    )
    for name in (
        "ledger/section",
        "ledger/proofs.json",
        "trail.jsonl",
        "manifest.json",
        "run.json",
        "sessions.jsonl",
    ):
        changed = made.export()
        if changed[name] == other[name]:
            continue  # both runs were at the same time
        changed.change(name, lambda _, name=name: other[name])  # type: ignore[misc]
        wanted = "another run than the manifest's" if name == "manifest.json" else name
        assert any(wanted in one for one in check(made, changed, tmp_path / "b.tar")), name


def test_a_session_of_another_run_put_among_the_runs_own(made: Made, whole: Bundle, tmp_path: Path) -> None:
    other = made.export("run_bbbbbbbbbbbbbbbb")
    names = [(name, data) for name, data in other.members if name.startswith("sessions/")]
    whole.members[3:3] = names
    for name in ("sessions.jsonl", "keys.jsonl"):
        whole.change(name, lambda data, name=name: data + other[name])  # type: ignore[misc]
    whole.sign()
    found = check(made, whole, tmp_path / "b.tar")
    assert any("recording.bcs: is of another run, 'run_bbbbbbbbbbbbbbbb'" in one for one in found), found


def test_a_worker_whose_numbers_have_a_hole(made: Made, whole: Bundle, tmp_path: Path) -> None:
    """Whoever cuts an opening out of the leaves can't keep the root; the numbers tell which worker it was of."""
    openings = [at for at, (_, data) in enumerate(raw(whole)) if data[1] == 1]
    without_leaf(whole, openings[1])
    whole.sign()
    found = check(made, whole, tmp_path / "b.tar")
    assert any("worker" in one and "numbers from 1 to" in one for one in found), found


class TestHeadsKeptOutside:
    def test_each_in_the_runs_time_is_proved_by_its_leaves(
        self, made: Made, whole: Bundle, heads: dict[int, Head], tmp_path: Path
    ) -> None:
        key, file = made.kept.house.keys.signing.public_key(), whole.write(tmp_path / "b.tar")
        report = verified(file, key, *heads.values())
        assert {one["ok"] for one in report.kept_heads if one["size"] <= 9} == {True}
        # heads of later need a proof, which is in the bundle when it was asked for
        file = made.export(kept=list(heads)).write(tmp_path / "b.tar")
        report = verified(file, key, *heads.values())
        assert (told(report), {one["ok"] for one in report.kept_heads}) == ([], {True})
        last = max(heads)
        assert verified(file, key, heads[last]).state is Verified.AUTHENTIC

    def test_one_older_than_the_recordings_proves_not_all(
        self, made: Made, whole: Bundle, heads: dict[int, Head], tmp_path: Path
    ) -> None:
        key, file = made.kept.house.keys.signing.public_key(), whole.write(tmp_path / "b.tar")
        report = verified(file, key, heads[min(size for size in heads if size)])
        assert report.state is Verified.SELF_CONSISTENT
        assert "only a head from behind that" in report.notes[0]

    @pytest.mark.parametrize(
        ("change", "what"),
        [
            ({"root": bytes(32)}, "another root"),
            ({"log": bytes(16)}, "of another ledger"),
            ({"key": OTHER}, "is not signed by this key"),
            ({"size": 10**6, "at": 1}, "the ledger was cut or forked"),
        ],
    )
    def test_one_that_does_not_fit(
        self, made: Made, whole: Bundle, tmp_path: Path, change: dict[str, Any], what: str
    ) -> None:
        now, signing = made.head(), made.kept.house.keys.signing
        parts = {"key": signing, "log": now.log, "size": now.size, "root": now.root, "at": now.at} | change
        found = check(made, whole, tmp_path / "b.tar", Head.sign(**parts))
        assert any(what in one and "the head kept outside, head 0" in one for one in found), found

    def test_one_newer_than_the_bundle_can_not_be_compared(
        self, made: Made, whole: Bundle, tmp_path: Path
    ) -> None:
        now, signing = made.head(), made.kept.house.keys.signing
        newer = Head.sign(signing, now.log, now.size + 5, bytes(32), now.at + 1)
        report = verified(whole.write(tmp_path / "b.tar"), signing.public_key(), newer)
        (one,) = report.kept_heads
        assert (report.state, one["ok"]) == (Verified.SELF_CONSISTENT, None)
        assert "newer than the bundle" in one["what"]

    def test_a_fork_that_is_whole_in_itself(self, made: Made, whole: Bundle, tmp_path: Path) -> None:
        """The ledger of a copy that went another way: same name, same key, other leaves."""
        now, signing = made.head(), made.kept.house.keys.signing
        for size in (2, now.size - 1):
            fork = Head.sign(signing, now.log, size, secrets.token_bytes(32), now.at)
            found = check(made, made.export(kept=[now.size - 1]), tmp_path / "b.tar", fork)
            assert any("another root" in one for one in found), found


def test_pages_of_another_version_are_said_not_to_be_compared(
    made: Made, whole: Bundle, tmp_path: Path
) -> None:
    whole.change(whole.named("00001.html"), ALTER["grow"])
    whole.sign(version="9.9")
    report = verified(whole.write(tmp_path / "b.tar"), made.kept.house.keys.signing.public_key(), made.head())
    assert report.findings == ()
    assert "9.9" in report.notes[0]


def test_a_leaf_that_is_half_written_just_now_is_no_matter(made: Made, tmp_path: Path) -> None:
    entries = made.root / "ledger" / "entries"
    size = entries.stat().st_size
    with entries.open("ab") as stream:
        stream.write(b"\0\0\0\x40half")
    try:
        whole = made.export()
    finally:
        os.truncate(entries, size)
    report = verified(whole.write(tmp_path / "b.tar"), made.kept.house.keys.signing.public_key(), made.head())
    assert (told(report), report.state) == ([], Verified.AUTHENTIC)


class TestWhatTheCatalogLost:
    @pytest.fixture(autouse=True)
    def hurried(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(preparing, "PATIENCE", 0.1)

    def test_a_session_without_its_row_is_named(self, made: Made, tmp_path: Path) -> None:
        """Whoever deletes a session's row keeps it out of the bundle, and not out of the ledger."""
        session, sessions = made.names["second"], tables.sessions
        with writing(made.kept.engine) as connection:
            connection.execute(update(sessions).where(sessions.c.id == session).values(id="ses_" + "a" * 26))
        try:
            lost = made.export()
        finally:
            with writing(made.kept.engine) as connection:
                connection.execute(
                    update(sessions).where(sessions.c.id == "ses_" + "a" * 26).values(id=session)
                )
        found = check(made, lost, tmp_path / "b.tar")
        assert f"session {session}: was opened in the run's time, and of which run is not known" in found

    def test_a_viewing_without_its_entry_is_named(self, made: Made, tmp_path: Path) -> None:
        with made.archivist.lock:
            leaf = made.archivist.ledger.append([Leaf.VIEWED, ids.raw(made.names["first"]), bytes(32)])
            made.archivist.ledger.commit()
        key = made.kept.house.keys.signing.public_key()
        report = verified(made.export().write(tmp_path / "b.tar"), key, made.head())
        assert (report.state, told(report)) == (Verified.AUTHENTIC, [])
        assert report.notes == (
            f"session {made.names['first']} was viewed (leaf {leaf}), and nothing tells by whom",
        )

    def test_a_recording_that_is_gone_is_named(self, made: Made, tmp_path: Path) -> None:
        record = made.kept.row(made.names["second"])
        assert record is not None
        assert record.place is not None
        made.archivist._recent.clear()
        file = made.root / "recordings" / record.place.object
        data = file.read_bytes()
        for change, wanted in (
            (b"", "could not be read"),
            (data[:-200] + bytes([data[-200] ^ 1]) + data[-199:], "could not be read"),
        ):
            file.write_bytes(change)
            try:
                lost = made.export()
            finally:
                file.write_bytes(data)
            found = check(made, lost, tmp_path / "b.tar")
            assert any(made.names["second"] in one and wanted in one for one in found), found
        damaged = bytearray(data)
        damaged[record.place.offset + 200] ^= 1
        file.write_bytes(damaged)
        try:
            lost = made.export()
        finally:
            file.write_bytes(data)
        found = check(made, lost, tmp_path / "b.tar")
        assert any("recording.bcs: at offset" in one for one in found), found


def test_memory_is_bounded_whatever_a_sessions_size(tmp_path: Path) -> None:
    """A session of many blocks and pages takes no more than a few of them, to write and to verify."""
    made = Made(tmp_path / "made")
    try:
        session = made.open(made.run, "orders")
        for number in range(20, 300):
            made.kept.worker.query(session, number, 60_000)
        made.kept.worker.close(session)
        made.kept.house.until_sealed(session)
        made.kept.settle(session)
        # the first makes what stays: templates, compiled expressions
        made.export("run_bbbbbbbbbbbbbbbb")
        tracemalloc.start()
        try:
            file, size = tmp_path / "b.tar", 0
            with file.open("wb") as stream:
                for piece in evidence(made.sources, made.run, ())[1]:
                    size += stream.write(piece)
            written = tracemalloc.get_traced_memory()[1]
            tracemalloc.reset_peak()
            report = verified(file, made.kept.house.keys.signing.public_key(), made.head())
            read = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    finally:
        made.close()
    assert (report.state, told(report)) == (Verified.AUTHENTIC, [])
    assert size > 16 << 20
    assert max(written, read) < size // 2, (written, read, size)
