"""The gateway's own tokens, signed by a KMS key whose private half never leaves KMS."""

import asyncio
import base64
import hashlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from botocore.exceptions import BotoCoreError, ClientError
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from jose import jwk
from jose.utils import base64url_encode

from agentgateway.http.errors import ServiceUnavailable

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

KEY_SECONDS = 10
"""How long the public key is kept before KMS is asked again, however often it is read."""

MAX_MESSAGE_BYTES = 4096
"""What KMS signs as a whole (`MessageType: RAW`), hashing it itself."""


SECRET_MESSAGE = b"agentgateway: secret of the seals, version 1"
"""Signed to derive a secret. It has no dot, so that no token that is ever signed has the same bytes."""


@dataclass(frozen=True, slots=True)
class _Key:
    arn: str
    public: dict[str, Any]
    read_at: float


class KmsSigner:
    """Signs JSON Web Tokens by RS256 and publishes the public key, named by its RFC 7638 thumbprint."""

    def __init__(self, client: "KMSClient", key_id: str) -> None:
        """`key_id` may be an alias: where it points to another key later, that one signs from then on."""
        self._client = client
        self._key_id = key_id
        self._key: _Key | None = None
        self._secret: tuple[str, bytes] | None = None
        self._lock = asyncio.Lock()

    async def jwks(self) -> dict[str, Any]:
        """The key set (RFC 7517) that verifies what is signed now.

        Raises:
            ServiceUnavailable: KMS did not answer, or there is no such key.
        """
        return {"keys": [(await self._current()).public]}

    async def sign(self, claims: dict[str, Any]) -> str:
        """`claims` as a signed token.

        Raises:
            ServiceUnavailable: KMS did not answer, or may not be used.
            ValueError: The claims are longer than KMS signs.
        """
        key = await self._current()
        header = {"alg": "RS256", "kid": key.public["kid"], "typ": "JWT"}
        message = base64url_encode(orjson.dumps(header)) + b"." + base64url_encode(orjson.dumps(claims))
        if len(message) > MAX_MESSAGE_BYTES:
            raise ValueError(f"a token of {len(message)} bytes is longer than KMS signs")
        return (message + b"." + base64url_encode(await self._signature(key.arn, message))).decode()

    async def secret(self) -> bytes:
        """A secret that every replica derives from the key: its signature, by a scheme that has no randomness.

        RSASSA-PKCS1-v1_5 is deterministic (RFC 8017, section 8.2), and only who may use the key can compute it.

        Raises:
            ServiceUnavailable: KMS did not answer, or may not be used.
        """
        key = await self._current()
        if self._secret is None or self._secret[0] != key.arn:
            self._secret = (key.arn, await self._signature(key.arn, SECRET_MESSAGE))
        return self._secret[1]

    async def _signature(self, arn: str, message: bytes) -> bytes:
        try:
            answer = await asyncio.to_thread(
                self._client.sign,
                KeyId=arn,
                Message=message,
                MessageType="RAW",
                SigningAlgorithm="RSASSA_PKCS1_V1_5_SHA_256",
            )
        except (BotoCoreError, ClientError) as error:
            raise ServiceUnavailable(f"KMS did not sign: {error}") from error
        return answer["Signature"]

    async def _current(self) -> _Key:
        async with self._lock:
            if self._key is None or time.monotonic() - self._key.read_at > KEY_SECONDS:
                self._key = await self._read()
            return self._key

    async def _read(self) -> _Key:
        try:
            answer = await asyncio.to_thread(self._client.get_public_key, KeyId=self._key_id)
        except (BotoCoreError, ClientError) as error:
            raise ServiceUnavailable(f"KMS gave no public key: {error}") from error
        pem = load_der_public_key(answer["PublicKey"]).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        parts = jwk.construct(pem.decode(), "RS256").to_dict()
        thumbprint = hashlib.sha256(orjson.dumps({name: parts[name] for name in ("e", "kty", "n")})).digest()
        kid = base64.urlsafe_b64encode(thumbprint).rstrip(b"=").decode()
        return _Key(answer["KeyId"], {**parts, "kid": kid, "use": "sig"}, time.monotonic())
