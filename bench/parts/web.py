"""What stands around Bodycam when HTTP is measured: nginx as the server, HAProxy in HTTP mode, and mitmproxy.

mitmproxy is no dependency of the project: the benchmark keeps it in an environment of its own, in the user's
folder for caches.
"""

import contextlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.stage import free_port

from bodycam.net.authority import Authority, request
from parts.baselines import found, running

ITEMS = 1_000
"""How many different documents of about 1 KiB there are, at `/item/NUMBER.json`."""

MITMPROXY = "mitmproxy>=11,<13"

_WORDS = ("the", "parcel", "goes", "to", "a", "desk", "and", "is", "left", "with", "them", "at", "noon")
_NGINX = """\
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000; open_file_cache max=2000;
  types {{ application/json json; application/octet-stream bin; }}
  client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
  uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
  server {{
    listen 127.0.0.1:{plain} backlog=1024; listen 127.0.0.1:{secure} ssl backlog=1024;
    ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;
    root {folder}/www;
  }}
}}
"""
_HAPROXY = """\
global
  nbthread 1
  maxconn 2000
defaults
  mode http
  option http-keep-alive
  http-reuse always
  timeout connect 5s
  timeout client 10m
  timeout server 10m
frontend bench
  bind 127.0.0.1:{port}
  default_backend server
backend server
  server one 127.0.0.1:{server}
"""


@contextlib.contextmanager
def nginx(folder: Path, size: int) -> Iterator[tuple[int, int]]:
    """nginx with the documents, and `/big.bin` of so many bytes; yields its ports without and with TLS.

    `folder/ca.pem` vouches for its certificate.
    """
    plain, secure = free_port(), free_port()
    items = folder / "www" / "item"
    items.mkdir(parents=True)
    for number in range(ITEMS):
        (items / f"{number}.json").write_text(document(number))
    with (folder / "www" / "big.bin").open("wb") as big:
        big.truncate(size)
    authority, made = Authority.create("bench"), request("localhost")
    (folder / "key.pem").write_bytes(made.key_pem)
    (folder / "cert.pem").write_bytes(authority.sign(made.csr_pem, names=["localhost"]))
    (folder / "ca.pem").write_bytes(authority.certificate_pem)
    (folder / "ca.pem").chmod(0o644)
    config = folder / "nginx.conf"
    config.write_text(_NGINX.format(folder=folder, plain=plain, secure=secure))
    with running(folder, plain, [found("nginx") or "nginx", "-c", str(config), "-p", str(folder)]):
        yield plain, secure


def document(number: int) -> str:
    """An answer of an API, about 1 KiB, as one record of a list looks: no two are alike."""
    chance = random.Random(number)
    body = {
        "id": chance.getrandbits(48),
        "status": chance.choice(("paid", "open", "shipped", "returned")),
        "total": {"amount": round(chance.uniform(1, 900), 2), "currency": chance.choice(("EUR", "USD"))},
        "created_at": f"2026-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}T10:{number % 60:02}:07Z",
        "items": [
            {
                "sku": f"{chance.getrandbits(32):08x}",
                "name": chance.choice(("Keyboard, compact", "Desk lamp", "Notebook A5", "USB cable, 2 m")),
                "quantity": chance.randint(1, 9),
                "price": round(chance.uniform(1, 99), 2),
            }
            for _ in range(8)
        ],
        "note": " ".join(chance.choices(_WORDS, k=20)),
    }
    return json.dumps(body)


@contextlib.contextmanager
def haproxy(folder: Path, server: int) -> Iterator[tuple[int, int]]:
    """HAProxy that reads and forwards HTTP; yields port and process id."""
    port = free_port()
    config = folder / "haproxy.cfg"
    config.write_text(_HAPROXY.format(port=port, server=server))
    with running(folder, port, [found("haproxy") or "haproxy", "-db", "-f", str(config)]) as pid:
        yield port, pid


@contextlib.contextmanager
def mitmproxy(folder: Path, program: Path, ca_file: Path) -> Iterator[tuple[int, int]]:
    """mitmproxy as a proxy that keeps and prints nothing; yields port and process id.

    Its own CA is at `folder/mitmproxy-ca-cert.pem`.
    """
    port = free_port()
    command = [
        str(program), "-q", "--listen-host", "127.0.0.1", "--listen-port", str(port),
        "--set", f"confdir={folder}", "--set", f"ssl_verify_upstream_trusted_ca={ca_file}",
        "--set", "stream_large_bodies=1m", "--set", "http2=false",
    ]  # fmt: skip
    with running(folder, port, command, humble=False) as pid:
        yield port, pid


def mitmdump() -> Path | None:
    """mitmproxy's program without a screen, installed where it is not yet; None where it can't be."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    place = caches / "bodycam-bench" / f"mitmproxy-{sys.version_info.major}.{sys.version_info.minor}"
    program = place / "bin" / "mitmdump"
    if program.exists():
        return program
    print("installing mitmproxy to measure against ...", file=sys.stderr)
    for command in (
        [sys.executable, "-m", "venv", "--clear", str(place)],
        [str(place / "bin" / "python"), "-m", "pip", "install", "-q", MITMPROXY],
    ):
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=300)
        except (OSError, subprocess.TimeoutExpired):
            return None
        if done.returncode:
            return None
    return program if program.exists() else None
