"""Places outside that take ledger heads: a file, a webhook, a time-stamp authority.

Each has a head for certain when `put` returns, or may have it. What they keep is what `bodycam verify --head`
reads.
"""

import asyncio
import base64
import json
import ssl
import time
from pathlib import Path
from typing import Any, Final, Protocol, final

import httpx

from bodycam.api.audit_sinks import append_lines
from bodycam.api.signed_post import PostFailed, post
from bodycam.archive import stamps
from bodycam.archive.head import Head
from bodycam.config.anchoring import Anchor, AnchorType

SECONDS: Final = 10.0
"""How long one head may take."""

TYPE: Final = "ledger.head"
_QUERY, _REPLY = "application/timestamp-query", "application/timestamp-reply"


class AnchorFailed(Exception):
    """The head was not taken, and why, for people."""


class Place(Protocol):
    """One place that keeps heads."""

    async def put(self, head: Head) -> None:
        """Hand a head over.

        Raises:
            AnchorFailed: it is not kept for certain.
        """


def place(anchor: Anchor) -> Place:
    """What keeps heads for an anchor of the settings."""
    match anchor.type:
        case AnchorType.FILE:
            assert anchor.path is not None
            return _File(anchor.path)
        case AnchorType.WEBHOOK:
            return _Webhook(anchor)
        case AnchorType.RFC3161:
            assert anchor.path is not None
            assert anchor.authority is not None
            assert anchor.authority_url is not None
            return _Stamps(anchor.authority_url, anchor.authority, anchor.ca_file, _File(anchor.path))


def kept_text(head: Head, **more: Any) -> bytes:
    """A head as it is kept outside: one line of JSON, without its end."""
    return json.dumps({"type": TYPE, "head": head.to_plain(), **more}, separators=(",", ":")).encode()


@final
class _File:
    def __init__(self, path: Path) -> None:
        self._path = path

    async def put(self, head: Head) -> None:
        await self.add(kept_text(head))

    async def add(self, line: bytes) -> None:
        try:
            await asyncio.to_thread(append_lines, self._path, line + b"\n")
        except OSError as error:
            raise AnchorFailed(f"{self._path}: {error.strerror or error}") from error


@final
class _Webhook:
    def __init__(self, anchor: Anchor) -> None:
        self._anchor = anchor

    async def put(self, head: Head) -> None:
        name = f"msg_head_{head.log.hex()}_{head.size}"
        try:
            await post(self._anchor, name, kept_text(head), at=time.time(), seconds=SECONDS)
        except PostFailed as error:
            raise AnchorFailed(str(error)) from error


@final
class _Stamps:
    def __init__(self, url: str, authority: Path, ca_file: Path | None, file: _File) -> None:
        self._url, self._authority, self._ca_file, self._file = url, authority, ca_file, file

    async def put(self, head: Head) -> None:
        asked, nonce = stamps.request(head)
        try:
            certificates = await asyncio.to_thread(stamps.read_authority, self._authority)
        except (OSError, ValueError) as error:
            raise AnchorFailed(f"{self._authority} can't be used: {error}") from error
        answer = await self._ask(asked)
        try:
            # a stamp that can't be verified later is none
            await asyncio.to_thread(stamps.check, answer, head, certificates, nonce)
        except stamps.StampRefused as error:
            raise AnchorFailed(f"the authority's answer {error}") from error
        await self._file.add(kept_text(head, stamp=base64.b64encode(answer).decode()))

    async def _ask(self, asked: bytes) -> bytes:
        headers = {"content-type": _QUERY, "accept": _REPLY, "user-agent": "bodycam"}
        cafile = None if self._ca_file is None else str(self._ca_file)
        try:
            async with asyncio.timeout(SECONDS):
                trust = await asyncio.to_thread(ssl.create_default_context, cafile=cafile)
                async with (
                    httpx.AsyncClient(verify=trust, trust_env=False, follow_redirects=False) as client,
                    client.stream("POST", self._url, content=asked, headers=headers, timeout=None) as answer,
                ):
                    if answer.status_code != 200:
                        raise AnchorFailed(f"the authority answered HTTP {answer.status_code}")
                    found = b""
                    async for piece in answer.aiter_raw(stamps.MOST):
                        found += piece
                        if len(found) > stamps.MOST:
                            raise AnchorFailed("the authority's answer is longer than a stamp can be")
                    return found
        except TimeoutError:
            raise AnchorFailed(f"no answer of the authority within {SECONDS:g} seconds") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise AnchorFailed(f"the authority can't be reached: {type(error).__name__}") from None
