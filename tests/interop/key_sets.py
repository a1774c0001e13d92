"""Identity providers' key sets over HTTP on this machine, for tokens that a real gateway is to check."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.issuer import CLIENT, Issuer


class Provider:
    """Providers `people`, `ci`, `dead` and `mesh`, which may hang; counts how often each key set is asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.away = threading.Event()
        self._leave = threading.Event()
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.asked.append(self.path)
                if provider.away.is_set():
                    provider._leave.wait(20)
                    return
                if self.path == "/dead/keys":
                    self.send_error(503)
                    return
                body = provider.issuers[self.path].jwks()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        people = Issuer(f"{self.url}/people")
        self.issuers = {
            f"/{name}/keys": Issuer(f"{self.url}/{name}", people.keys)
            for name in ("people", "ci", "dead", "mesh")
        }
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def token(self, name: str, **claims: Any) -> str:
        """A good token of one of them, of a person or of a job, with these claims changed."""
        more = {} if name == "people" else {"aud": "bodycam", "repository": "acme/shop", "sub": "job-7"}
        return self.issuers[f"/{name}/keys"].token(**(more | claims))

    def setting(self, name: str, **more: Any) -> dict[str, Any]:
        """One of them as the gateway's settings have it."""
        return {"name": name, "type": "oidc", "issuer": f"{self.url}/{name}", "jwks_uri": f"{self.url}/{name}/keys", **more}  # fmt: skip

    def identity(self, *more: dict[str, Any]) -> dict[str, Any]:
        """All of them as a gateway's settings have them, and `more` beside them."""
        people = self.setting("people", client_id=CLIENT, groups="groups")
        jobs = [self.setting(name, **JOBS) for name in ("ci", "dead")]
        return {"max_run_ttl": "1h", "providers": [people, *jobs, *more]}

    def stop(self) -> None:
        self._leave.set()
        self._server.shutdown()
        self._thread.join(5)
        self._server.server_close()


JOBS: dict[str, Any] = {
    "kind": "workloads",
    "audience": ["bodycam"],
    "workloads": [{"when": {"repository": "acme/*"}, "agent": "billing-bot", "groups": ["jobs"]}],
}
"""What jobs' tokens have to say, and whose agent they are."""

AGENTS: dict[str, Any] = {
    "billing-bot": {"may_start": {"groups": ["devs", "jobs", "admins"]}},
    "idle-bot": {},
}
"""The agents, one of which nobody may start."""
