"""A SAML identity provider (pysaml2's) with two people and no passwords, for the tests: `serve.py SETTINGS`.

SETTINGS is a JSON file: `port`, `key`, `certificate` (files), `folder`. People sign in at /sso; /test is for
the test alone: it tells the provider of the gateway (POST /test/gateway), how to answer (POST /test/answers),
and asks for a logout (GET /test/logout).
"""

import json
import sys
import time
from collections.abc import Mapping
from html import escape
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT, sigver
from saml2.config import IdPConfig
from saml2.metadata import entity_descriptor
from saml2.saml import NAME_FORMAT_URI, NAMEID_FORMAT_PERSISTENT, NameID
from saml2.server import Server

SETTINGS = json.loads(Path(sys.argv[1]).read_text())
BASE = f"http://127.0.0.1:{SETTINGS['port']}"
PEOPLE = {"ann": ["admins", "devs"], "bob": ["dba"]}
GROUPS = "urn:oid:1.3.6.1.4.1.5923.1.5.1.1"  # isMemberOf
SIGNING = {
    "sign_alg": "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
    "digest_alg": "http://www.w3.org/2001/04/xmlenc#sha256",
}

# it knows how to encrypt by triple DES only
sigver.pre_encryption_part.__kwdefaults__["msg_enc"] = "http://www.w3.org/2009/xmlenc11#aes256-gcm"
sigver.SecurityContext.encrypt_assertion.__defaults__ = ("aes-256", None)


def configuration(metadata: Mapping[str, Any]) -> IdPConfig:
    both = (BINDING_HTTP_REDIRECT, BINDING_HTTP_POST)
    return IdPConfig().load(
        {
            "entityid": f"{BASE}/metadata",
            "xmlsec_binary": "/usr/bin/xmlsec1",
            "key_file": SETTINGS["key"],
            "cert_file": SETTINGS["certificate"],
            "service": {
                "idp": {
                    "want_authn_requests_signed": True,
                    "endpoints": {
                        "single_sign_on_service": [(f"{BASE}/sso", one) for one in both],
                        "single_logout_service": [(f"{BASE}/slo", one) for one in both],
                    },
                    "policy": {"default": {"lifetime": {"minutes": 5}, "name_form": NAME_FORMAT_URI}},
                }
            },
            "metadata": metadata,
        }
    )


class Provider:
    server: Server
    gateway: str

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {"assertion": True, "response": False, "encrypt": False, "lasts": None}
        self.signed_in: dict[str, float] = {}
        self.files: list[str] = []
        self.metadata = str(entity_descriptor(configuration({}))).encode()

    def knows(self, document: bytes) -> None:
        self.files.append(str(Path(SETTINGS["folder"]) / f"gateway-{len(self.files)}.xml"))
        Path(self.files[-1]).write_bytes(document)
        self.server = Server(config=configuration({"local": self.files}))
        self.gateway = next(iter(self.server.metadata.keys()))

    def page_for(self, query: Mapping[str, str], binding: str, cookie: str) -> tuple[str, str | None]:
        request = self._request(query, binding)
        if cookie in PEOPLE and not request.force_authn:
            return self.answer(query, binding, cookie)
        fields = "".join(_hidden(name, value) for name, value in {**query, "binding": binding}.items())
        buttons = "".join(f'<button name="person" value="{one}">{one}</button>' for one in PEOPLE)
        return f'<form method="post" action="/login">{fields}{buttons}</form>', None

    def answer(self, query: Mapping[str, str], binding: str, person: str) -> tuple[str, str | None]:
        request, how = self._request(query, binding), self.answers
        self.signed_in.setdefault(person, time.time())
        response = self.server.create_authn_response(
            {"isMemberOf": PEOPLE[person], "mail": [f"{person}@corp.example"]},
            userid=person,
            name_id=NameID(format=NAMEID_FORMAT_PERSISTENT, text=person),
            authn={
                "class_ref": "urn:oasis:names:tc:SAML:2.0:ac:classes:Password",
                "authn_auth": BASE,
                "authn_instant": int(self.signed_in[person]),
            },
            sign_assertion=how["assertion"],
            sign_response=how["response"],
            encrypt_assertion=how["encrypt"],
            session_not_on_or_after=None
            if how["lasts"] is None
            else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + how["lasts"])),
            **self.server.response_args(request),
            **SIGNING,
        )
        where = self.server.response_args(request)["destination"]
        sent = self.server.apply_binding(
            BINDING_HTTP_POST, str(response), where, query.get("RelayState", ""), response=True
        )
        return str(sent["data"]), f"person={person}; Path=/"

    def logout(self, query: Mapping[str, str], binding: str) -> tuple[str, Mapping[str, Any]]:
        """What to answer a LogoutRequest of the gateway, having checked its signature."""
        parsed = self.server.parse_logout_request(
            query["SAMLRequest"],
            binding,
            query.get("RelayState"),
            query.get("SigAlg"),
            query.get("Signature"),
        )
        self.signed_in.pop(parsed.message.name_id.text, None)
        args = self.server.response_args(parsed.message, [binding])
        signs = binding == BINDING_HTTP_POST
        response = self.server.create_logout_response(parsed.message, [binding], sign=signs, **SIGNING)
        sent = self.server.apply_binding(
            binding, str(response), args["destination"], query.get("RelayState", ""), True, True,
            SIGNING["sign_alg"],
        )  # fmt: skip
        return binding, sent

    def ask_for_logout(self, person: str, binding: str) -> tuple[str, Mapping[str, Any]]:
        """A LogoutRequest to the gateway."""
        where = self.server.metadata.single_logout_service(self.gateway, binding, "spsso")[0]["location"]
        _, request = self.server.create_logout_request(
            where,
            self.gateway,
            name_id=NameID(format=NAMEID_FORMAT_PERSISTENT, text=person),
            expire=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 60)),
            sign=binding == BINDING_HTTP_POST,
            **SIGNING,
        )
        sent = self.server.apply_binding(
            binding, str(request), where, "their-relay", sign=True, sigalg=SIGNING["sign_alg"]
        )
        return binding, sent

    def _request(self, query: Mapping[str, str], binding: str) -> Any:
        parsed = self.server.parse_authn_request(
            query["SAMLRequest"],
            binding,
            query.get("RelayState"),
            query.get("SigAlg"),
            query.get("Signature"),
        )
        return parsed.message


