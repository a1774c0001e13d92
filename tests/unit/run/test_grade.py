import os
import socket
from pathlib import Path

import pytest

from bodycam.model.identity import Grade
from bodycam.run import grade

ROUTES = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
DEFAULT = "eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
LOCAL = "eth0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
V6_REJECT = f"{'0' * 32} 00 {'0' * 32} 00 {'0' * 32} ffffffff 00000001 00000000 00200200       lo\n"
V6_DEFAULT = f"{'0' * 32} 00 {'0' * 32} 00 fe8000{'0' * 26} 00000400 00000001 00000000 00000003     eth0\n"
TCP = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


def proc(folder: Path, *, v4: str = "", v6: str = "", tcp: str = "") -> Path:
    (folder / "net").mkdir()
    (folder / "net/route").write_text(ROUTES + v4)
    (folder / "net/ipv6_route").write_text(v6)
    (folder / "net/tcp").write_text(TCP + tcp)
    (folder / "net/tcp6").write_text(TCP)
    return folder


@pytest.mark.parametrize(
    ("v4", "v6", "there"),
    [(LOCAL, V6_REJECT, False), (LOCAL + DEFAULT, "", True), (LOCAL, V6_REJECT + V6_DEFAULT, True)],
)
def test_default_routes(tmp_path: Path, v4: str, v6: str, there: bool) -> None:
    assert grade.default_route(proc(tmp_path, v4=v4, v6=v6)) is there


def test_routes_that_cant_be_read_count_as_a_way_out(tmp_path: Path) -> None:
    assert grade.default_route(tmp_path / "nothing")


def test_targets_that_answer_and_that_dont() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        answers, refuses = (f"127.0.0.1:{one.getsockname()[1]}" for one in (listening, closed))
        assert grade.any_answers([refuses, answers])
        assert not grade.any_answers([refuses, "no-such-host.invalid:1", "nonsense"])


def test_no_route_and_no_answer_is_isolated(tmp_path: Path) -> None:
    assert grade.measure("http://127.0.0.1:1", [], proc=proc(tmp_path, v4=LOCAL)) is Grade.ISOLATED


@pytest.mark.parametrize(
    ("owner", "me", "wanted"),
    [(1001, 1000, "separated"), (1000, 1000, "advisory"), (1001, 0, "advisory")],
)
def test_the_gateway_of_another_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: int, me: int, wanted: str
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: me)
    with socket.create_server(("127.0.0.1", 0)) as control:
        port = control.getsockname()[1]
        row = f"   0: 0100007F:{port:04X} 00000000:0000 0A 00000000:00000000 00:00000000 00000000  {owner}  0 1\n"
        folder = proc(tmp_path, v4=DEFAULT, tcp=row)
        assert grade.measure(f"http://127.0.0.1:{port}", [], proc=folder) is Grade(wanted)


def test_a_listener_that_nobody_is_seen_to_own_proves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with socket.create_server(("127.0.0.1", 0)) as control:
        url = f"http://127.0.0.1:{control.getsockname()[1]}"
        assert grade.measure(url, [], proc=proc(tmp_path, v4=DEFAULT)) is Grade.ADVISORY


def test_the_real_table_knows_our_own_listener() -> None:
    with socket.create_server(("127.0.0.1", 0)) as control:
        assert grade.listener_owner("127.0.0.1", control.getsockname()[1]) == os.geteuid()
