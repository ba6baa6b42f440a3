"""The process that stands in for the cluster's API server: TokenRequest and the key set, and nothing else.

A ServiceAccount proves itself by its own token, as the kubelet mounts it (audience: the API server), and may ask for
tokens of itself alone, as the services' RBAC has it.
Rules: https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-request-v1/
"""

import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jose import JWTError, jwk, jwt
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from common.settings import load_settings
from local.names import CLUSTER_ISSUER, NAMESPACE
from local.settings import ClusterSettings

KEY_ID: Final = "local"
LEAST_SECONDS, MOST_SECONDS = 600, 24 * 3600
MOUNTED_SECONDS: Final = 365 * 24 * 3600
"""The kubelet renews a mounted token each hour; here nobody does."""


class _Spec(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)

    audiences: list[str] = Field(min_length=1)
    expiration_seconds: int = Field(default=3600, ge=LEAST_SECONDS, le=2**32)


class _TokenRequest(BaseModel):
    spec: _Spec


class Refused(Exception):
    """The API server's answer is an error; its reason and message are those of a `Status` object."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        """What the caller is told."""
        super().__init__(message)
        self.code, self.reason = code, reason


class ServiceAccountTokens:
    """Signs tokens of the namespace's ServiceAccounts, and knows its own again."""

    def __init__(self, key_file: Path) -> None:
        """Reads the private key."""
        self._pem = key_file.read_text()
        private = serialization.load_pem_private_key(self._pem.encode(), None)
        public = private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.public_key = {**jwk.construct(public.decode(), "RS256").to_dict(), "kid": KEY_ID, "use": "sig"}

    def sign(self, account: str, audiences: list[str], seconds: int) -> tuple[str, int]:
        """A token of `account`, and when it expires (seconds since the epoch)."""
        now = int(time.time())
        claims = {
            "iss": CLUSTER_ISSUER,
            "sub": f"system:serviceaccount:{NAMESPACE}:{account}",
            "aud": audiences,
            "iat": now,
            "nbf": now,
            "exp": now + seconds,
            "jti": str(uuid.uuid4()),
            "kubernetes.io": {"namespace": NAMESPACE, "serviceaccount": {"name": account}},
        }
        return jwt.encode(claims, self._pem, "RS256", headers={"kid": KEY_ID}), now + seconds

    def account(self, authorization: str) -> str:
        """The ServiceAccount whose own token is in an Authorization header.

        Raises:
            Refused: It is not a token that this cluster made for its API server.
        """
        scheme, _, token = authorization.partition(" ")
        try:
            claims = jwt.decode(
                token,
                self.public_key,
                algorithms=["RS256"],
                audience=CLUSTER_ISSUER,
                issuer=CLUSTER_ISSUER,
                options={"require_aud": True, "require_exp": True, "require_iss": True, "require_sub": True},
            )
        except JWTError as error:
            raise Refused(401, "Unauthorized", "Unauthorized") from error
        if scheme.lower() != "bearer":
            raise Refused(401, "Unauthorized", "Unauthorized")
        return str(claims["sub"]).rpartition(":")[2]


def write_identities(key_file: Path, tokens_dir: Path, accounts: list[str]) -> None:
    """Make the cluster's key, and each account's own token as `tokens_dir/<account>`, for their owner's eyes alone."""
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    _write_secret(key_file, pem.decode())
    tokens = ServiceAccountTokens(key_file)
    tokens_dir.mkdir(parents=True, exist_ok=True)
    for account in accounts:
        _write_secret(tokens_dir / account, tokens.sign(account, [CLUSTER_ISSUER], MOUNTED_SECONDS)[0])


def _write_secret(file: Path, text: str) -> None:
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    file.write_text(text)


@web.middleware
async def as_status(request: web.Request, handler: Any) -> web.StreamResponse:
    """Answers errors as a `Status` object."""
    try:
        answer: web.StreamResponse = await handler(request)
    except Refused as refusal:
        code, reason, message = refusal.code, refusal.reason, str(refusal)
    except web.HTTPException as error:
        code, reason, message = error.status, error.reason, error.reason
    else:
        return answer
    document = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "reason": reason}
    return web.json_response({**document, "code": code}, status=code)


def create_app(tokens: ServiceAccountTokens) -> web.Application:
    """The API server."""

    async def key_set(request: web.Request) -> web.Response:
        tokens.account(request.headers.get("authorization", ""))
        return web.json_response({"keys": [tokens.public_key]}, content_type="application/jwk-set+json")

    async def token_request(request: web.Request) -> web.Response:
        caller = tokens.account(request.headers.get("authorization", ""))
        namespace, account = request.match_info["namespace"], request.match_info["account"]
        if (namespace, account) != (NAMESPACE, caller):
            raise Refused(
                403,
                "Forbidden",
                f'serviceaccounts "{account}" is forbidden: User "system:serviceaccount:{NAMESPACE}:{caller}" cannot '
                f'create resource "serviceaccounts/token" in API group "" in the namespace "{namespace}"',
            )
        try:
            spec = _TokenRequest.model_validate_json(await request.read()).spec
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise Refused(422, "Invalid", f"TokenRequest is invalid: {where}: {first['msg']}") from error
        token, expires = tokens.sign(account, spec.audiences, min(spec.expiration_seconds, MOST_SECONDS))
        status = {"token": token, "expirationTimestamp": datetime.fromtimestamp(expires, UTC).strftime("%FT%TZ")}
        document = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "status": status}
        return web.json_response({**document, "spec": spec.model_dump(by_alias=True)}, status=201)

    async def ready(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    app = web.Application(middlewares=[as_status])
    app.router.add_get("/readyz", ready)
    app.router.add_get("/openid/v1/jwks", key_set)
    app.router.add_post("/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token", token_request)
    return app


def main() -> None:
    """Serve until the process is stopped."""
    settings = load_settings(ClusterSettings)
    app = create_app(ServiceAccountTokens(settings.cluster_key_file))
    web.run_app(app, host="127.0.0.1", port=settings.cluster_port, print=None, access_log=None)


if __name__ == "__main__":
    main()