PROVIDER = Provider()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        match parts.path:
            case "/metadata":
                self._send(200, PROVIDER.metadata, "application/samlmetadata+xml")
            case "/sso":
                self._page(*PROVIDER.page_for(query, BINDING_HTTP_REDIRECT, self._person()))
            case "/slo" if "SAMLResponse" in query:
                self._page("the gateway answered", None)
            case "/slo":
                self._carry(*PROVIDER.logout(query, BINDING_HTTP_REDIRECT))
            case "/test/logout":
                binding = BINDING_HTTP_POST if query["binding"] == "post" else BINDING_HTTP_REDIRECT
                self._carry(*PROVIDER.ask_for_logout(query["person"], binding))
            case _:
                self._send(404, b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        query = {}
        if self.path in ("/sso", "/slo", "/login"):
            query = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        match self.path:
            case "/test/gateway":
                PROVIDER.knows(body)
                self._send(200, b"")
            case "/test/answers":
                PROVIDER.answers |= json.loads(body)
                self._send(200, b"")
            case "/sso":
                self._page(*PROVIDER.page_for(query, BINDING_HTTP_POST, self._person()))
            case "/login":
                PROVIDER.signed_in.pop(query["person"], None)
                self._page(*PROVIDER.answer(query, query["binding"], query["person"]))
            case "/slo" if "SAMLResponse" in query:
                self._page("the gateway answered", None)
            case "/slo":
                self._carry(*PROVIDER.logout(query, BINDING_HTTP_POST))
            case _:
                self._send(404, b"")

    def _person(self) -> str:
        morsel = SimpleCookie(self.headers.get("Cookie", "")).get("person")
        return "" if morsel is None else morsel.value

    def _page(self, page: str, cookie: str | None) -> None:
        self._send(200, page.encode(), "text/html", {} if cookie is None else {"Set-Cookie": cookie})

    def _carry(self, binding: str, sent: Mapping[str, Any]) -> None:
        if binding == BINDING_HTTP_POST:
            self._page(str(sent["data"]), None)
        else:
            self._send(303, b"", more=dict(sent["headers"]))

    def _send(
        self, status: int, body: bytes, kind: str = "text/plain", more: Mapping[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(more or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def _hidden(name: str, value: str) -> str:
    return f'<input type="hidden" name="{escape(name)}" value="{escape(value)}"/>'


ThreadingHTTPServer(("127.0.0.1", SETTINGS["port"]), Handler).serve_forever()
