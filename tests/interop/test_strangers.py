"""Who is not known and talks nonsense, or says nothing, is a counted audit event and never a session."""

import socket
import time

from tests import stage


def counted(gateway: stage.Gateway, reason: str) -> int:
    events = gateway.api("GET", "/v1/audit?limit=1000").json()["events"]
    return sum(
        one["detail"]["count"]
        for one in events
        if one["action"] == "login-failed" and one["detail"]["reason"] == reason
    )


def wait_for(gateway: stage.Gateway, reason: str, least: int) -> int:
    deadline = time.monotonic() + 30
    while (now := counted(gateway, reason)) < least and time.monotonic() < deadline:
        time.sleep(0.3)
    return now


def test_random_bytes_a_huge_length_and_silence_are_counted(gateway: stage.Gateway) -> None:
    nonsense, silent = counted(gateway, "nonsense"), counted(gateway, "no-login-in-time")
    sessions = len(gateway.api("GET", "/v1/sessions?limit=1000").json()["sessions"])
    for data in (b"\x93\x01garbage garbage", b"GET / HTTP/1.1\r\n\r\n", b"\x00\x00\x00\x02\x00\x03\x00\x00"):
        with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as client:
            client.sendall(data)
            assert client.recv(1000).startswith(b"E")
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as client:
        client.sendall(b"\x00\x00\x00\x30\x00\x03")
        assert b"no login within" in client.recv(1000)

    assert wait_for(gateway, "nonsense", nonsense + 3) >= nonsense + 3
    assert wait_for(gateway, "no-login-in-time", silent + 1) >= silent + 1
    assert len(gateway.api("GET", "/v1/sessions?limit=1000").json()["sessions"]) == sessions
