"""Signature Version 4 for a presigned query, from its specification: what STS does with one."""

import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import parse_qsl, quote


def _mac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def expected_signature(secret: str, query: str, headers: Mapping[str, str]) -> str:
    """The signature of `GET /?<query>` with `headers` (names in lower case)."""
    pairs = sorted((quote(k, safe="-_.~"), quote(v, safe="-_.~")) for k, v in parse_qsl(query, keep_blank_values=True))
    parameters = dict(parse_qsl(query, keep_blank_values=True))
    signed = parameters["X-Amz-SignedHeaders"]
    request = "\n".join(
        [
            "GET",
            "/",
            "&".join(f"{name}={value}" for name, value in pairs if name != "X-Amz-Signature"),
            *(f"{name}:{headers.get(name, '').strip()}" for name in signed.split(";")),
            "",
            signed,
            hashlib.sha256(b"").hexdigest(),
        ]
    )
    scope = parameters["X-Amz-Credential"].split("/", 1)[1]
    to_sign = "\n".join(
        ["AWS4-HMAC-SHA256", parameters["X-Amz-Date"], scope, hashlib.sha256(request.encode()).hexdigest()]
    )
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = _mac(key, part)
    return _mac(key, to_sign).hex()
