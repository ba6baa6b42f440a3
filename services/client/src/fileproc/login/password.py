"""Login by user name and password, where the user pool lets a program ask for them."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, Field

from fileproc.errors import InvalidRequest, Refused
from fileproc.login import aws
from fileproc.login.discovery import AuthorizationServer, require_private
from fileproc.login.store import Login
from fileproc.login.tokens import TokenAnswer
from fileproc.transport import Transport, parse

_BROWSER = "Log in with the browser instead: fileproc login"


class _Tokens(BaseModel):
    access_token: str = Field(alias="AccessToken")
    expires_in: int = Field(alias="ExpiresIn")
    refresh_token: str | None = Field(default=None, alias="RefreshToken")


class _InitiateAuthAnswer(BaseModel):
    tokens: _Tokens | None = Field(default=None, alias="AuthenticationResult")
    challenge: str | None = Field(default=None, alias="ChallengeName")


def log_in(http: Transport, server: AuthorizationServer, user: str, password: str) -> Login:
    """Ask Cognito for tokens (`InitiateAuth`, flow `USER_PASSWORD_AUTH`).

    Raises:
        Refused: Wrong name or password, the pool wants more than a password, or allows no passwords here.
        Unintelligible: The users are in no Cognito pool.
    """
    region = aws.region(server)
    endpoint = aws.endpoint("COGNITO_IDENTITY_PROVIDER", f"cognito-idp.{region}.amazonaws.com")
    require_private(endpoint)
    client_id = server.user_pool_client_id
    if client_id is None:
        raise Refused(f"This gateway does not say how to log in by password. {_BROWSER}")
    parameters = {"USERNAME": user, "PASSWORD": password}
    token = _initiate(http, endpoint, client_id, "USER_PASSWORD_AUTH", parameters)
    return Login(
        method="password",
        access_token=token.access_token,
        expires_at=token.expires_at,
        refresh_token=token.refresh_token,
        client_id=client_id,
        revocation_endpoint=server.revocation_endpoint,
        cognito_endpoint=endpoint,
    )


def refresh(http: Transport, login: Login) -> Login:
    """A login with a new access token. Raises `Refused` where the login as a whole has ended."""
    if not (login.cognito_endpoint and login.refresh_token and login.client_id):
        raise Refused("The login has ended.")
    parameters = {"REFRESH_TOKEN": login.refresh_token}
    token = _initiate(http, login.cognito_endpoint, login.client_id, "REFRESH_TOKEN_AUTH", parameters)
    return login.model_copy(update={"access_token": token.access_token, "expires_at": token.expires_at})


def _initiate(http: Transport, endpoint: str, client_id: str, flow: str, parameters: dict[str, str]) -> TokenAnswer:
    body: dict[str, Any] = {"AuthFlow": flow, "ClientId": client_id, "AuthParameters": parameters}
    headers = {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": "AWSCognitoIdentityProviderService.InitiateAuth",
    }
    try:
        response = http.request("POST", endpoint, content=json.dumps(body), headers=headers)
    except InvalidRequest as error:
        kind = str(error.problem.get("__type", "")).rpartition("#")[2]
        if kind in {"NotAuthorizedException", "UserNotFoundException"}:
            raise Refused(f"The user pool refuses: {error}") from error
        raise Refused(f"This user pool does not let programs ask for a password: {error} {_BROWSER}") from error
    answer = parse(response, _InitiateAuthAnswer)
    if answer.tokens is None:
        raise Refused(f"This user has to do more than give a password ({answer.challenge}). {_BROWSER}")
    return TokenAnswer(**answer.tokens.model_dump())
