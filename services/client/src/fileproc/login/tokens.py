"""Gets tokens from the authorization server's token endpoint (RFC 6749)."""

from __future__ import annotations

import time

from pydantic import BaseModel

from fileproc.errors import InvalidRequest, Refused
from fileproc.login.store import Login
from fileproc.transport import Transport, parse


class TokenAnswer(BaseModel):
    """RFC 6749, section 5.1."""

    access_token: str
    expires_in: int = 300
    refresh_token: str | None = None

    @property
    def expires_at(self) -> float:
        """Seconds since 1970."""
        return time.time() + self.expires_in


def redeem(http: Transport, endpoint: str, form: dict[str, str]) -> TokenAnswer:
    """Send a grant. Raises `Refused` where it is not, or no longer, good."""
    try:
        # A code or a rotated refresh token is used up the first time.
        return parse(http.request("POST", endpoint, data=form, harmless=False), TokenAnswer)
    except InvalidRequest as error:
        raise Refused(f"The login was not accepted: {error}", error.problem) from error


def refresh(http: Transport, login: Login) -> Login:
    """A login with a new access token. Raises `Refused` where the login as a whole has ended."""
    if not (login.token_endpoint and login.refresh_token and login.client_id):
        raise Refused("The login has ended.")
    form = {"grant_type": "refresh_token", "refresh_token": login.refresh_token, "client_id": login.client_id}
    answer = redeem(http, login.token_endpoint, form)
    return login.model_copy(
        update={
            "access_token": answer.access_token,
            "expires_at": answer.expires_at,
            "refresh_token": answer.refresh_token or login.refresh_token,
        }
    )


def revoke(http: Transport, login: Login) -> None:
    """Make the refresh token worthless (RFC 7009)."""
    if login.revocation_endpoint and login.refresh_token and login.client_id:
        form = {"token": login.refresh_token, "client_id": login.client_id}
        http.request("POST", login.revocation_endpoint, data=form)
