"""A client of the control API: the one door of the command line and of `bodycam run`.

Plain blocking HTTP by httpx. Every call has a deadline; every failure becomes a `ControlError` that says
what happened and what to do, so that no caller ever shows a traceback or a secret.
"""

import json
import ssl
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from bodycam.net.control_access import ControlAccess, InClear, kept_private
from bodycam.net.sign_in.failure import SignInFailed
from bodycam.net.sign_in.signed_in import SignedIn

CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
PAGE = 500

Params = Mapping[str, str | int | float | bool | None]


class ControlError(Exception):
    """A call that the control API refused, or answered with something else than what was asked for.

    `status` is the HTTP status (0 when there was no answer) and `code` the API's own word for it.
    """

    def __init__(self, message: str, *, hint: str = "", code: str = "", status: int = 0) -> None:
        super().__init__(message)
        self.message, self.hint, self.code, self.status = message, hint, code, status


class GatewayUnreachable(ControlError):
    """Nobody answered at the control API's address, or not within the deadline."""


class ControlClient:
    """One client with its connections; close it, or use it in a `with` block."""

    def __init__(
        self,
        access: ControlAccess,
        *,
        transport: httpx.BaseTransport | None = None,
        connect_seconds: float = CONNECT_SECONDS,
        read_seconds: float = READ_SECONDS,
    ) -> None:
        """Prepare the client; nothing is sent yet.

        Raises:
            ControlError: the CA file can't be read.
            InClear: there is a key or a sign-in, and the URL is plain http to anything but loopback.
        """
        # asked of the URL as it will be dialled
        dialled = httpx.URL(access.url)
        if (access.key or access.sign_in) and not kept_private(dialled.scheme, dialled.host):
            raise InClear(f"{dialled.scheme}://{dialled.host}")
        self.url = access.url
        headers = {"Accept": "application/json", "User-Agent": "bodycam-cli"}
        if access.key:
            headers["Authorization"] = f"Bearer {access.key}"
        if access.key and access.reason:
            headers["Bodycam-Reason"] = quote(access.reason)
        self._http = httpx.Client(
            base_url=access.url,
            headers=headers,
            auth=None if access.sign_in is None else _AsSignedIn(access.sign_in),
            timeout=httpx.Timeout(read_seconds, connect=connect_seconds),
            transport=transport,
            verify=trust(access),
            trust_env=False,  # a proxy of the environment must not come between
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, path: str, params: Params | None = None, *, seconds: float | None = None) -> dict[str, Any]:
        """The JSON object at `path`.

        Raises:
            ControlError: refused, or not JSON. GatewayUnreachable: no answer.
        """
        return self._json("GET", path, params=params, seconds=seconds)

    def post(
        self, path: str, body: Mapping[str, Any] | None = None, *, seconds: float | None = None
    ) -> dict[str, Any]:
        """Post a JSON object and return the answer; an empty answer is an empty map. Raises as `get`."""
        return self._json("POST", path, body=body or {}, seconds=seconds)

    def delete(self, path: str) -> dict[str, Any]:
        """Delete what is at `path`. Raises as `get`."""
        return self._json("DELETE", path)

    def pages(
        self,
        path: str,
        key: str,
        params: Params | None = None,
        *,
        limit: int | None = None,
        beside: Callable[[dict[str, Any]], None] | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Each item of a paged listing under `key`, at most `limit` of them. Raises as `get`.

        `beside` is shown each page, for what else it says.
        """
        cursor: str | None = None
        left = limit
        while left is None or left > 0:
            size = PAGE if left is None else min(PAGE, left)
            page = self.get(path, {**(params or {}), "limit": size, "cursor": cursor})
            if beside is not None:
                beside(page)
            items = page.get(key) or []
            yield from items if left is None else items[:left]
            if left is not None:
                left -= len(items)
            following = page.get("next")
            if not following or following == cursor:
                return
            cursor = str(following)

    def lines(
        self, path: str, params: Params | None = None, *, read_seconds: float | None = READ_SECONDS
    ) -> Iterator[dict[str, Any]]:
        """Each object of an answer of JSON lines, as it comes; None as `read_seconds` waits for ever.

        Raises:
            ControlError: refused, cut off, or a line that is not JSON. GatewayUnreachable: no answer.
        """
        with self._streamed("GET", path, read_seconds, params=_without_none(params)) as answer:
            for line in answer.iter_lines():
                if line.strip():
                    yield _object(line, path)

    @contextmanager
    def download(
        self, path: str, body: Mapping[str, Any], *, read_seconds: float
    ) -> Iterator[tuple[Mapping[str, str], Iterator[bytes]]]:
        """Post a JSON object and take bytes as they come, behind the answer's headers.

        Raises:
            ControlError: refused, or cut off. GatewayUnreachable: no answer.
        """
        with self._streamed("POST", path, read_seconds, json=body) as answer:
            yield answer.headers, answer.iter_bytes()

    @contextmanager
    def _streamed(
        self, method: str, path: str, read_seconds: float | None, **sent: Any
    ) -> Iterator[httpx.Response]:
        timeout = httpx.Timeout(CONNECT_SECONDS, read=read_seconds)
        try:
            with self._http.stream(method, path, timeout=timeout, **sent) as answer:
                if answer.status_code >= 400:
                    answer.read()
                    raise _refusal(answer)
                yield answer
        except SignInFailed as failure:
            raise _signed_out(failure) from failure
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise self._unreachable(error) from error
        except httpx.HTTPError as error:
            raise ControlError(
                f"the answer to {path} was cut off: {_why(error)}",
                hint="try again; the gateway's log says more if it was restarted",
                code="cut-off",
            ) from error

    def _json(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        body: Mapping[str, Any] | None = None,
        seconds: float | None = None,
    ) -> dict[str, Any]:
        extra: dict[str, Any] = {}
        if seconds is not None:
            extra["timeout"] = httpx.Timeout(seconds, connect=min(seconds, CONNECT_SECONDS))
        try:
            answer = self._http.request(method, path, params=_without_none(params), json=body, **extra)
        except SignInFailed as failure:
            raise _signed_out(failure) from failure
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        if answer.status_code >= 400:
            raise _refusal(answer)
        return _object(answer.text, path) if answer.content else {}

    def _unreachable(self, error: httpx.HTTPError) -> GatewayUnreachable:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return GatewayUnreachable(
                f"the certificate of the gateway at {self.url} is not trusted: {_why(error)}",
                hint="give the gateway's CA: BODYCAM_CA_FILE=keys/public/listener-ca.pem",
                code="untrusted",
            )
        return GatewayUnreachable(
            f"the gateway's control API at {self.url} can't be reached: {_why(error)}",
            hint="start it with `bodycam serve`, or set BODYCAM_URL to where it listens",
            code="unreachable",
        )


class _AsSignedIn(httpx.Auth):
    """Asks for the token at each request, so that a long command goes on when one ends."""

    def __init__(self, sign_in: SignedIn) -> None:
        self._sign_in = sign_in

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = f"Bearer {self._sign_in.token()}"
        yield request


def _signed_out(failure: SignInFailed) -> ControlError:
    # a provider that is away is met again later; a sign-in that has ended has ended
    code, status = ("provider-away", 0) if failure.for_now else ("signed-out", 401)
    return ControlError(failure.message, hint=failure.hint, code=code, status=status)


def trust(access: ControlAccess) -> ssl.SSLContext | bool:
    """What vouches for the control API's certificate, as httpx takes it.

    Raises:
        ControlError: the CA file can't be read.
    """
    if not access.url.startswith("https:"):
        return True
    context = ssl.create_default_context()
    if access.ca_file is not None:
        try:
            context.load_verify_locations(cafile=access.ca_file)
        except OSError as error:
            raise ControlError(
                f"the gateway's CA file {access.ca_file} can't be used: {error}",
                hint="BODYCAM_CA_FILE names a PEM file; `bodycam init` makes keys/public/listener-ca.pem",
                code="ca-file",
            ) from error
    return context


def _without_none(params: Params | None) -> dict[str, str | int | float | bool]:
    return {name: value for name, value in (params or {}).items() if value is not None}


def _why(error: Exception) -> str:
    return str(error) or type(error).__name__


def _object(text: str, path: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise ControlError(
            f"{path} did not answer with a JSON object",
            hint="check that BODYCAM_URL is the gateway's control API and not another server",
            code="not-json",
        )
    return value


def _refusal(answer: httpx.Response) -> ControlError:
    status = answer.status_code
    try:
        said = answer.json()
    except ValueError:
        said = None
    error = said.get("error") if isinstance(said, dict) else None
    if isinstance(error, dict):
        hint = str(error.get("hint") or "")
        if status == 401 and not hint:
            hint = "set BODYCAM_API_KEY or BODYCAM_KEY_FILE"
        return ControlError(
            str(error.get("message") or f"HTTP {status}"),
            hint=hint,
            code=str(error.get("code") or ""),
            status=status,
        )
    return ControlError(
        f"{answer.request.url.path} answered HTTP {status}",
        hint="the gateway's log says why" if status >= 500 else "",
        status=status,
    )
