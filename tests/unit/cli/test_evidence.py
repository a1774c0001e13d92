"""`bodycam export --evidence` against a played control API: a whole file or none."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from bodycam.archive.evidence import bundle
from bodycam.cli.evidence import _Sheets, write_bundle
from bodycam.cli.failure import Failure
from bodycam.net.control_access import ControlAccess
from bodycam.net.control_client import ControlClient, ControlError

RUN = "run_aaaaaaaaaaaaaaaa"
SHEETS = [
    bundle.whole(f"sessions/ses_{letter}/session.json", b"{}" * size)
    for letter, size in (("a", 3), ("b", 900))
]
DATA = bundle.whole(bundle.MAGIC_NAME, bundle.MAGIC) + b"".join(SHEETS) + bundle.END


class Cut(httpx.SyncByteStream):
    def __iter__(self) -> Iterator[bytes]:
        yield DATA[:700]
        raise httpx.RemoteProtocolError("peer closed connection without sending complete message body")


def client(answer: httpx.Response, asked: list[httpx.Request]) -> ControlClient:
    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return answer

    return ControlClient(ControlAccess("http://127.0.0.1:1", "k"), transport=httpx.MockTransport(handle))


def test_a_bundle_is_written_with_proofs_asked_from_the_heads_kept_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads = tmp_path / "bodycam" / "heads"
    heads.mkdir(parents=True)
    for name, gateway, head in (
        ("a", "http://127.0.0.1:1", {"size": 7}),
        ("b", "http://elsewhere", {"size": 8}),
        ("c", "http://127.0.0.1:1", {"size": "x"}),
        ("d", "http://127.0.0.1:1", "no head"),
    ):
        (heads / f"{name}.json").write_text(json.dumps({"gateway": gateway, "head": head}))
    (heads / "e.json").write_text("{")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    asked: list[httpx.Request] = []
    with client(httpx.Response(200, content=DATA, headers={"Bodycam-Sessions": "2"}), asked) as control:
        assert write_bundle(control, RUN, None) == f"{RUN}.evidence.tar"
    file = tmp_path / f"{RUN}.evidence.tar"
    assert file.read_bytes() == DATA
    assert file.stat().st_mode & 0o777 == 0o600
    (request,) = asked
    assert (request.url.path, json.loads(request.content)) == (f"/v1/runs/{RUN}/evidence", {"kept": [7]})


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, stream=Cut()),
        httpx.Response(403, json={"error": {"code": "forbidden", "message": "no", "hint": ""}}),
        httpx.Response(502, text="gone"),
    ],
)
def test_what_is_cut_off_or_refused_leaves_no_file(answer: httpx.Response, tmp_path: Path) -> None:
    with client(answer, []) as control, pytest.raises(ControlError):
        write_bundle(control, RUN, str(tmp_path / "b.tar"))
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_stays_and_nothing_is_asked(tmp_path: Path) -> None:
    file, asked = tmp_path / "b.tar", list[httpx.Request]()
    file.write_bytes(b"mine")
    with (
        client(httpx.Response(200, content=DATA), asked) as control,
        pytest.raises(Failure, match="is there already"),
    ):
        write_bundle(control, RUN, str(file))
    assert (file.read_bytes(), asked) == (b"mine", [])


@pytest.mark.parametrize("size", [1, 100, 511, 512, 513, 10_000])
def test_sessions_are_counted_wherever_the_pieces_end(size: int) -> None:
    counter, stream, seen = _Sheets(), io.BytesIO(DATA), []
    while piece := stream.read(size):
        seen.append(counter.take(piece))
    assert seen[-1] == 2
    assert seen == sorted(seen)


def test_a_recording_of_many_gigabytes_is_passed_over() -> None:
    counter = _Sheets()
    assert counter.take(bundle.header("sessions/ses_a/recording.bcs", 1 << 40)) == 0
    assert counter._left == 1 << 40
