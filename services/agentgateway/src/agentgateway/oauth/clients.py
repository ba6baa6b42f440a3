"""Registration without a database (RFC 7591): a client's identifier is its own sealed registration."""

import hashlib
import time
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from agentgateway.oauth.redirects import is_allowed
from agentgateway.oauth.seals import InvalidSeal, Purpose, Seals
from agentgateway.settings import Settings

MAX_REDIRECTS_LENGTH = 2048
"""Of all redirect URIs of a client: its identifier is part of addresses, of which a load balancer takes 16 KiB."""


class Registration(BaseModel):
    """The part of a client's metadata (RFC 7591, section 2) that decides."""

    model_config = ConfigDict(extra="ignore")

    redirect_uris: list[str] = Field(min_length=1, max_length=20)
    client_name: str | None = Field(default=None, max_length=200)


class InvalidRedirectUri(ValueError):
    """A redirect URI is not allowed."""


class UnknownClient(Exception):
    """The client was not registered here."""


class Client(BaseModel):
    """A registered client."""

    redirect_uris: list[str]
    name: str


class Clients:
    """Registers clients, and knows them again."""

    def __init__(self, settings: Settings, seals: Seals) -> None:
        self._settings = settings
        self._seals = seals

    async def register(self, registration: Registration) -> dict[str, Any]:
        """The answer of RFC 7591, section 3.2.1.

        Raises:
            InvalidRedirectUri: The first one that is not allowed.
            ServiceUnavailable: KMS did not answer.
        """
        listed = self._settings.oauth_redirect_uris
        for uri in registration.redirect_uris:
            if not is_allowed(uri, listed):
                raise InvalidRedirectUri(
                    f"'{uri[:200]}' is not an allowed redirect URI. Use http://127.0.0.1, http://localhost or "
                    f"http://[::1] with any port and without a query, or one of: {', '.join(listed)}"
                )
        if sum(map(len, registration.redirect_uris)) > MAX_REDIRECTS_LENGTH:
            raise InvalidRedirectUri(f"The maximum length of all redirect URIs is {MAX_REDIRECTS_LENGTH} characters.")
        # Format and control characters could turn the text of the consent page around.
        name = "".join(each for each in registration.client_name or "" if each.isprintable()).strip()
        client = Client(redirect_uris=registration.redirect_uris, name=name)
        document = {
            "client_id": await self._seals.seal(Purpose.CLIENT, client),
            "client_id_issued_at": int(time.time()),
            "redirect_uris": client.redirect_uris,
            "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "scope": " ".join(self._settings.oauth_scopes),
        }
        return document if registration.client_name is None else {**document, "client_name": name}

    async def find(self, client_id: str) -> Client:
        """The client of this identifier.

        Raises:
            UnknownClient: There is none.
            ServiceUnavailable: KMS did not answer.
        """
        try:
            return await self._seals.open(Purpose.CLIENT, client_id, Client)
        except InvalidSeal as error:
            raise UnknownClient from error


def fingerprint(client_id: str) -> str:
    """Names a client in what is sealed for it."""
    return hashlib.sha256(client_id.encode()).hexdigest()
