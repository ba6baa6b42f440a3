"""Access tokens as they should not be."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jose import jws, jwt
from jose.utils import base64url_encode
from moto.utilities.utils import load_resource


def pool_key() -> dict[str, Any]:
    """The private key with which the stand-in for Cognito signs."""
    return dict(load_resource("cognitoidp/resources/jwks-private.json"))


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A token's header and claims, unverified."""
    return dict(jwt.get_unverified_header(token)), dict(jwt.get_unverified_claims(token))


def _encoded(document: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()


class Forge:
    """Makes tokens that differ from a true one in exactly one way."""

    def __init__(self, true_token: str, id_token: str, key: Mapping[str, Any], public_pem: str) -> None:
        self._true = true_token
        self._id_token = id_token
        self._header, self._claims = parts(true_token)
        self._key = dict(key)
        self._public_pem = public_pem

    def signed(self, **changes: Any) -> str:
        """Signed by the pool's own key, with these claims changed; None leaves a claim out."""
        claims = {name: value for name, value in {**self._claims, **changes}.items() if value is not None}
        return str(jwt.encode(claims, self._key, "RS256", headers={"kid": self._header["kid"]}))

    def kinds(self, gateway: str) -> dict[str, Callable[[], str]]:
        """Every kind of bad token, by what is wrong with it; `gateway` issues tokens as well."""
        now = int(time.time())
        issuer = str(self._claims["iss"])
        return {
            "expired": lambda: self.signed(iat=now - 7200, auth_time=now - 7200, exp=now - 3600),
            "without an expiry": lambda: self.signed(exp=None),
            "not valid yet": lambda: self.signed(nbf=now + 3600),
            "from another pool": lambda: self.signed(iss=f"{issuer.rpartition('/')[0]}/eu-central-1_Another00"),
            "without an issuer": lambda: self.signed(iss=None),
            "of another client": lambda: self.signed(client_id="another0client0000000000000"),
            "without a client": lambda: self.signed(client_id=None),
            "without a subject": lambda: self.signed(sub=None),
            "for another audience": lambda: self.signed(aud="https://another.example"),
            "of the gateway, by the pool's key": lambda: self.signed(iss=gateway, aud=gateway, groups=["finance"]),
            "an ID token": lambda: self._id_token,
            "an access token that says it is an ID token": lambda: self.signed(token_use="id"),
            "without a use": lambda: self.signed(token_use=None),
            "alg none": self._unsigned,
            "alg none with the true signature": lambda: self._unsigned() + self._true.rpartition(".")[2],
            "HS256 with the public key": self._confused,
            "of an unknown kid": lambda: self._by_another_key("unknown"),
            "by another key under the true kid": lambda: self._by_another_key(str(self._header["kid"])),
            "without a kid": self._without_kid,
            "a kid that is a path": lambda: self._by_another_key("../../../../dev/null"),
            "tampered groups": lambda: self._tampered(**{"cognito:groups": ["finance", "finance-leads", "hr-leads"]}),
            "tampered subject": lambda: self._tampered(sub="00000000-0000-0000-0000-000000000000"),
            "a cut signature": lambda: self._true[:-20],
            "no signature": lambda: self._true.rpartition(".")[0] + ".",
            "oversized": lambda: self.signed(padding="x" * 10_000),
            "not a token": lambda: "not-a-token",
            "JSON in place of a token": lambda: _encoded(self._claims),
            "only dots": lambda: "..",
            "critical header that nobody knows": self._critical,
        }

    def _unsigned(self) -> str:
        return f"{_encoded({'alg': 'none', 'kid': self._header['kid']})}.{_encoded(self._claims)}."

    def _confused(self) -> str:
        # By hand: a library refuses to use a public key as a shared secret.
        header = {"alg": "HS256", "kid": self._header["kid"]}
        said = f"{_encoded(header)}.{_encoded(self._claims)}".encode()
        signature = hmac.new(self._public_pem.encode(), said, hashlib.sha256).digest()
        return f"{said.decode()}.{base64url_encode(signature).decode()}"

    def _by_another_key(self, kid: str) -> str:
        pem = rsa.generate_private_key(65537, 2048).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return str(jwt.encode(dict(self._claims), pem.decode(), "RS256", headers={"kid": kid}))

    def _without_kid(self) -> str:
        return str(jws.sign(dict(self._claims), self._key, algorithm="RS256"))

    def _critical(self) -> str:
        header = {"kid": self._header["kid"], "crit": ["b64"], "b64": False}
        return str(jws.sign(dict(self._claims), self._key, headers=header, algorithm="RS256"))

    def _tampered(self, **changes: Any) -> str:
        header, _, signature = self._true.split(".")
        return f"{header}.{_encoded({**self._claims, **changes})}.{signature}"
