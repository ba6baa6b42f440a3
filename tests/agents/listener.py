"""What a program that uses the Python SDK brings itself: a listener on this machine, and the browser."""

import asyncio
import os
import subprocess
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from mcp.client.auth import OAuthClientProvider
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken


class Memory:
    """Where the SDK keeps what it has learned."""

    tokens: OAuthToken | None = None
    client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


def oauth(url: str, name: str) -> OAuthClientProvider:
    """The SDK's authentication, for a program on a random port."""
    answer: dict[str, str] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer.update(parse_qsl(urlsplit(self.path).query))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"You may close this window.")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.handle_request, daemon=True)

    async def opened(address: str) -> None:
        thread.start()
        await asyncio.to_thread(subprocess.run, [os.environ["BROWSER"], address], check=True)

    async def landed() -> Any:
        await asyncio.to_thread(thread.join, 60)
        server.server_close()
        try:
            from mcp.shared.auth import AuthorizationCodeResult
        except ImportError:  # the SDK before version 2
            return answer["code"], answer["state"]
        return AuthorizationCodeResult(**answer)

    metadata: dict[str, Any] = {
        "client_name": name,
        "redirect_uris": [f"http://localhost:{server.server_port}/callback"],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    }
    return OAuthClientProvider(url, OAuthClientMetadata.model_validate(metadata), Memory(), opened, landed)
