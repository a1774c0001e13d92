"""One bounded question to a provider: so many bytes, uncompressed, no redirects."""

import ssl
from collections.abc import Mapping
from pathlib import Path

import httpx

from bodycam.identity.oidc.failure import ProviderAway, ProviderRefuses


async def fetch(
    url: str,
    *,
    most: int,
    trust: ssl.SSLContext,
    accept: str = "application/json",
    form: Mapping[str, str] | None = None,
) -> bytes:
    """The body at `url`, at most `most` bytes of it; the caller sets the deadline. A `form` is posted there.

    Raises:
        ProviderRefuses: it answered with a status from 400 to 499.
        ProviderAway: nobody answered, not with 200, with more than that, or compressed.
    """
    headers = {"Accept": accept, "Accept-Encoding": "identity", "User-Agent": "bodycam"}
    try:
        async with (
            httpx.AsyncClient(verify=trust, trust_env=False, follow_redirects=False) as client,
            client.stream("GET" if form is None else "POST", url, headers=headers, data=form) as answer,
        ):
            if 400 <= answer.status_code < 500:
                raise ProviderRefuses(f"{_host(url)} answered with status {answer.status_code}")
            if answer.status_code != 200:
                raise ProviderAway(f"{_host(url)} answered with status {answer.status_code}")
            if "content-encoding" in answer.headers:
                # what it unpacks to has no bound that could be checked before it is unpacked
                raise ProviderAway(f"{_host(url)} answered with compressed content, which was not asked for")
            body = bytearray()
            async for part in answer.aiter_raw():
                body += part
                if len(body) > most:
                    raise ProviderAway(f"{_host(url)} answered with more than {most} bytes")
            return bytes(body)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise ProviderAway(f"{_host(url)} can't be asked: {str(error) or type(error).__name__}") from error


def trusted(ca_file: Path | None) -> ssl.SSLContext:
    """What vouches for a provider: the system's CAs, or those of one file.

    Raises:
        ProviderAway: the file can't be used.
    """
    try:
        return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except OSError as error:
        raise ProviderAway(f"its ca_file can't be used: {error.strerror or error}") from error


def _host(url: str) -> str:
    return httpx.URL(url).host
