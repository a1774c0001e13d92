"""One POST of spans to a collector, and what its answer means (OTLP/HTTP, "Response").

https://opentelemetry.io/docs/specs/otlp/#otlphttp-response
"""

import asyncio
import gzip
import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import httpx

from bodycam.config.telemetry import Traces
from bodycam.targets.secrets import SecretUnavailable, read_secret

SECONDS: Final = 10.0
"""How long one sending may take."""
_MOST_ANSWER = 64 * 1024
_BAD_DATA = frozenset({400, 413, 422})


class CollectorAway(Exception):
    """The spans were not taken, and may be sent again; the text says why and names no secret."""


class SpansRefused(Exception):
    """The collector says that it will never take this; the text says its status."""


async def post(traces: Traces, body: Mapping[str, Any]) -> int:
    """Send an ExportTraceServiceRequest; how many of its spans the collector says that it threw away.

    Raises:
        SpansRefused: it is the spans that are wrong, or they are too many at once.
        CollectorAway: nobody took them.
    """
    try:
        async with asyncio.timeout(SECONDS):
            content = await asyncio.to_thread(_packed, body)
            headers = {name: await read_secret(source) for name, source in traces.headers.items()}
            headers |= {
                "content-type": "application/json",
                "content-encoding": "gzip",
                "user-agent": "bodycam",
            }
            trust = await asyncio.to_thread(_trust, traces.ca_file)
            async with (
                # no proxy of the environment, and no redirect: it goes where it was meant to
                httpx.AsyncClient(verify=trust, trust_env=False, follow_redirects=False) as client,
                client.stream(
                    "POST", traces.endpoint, content=content, headers=headers, timeout=None
                ) as answer,
            ):
                return _judged(answer.status_code, await _said(answer))
    except TimeoutError:
        raise CollectorAway(f"no answer within {SECONDS:g} seconds") from None
    except httpx.HTTPError as error:
        raise CollectorAway(f"it can't be reached: {type(error).__name__}") from None
    except SecretUnavailable as error:
        raise CollectorAway(str(error)) from None
    except OSError as error:
        raise CollectorAway(f"its CA file can't be used: {error.strerror or 'not PEM'}") from None
    except ValueError:
        # its text can hold a secret
        raise CollectorAway("a header's value has not the expected form") from None


def _judged(status: int, said: bytes) -> int:
    if status in _BAD_DATA:
        raise SpansRefused(f"it answered with status {status}")
    if not 200 <= status < 300:
        raise CollectorAway(f"it answered with status {status}")
    try:
        return max(0, int(json.loads(said)["partialSuccess"]["rejectedSpans"]))
    except (ValueError, LookupError, TypeError):
        return 0


async def _said(answer: httpx.Response) -> bytes:
    said = b""
    async for piece in answer.aiter_bytes():
        said += piece
        if len(said) > _MOST_ANSWER:
            return b""
    return said


def _packed(body: Mapping[str, Any]) -> bytes:
    return gzip.compress(json.dumps(body, separators=(",", ":")).encode(), compresslevel=1)


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
