"""What a browser does with the pages of the gateway and of identity providers, by hand."""

import re
import ssl
from html import unescape
from pathlib import Path
from urllib.parse import urljoin

import httpx

from tests import stage

HOST = "bodycam.test"
"""What people call the gateway: cookies know no ports, and the providers are 127.0.0.1 too."""


class _Here(httpx.HTTPTransport):
    """Finds HOST on this machine."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.host == HOST:
            # another request, so that cookies are kept under the name
            request = httpx.Request(
                request.method,
                request.url.copy_with(host="127.0.0.1"),
                headers=request.headers,
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": HOST},
            )
        return super().handle_request(request)


def settings_of(gateway: stage.Gateway, providers: list[dict[str, object]]) -> dict[str, object]:
    """The settings by which browsers find the gateway under HOST, with these identity providers."""
    return {
        "identity": {"sign_ins": {"url": f"https://{HOST}:{gateway.control}"}, "providers": providers},
        "tls": {"names": [HOST]},
    }


class Browser:
    """A person's browser: keeps cookies, follows redirects, sends the forms that a person would send."""

    def __init__(self, gateway: stage.Gateway, person: str, *ca_files: Path) -> None:
        self.person, self.home = person, f"https://{HOST}:{gateway.control}"
        trust = ssl.create_default_context(cafile=str(gateway.listener_ca))
        for file in ca_files:
            trust.load_verify_locations(cafile=str(file))
        self.http = httpx.Client(transport=_Here(verify=trust), timeout=30)
        self.seen: list[str] = []

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def go(self, url: str, *, until: str = "") -> httpx.Response:
        """Go to a page, and on as the person would, to one that asks nothing; or until a page has that text."""
        return self.on(self.get(url), until=until)

    def get(self, url: str) -> httpx.Response:
        """One page, as typed into the address bar."""
        return self.http.get(urljoin(self.home, url), headers={"Sec-Fetch-Site": "none"})

    def on(self, answer: httpx.Response, *, until: str = "") -> httpx.Response:
        """Go on from an answer."""
        for _ in range(16):
            self.seen.append(str(answer.url))
            link = re.search(r'id="carry" href="([^"]*)"', answer.text)
            form = re.search(r"<form[^>]*>.*?</form>", answer.text, re.DOTALL)
            if until and until in answer.text:
                return answer
            if answer.has_redirect_location:
                answer = self.http.get(urljoin(str(answer.url), answer.headers["location"]))
            elif link is not None:
                answer = self.http.get(unescape(link[1]))
            elif form is not None and answer.status_code < 400 and "/sign-out" not in form[0]:
                answer = self.send(answer)
            else:
                return answer
        raise AssertionError(f"it goes round and round: {self.seen}")

    def send(self, page: httpx.Response, **changed: str) -> httpx.Response:
        """Send the form of a page, filled in."""
        form = re.search(r"<form[^>]*>.*?</form>", page.text, re.DOTALL)
        assert form is not None, page.text
        action = re.search(r'action="([^"]*)"', form[0])
        assert action is not None, form[0]
        fields = {"person": self.person} if action[1].endswith("/login") else {}
        for one in re.findall(r"<input\b[^>]*>", form[0]):
            if (name := re.search(r'name="([^"]+)"', one)) is not None:
                value = re.search(r'value="([^"]*)"', one)
                fields[unescape(name[1])] = self.person if value is None else unescape(value[1])
        where = urljoin(str(page.url), unescape(action[1]))
        origin = f"{page.url.scheme}://{page.url.netloc.decode()}"
        site = "same-origin" if where.startswith(f"{origin}/") else "cross-site"
        return self.http.post(
            where, data=fields | changed, headers={"Origin": origin, "Sec-Fetch-Site": site}
        )

    @property
    def token(self) -> str:
        """What the gateway's cookie holds."""
        return self.http.cookies["__Host-bodycam-session"]
