"""Where AWS's own services are, by the rules that botocore and the AWS command follow."""

from __future__ import annotations

import os

from fileproc.errors import Unintelligible
from fileproc.login.discovery import AuthorizationServer


def region(server: AuthorizationServer) -> str:
    """The region of the gateway, as its issuer tells. Raises `Unintelligible`."""
    if (name := server.region) is None:
        raise Unintelligible(f"{server.issuer} is no Cognito user pool; log in with the browser: fileproc login")
    return name


def endpoint(service: str, host: str) -> str:
    """`AWS_ENDPOINT_URL_<SERVICE>`, else `AWS_ENDPOINT_URL`, else `https://<host>`."""
    for name in (f"AWS_ENDPOINT_URL_{service}", "AWS_ENDPOINT_URL"):
        if url := os.environ.get(name):
            return url.rstrip("/")
    return f"https://{host}"
