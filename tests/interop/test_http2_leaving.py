"""A real server of HTTP/2 that leaves all the time, nginx with a few requests to a connection: nothing is lost."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bodycam.net.authority import Authority, request
from tests import stage
from tests.interop.test_http2 import Place
from tests.interop.test_http_smuggling import wait_for

NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{}}
http {{
  log_format seen '$request_method $request_uri $status $connection $request_length';
  access_log {folder}/access.log seen;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{ listen 127.0.0.1:{port} ssl http2;
    ssl_certificate {folder}/certificate.pem; ssl_certificate_key {folder}/key.pem;
    keepalive_requests 5; keepalive_timeout 1s;
    location / {{ return 200 "$uri"; }}
    location /up {{ proxy_pass http://127.0.0.1:{inner}; }}
  }}
  server {{ listen 127.0.0.1:{inner}; access_log off; location / {{ return 200 "$uri $content_length"; }} }}
}}
"""


@contextmanager
def nginx(folder: Path) -> Iterator[int]:
    port = stage.free_port()
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, port=port, inner=stage.free_port()))
    process = subprocess.Popen(["/usr/sbin/nginx", "-p", folder, "-c", config], stdin=subprocess.DEVNULL)
    try:
        wait_for(port)
        yield port
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="module")
def place() -> Iterator[tuple[Place, Path]]:
    with stage.folder() as folder:
        folder.chmod(0o755)
        authority, made = Authority.create("Web"), request("localhost")
        (folder / "key.pem").write_bytes(made.key_pem)
        (folder / "certificate.pem").write_bytes(
            authority.sign(made.csr_pem, names=["localhost", "127.0.0.1"])
        )
        (folder / "ca.pem").write_bytes(authority.certificate_pem)
        listener = stage.free_port()
        with nginx(folder) as port:
            tls = {"ca_file": str(folder / "ca.pem")}
            targets = {"web": {"protocol": "http", "address": f"localhost:{port}", "tls": tls}}
            with stage.gateway(targets, listen={"http": f"127.0.0.1:{listener}"}) as gateway:
                yield Place(gateway, gateway.run(), listener, port, 0), folder


def there(place: Place) -> Place:
    return Place(place.gateway, place.gateway.run(), place.listener, place.web, place.rpc)


def test_curl_with_many_streams_gets_an_answer_to_each(place: tuple[Place, Path], tmp_path: Path) -> None:
    web, folder = there(place[0]), place[1]
    done = web.curl("-Z", "--parallel-max", "40", "-f", "-w", "%{http_code} %{http_version}\n",
                    "-o", str(tmp_path / "#1"), f"{web.url}/many/[1-60]")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["200 2"] * 60
    assert [(tmp_path / str(n)).read_text() for n in range(1, 61)] == [f"/many/{n}" for n in range(1, 61)]
    seen = [line.split() for line in (folder / "access.log").read_text().splitlines()]
    served = [line for line in seen if line[1].startswith("/many/")]
    assert sorted(line[1] for line in served) == sorted(f"/many/{n}" for n in range(1, 61))
    # nginx did leave, time after time
    assert len({line[3] for line in served}) >= 12
    web.gateway.end(web.credential)
    kept = web.gateway.exchanges(web.credential.run)
    asked = [one for one in kept if one["verb"] == "GET"]
    assert [one["status"] for one in asked] == ["ok"] * 60
    told = web.gateway.bodycam("replay", "--no-wait", asked[0]["session"]).stdout
    assert re.search(r"sent-again.*the target closed the connection", told)
    assert re.search(r"reconnected.*the target closed the connection", told)


def test_small_bodies_are_sent_again_too(place: tuple[Place, Path], tmp_path: Path) -> None:
    web = there(place[0])
    done = web.curl("-Z", "--parallel-max", "40", "-f", "-d", "x" * 1000, "-o", str(tmp_path / "#1"),
                    f"{web.url}/up/[1-40]")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert {(tmp_path / str(n)).read_text() for n in range(1, 41)} == {f"/up/{n} 1000" for n in range(1, 41)}


def test_a_connection_that_nginx_closed_at_rest_is_no_matter(place: tuple[Place, Path]) -> None:
    web = there(place[0])
    done = web.curl("--rate", "30/m", "-f", "-w", "\n%{http_code} %{num_connects}\n", f"{web.url}/slow/[1-3]")
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if line.startswith("200")][1:] == ["200 0"] * 2
