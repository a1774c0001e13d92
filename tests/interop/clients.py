"""Python's HTTP clients and those of models, each used as its own pages say; prints what each got, as JSON.

Run as a program of its own, with nothing but an environment: `python clients.py PLAIN SECURE`, two URLs.
"""

import asyncio
import json
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import aiohttp
import anthropic
import httpx
import openai
import requests

TOKEN = "bearer-Tok.0815-requests"
MODEL_KEY = "sk-model-Key-0815-for-tests-only"
FORM = {"name": "ada", "password": "form-Pass.0815-y"}
TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}
ASKED: Any = [{"role": "user", "content": "Which orders are late?"}]


def said(status: int, headers: Any, body: str) -> dict[str, Any]:
    return {"status": status, "headers": [[name.lower(), value] for name, value in headers], "body": body}


def by_requests(plain: str, secure: str) -> dict[str, Any]:
    found = {}
    with requests.Session() as session:
        for name, url in (("plain", plain), ("secure", secure)):
            answer = session.get(
                f"{url}/echo?case=requests-{name}", headers={"Authorization": f"Bearer {TOKEN}"}
            )
            found[f"get-{name}"] = said(answer.status_code, answer.headers.items(), answer.text)
        answer = session.post(f"{secure}/echo?case=requests-form", data=FORM)
        found["form"] = said(answer.status_code, answer.headers.items(), answer.text)
        answer = session.get(f"{secure}/moved?case=requests-moved")
        found["moved"] = said(answer.status_code, answer.headers.items(), answer.text)
        answer = session.post(f"{secure}/echo?case=requests-chunked", data=iter([b"one", b"two" * 9000]))
        found["chunked"] = said(answer.status_code, answer.headers.items(), answer.text)
        answer = session.get(f"{secure}/br?case=requests-br", headers={"Accept-Encoding": "br, gzip"})
        found["br"] = said(answer.status_code, answer.headers.items(), answer.text)
    return found


def by_httpx(plain: str, secure: str) -> dict[str, Any]:
    found = {}
    with httpx.Client() as client:
        for name, url in (("plain", plain), ("secure", secure)):
            answer = client.get(f"{url}/gzip?case=httpx-{name}")
            found[f"gzip-{name}"] = said(answer.status_code, answer.headers.multi_items(), answer.text)
        answer = client.post(f"{secure}/echo?case=httpx-json", json={"password": FORM["password"], "n": 1})
        found["json"] = said(answer.status_code, answer.headers.multi_items(), answer.text)
        with client.stream("GET", f"{secure}/events?case=httpx-events") as answer:
            lines = "\n".join(answer.iter_lines())
            found["events"] = said(answer.status_code, answer.headers.multi_items(), lines)
        answer = client.request("OPTIONS", f"{secure}/echo?case=httpx-options")
        found["options"] = said(answer.status_code, answer.headers.multi_items(), answer.text)
    return found


def by_aiohttp(plain: str, secure: str) -> dict[str, Any]:
    async def ask() -> dict[str, Any]:
        found = {}
        async with aiohttp.ClientSession(trust_env=True) as session:
            for name, url in (("plain", plain), ("secure", secure)):
                async with session.get(f"{url}/deflate?case=aiohttp-{name}") as answer:
                    found[f"deflate-{name}"] = said(
                        answer.status, answer.headers.items(), await answer.text()
                    )
            async with session.put(f"{secure}/echo?case=aiohttp-put", data=b"x" * 300_000) as answer:
                found["put"] = said(answer.status, answer.headers.items(), await answer.text())
        return found

    return asyncio.run(ask())


def by_urllib(plain: str, secure: str) -> dict[str, Any]:
    found = {}
    for name, url in (("plain", plain), ("secure", secure)):
        with urllib.request.urlopen(f"{url}/chunked?case=urllib-{name}") as answer:
            found[f"chunked-{name}"] = said(answer.status, answer.headers.items(), answer.read().decode())
    try:
        urllib.request.urlopen(f"{secure}/fault?case=urllib-fault")
    except urllib.error.HTTPError as error:
        found["fault"] = said(error.code, error.headers.items(), error.read().decode())
    return found


def by_openai(plain: str, secure: str) -> dict[str, Any]:
    with openai.OpenAI(api_key=MODEL_KEY, base_url=f"{secure}/v1", max_retries=0) as client:
        answer: Any = client.chat.completions.create(model="small-model", messages=ASKED)
        called: Any = client.chat.completions.create(model="tool-model", messages=ASKED, tools=[TOOL])
        pieces: Any = client.chat.completions.create(model="stream-model", messages=ASKED, stream=True)
        words = [one.choices[0].delta.content or "" for one in pieces]
        vectors = client.embeddings.create(model="small-embedding", input="late orders")
        return {
            "answer": answer.choices[0].message.content,
            "call": called.choices[0].message.tool_calls[0].function.arguments,
            "words": words,
            "vectors": len(vectors.data),
        }


def by_anthropic(plain: str, secure: str) -> dict[str, Any]:
    with anthropic.Anthropic(api_key=MODEL_KEY, base_url=secure, max_retries=0) as client:
        answer: Any = client.messages.create(model="other-model", messages=ASKED, max_tokens=50)
        with client.messages.stream(model="other-stream", messages=ASKED, max_tokens=50) as stream:
            words = list(stream.text_stream)
        return {"answer": answer.content[0].text, "words": words}


CLIENTS: dict[str, Callable[[str, str], dict[str, Any]]] = {
    "requests": by_requests,
    "httpx": by_httpx,
    "aiohttp": by_aiohttp,
    "urllib": by_urllib,
    "openai": by_openai,
    "anthropic": by_anthropic,
}


def tried(client: Callable[[str, str], dict[str, Any]]) -> dict[str, Any]:
    try:
        return client(*sys.argv[1:3])
    except Exception as error:
        return {"failed": f"{type(error).__name__}: {error}"[:2000]}


if __name__ == "__main__":
    sys.stdout.write(json.dumps({name: tried(client) for name, client in CLIENTS.items()}))
