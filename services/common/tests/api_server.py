"""A small API server of the two calls that service identity needs, with keys that can be rotated."""

import time
from typing import Any

from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jose import jwk, jwt

ISSUER = "https://cluster.example"


class SigningKey:
    def __init__(self, kid: str) -> None:
        self.kid = kid
        key = rsa.generate_private_key(65537, 2048)
        self.pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        self.public_pem = (
            key.public_key()
            .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
            .decode()
        )

    def sign(self, algorithm: str = "RS256", **changes: Any) -> str:
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "sub": "system:serviceaccount:file-processing:agentgateway",
            "aud": ["application"],
            "iat": now,
            "nbf": now,
            "exp": now + 600,
        } | changes
        claims = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(claims, self.pem, algorithm, headers={"kid": self.kid})

    def public(self) -> dict[str, Any]:
        return {**jwk.construct(self.public_pem, "RS256").to_dict(), "kid": self.kid, "use": "sig"}


class ApiServer:
    """Counts what it is asked; `available` turned off makes it answer 503."""

    def __init__(self) -> None:
        self.keys = [SigningKey("first")]
        self.token_requests: list[dict[str, Any]] = []
        self.jwks_requests = 0
        self.available = True
        self.url = ""

    async def jwks(self, _: web.Request) -> web.Response:
        self.jwks_requests += 1
        if not self.available:
            return web.Response(status=503)
        return web.json_response({"keys": [key.public() for key in self.keys]})

    async def token(self, request: web.Request) -> web.Response:
        if request.headers["authorization"] != "Bearer own-token" or not self.available:
            return web.Response(status=403)
        body = await request.json()
        self.token_requests.append({"account": request.match_info["name"], **body["spec"]})
        signed = self.keys[-1].sign(aud=body["spec"]["audiences"])
        return web.json_response({"status": {"token": signed}}, status=201)
