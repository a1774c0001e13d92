"""An identity provider's keys and tokens, made by the test itself: good ones, and forged ones."""

import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from joserfc import jwk, jws

ISSUER = "https://login.corp.example"
CLIENT = "bodycam-cli"


class _AllAlgorithms(jws.JWSRegistry):
    def get_alg(self, name: str) -> Any:
        return self.algorithms[name]


def encoded(plain: Mapping[str, Any]) -> str:
    """A part of a token, as its maker writes it."""
    return base64.urlsafe_b64encode(json.dumps(plain).encode()).rstrip(b"=").decode()


@dataclass
class Issuer:
    """Signs what it is told to, with a key of each kind."""

    url: str = ISSUER
    keys: dict[str, jwk.Key] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.keys:
            self.keys = {
                "rsa": jwk.RSAKey.generate_key(2048),
                "p256": jwk.ECKey.generate_key("P-256"),
                "p384": jwk.ECKey.generate_key("P-384"),
                "p521": jwk.ECKey.generate_key("P-521"),
                "ed": jwk.OKPKey.generate_key("Ed25519"),
            }

    def published(self, *, without: str = "") -> list[dict[str, Any]]:
        """Its public keys, each under its name as `kid`."""
        return [
            {**key.as_dict(private=False), "kid": name} for name, key in self.keys.items() if name != without
        ]

    def jwks(self, **more: Any) -> bytes:
        """Its key set."""
        return json.dumps({"keys": self.published(**more)}).encode()

    def claims(self, **changed: Any) -> dict[str, Any]:
        """Claims of a good ID token of somebody who has just signed in; None takes one away."""
        now = time.time()
        good = {
            "iss": self.url,
            "sub": "ann",
            "aud": CLIENT,
            "iat": now - 5,
            "exp": now + 21_600,
            "auth_time": int(now) - 10,
            "groups": ["devs"],
        }
        return {name: value for name, value in (good | changed).items() if value is not None}

    def token(self, *, alg: str = "RS256", by: str = "rsa", header: Any = None, **changed: Any) -> str:
        """A token that one of its keys signed."""
        protected = {"alg": alg, "kid": by, **(header or {})}
        plain = {name: value for name, value in protected.items() if value is not None}
        payload = json.dumps(self.claims(**changed)).encode()
        registry = _AllAlgorithms(strict_check_header=False)
        return jws.serialize_compact(plain, payload, self.keys[by], registry=registry)
