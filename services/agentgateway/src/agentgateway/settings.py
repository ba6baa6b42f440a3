"""Settings of the gateway."""

from typing import Annotated, Self
from urllib.parse import urlsplit

from limits import parse as parse_limit
from pydantic import AfterValidator, Field, model_validator

from agentgateway.identity.roles import RoleGroups
from agentgateway.mcp.settings import McpSettings
from agentgateway.oauth.redirects import DEFAULT_REDIRECTS, is_entry
from common.department_source import DepartmentSettings
from common.settings import ServiceSettings

CALLBACK = "/oauth/callback"
"""Where the user pool answers: the one redirect URI that it knows of programs."""

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})


def _url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be a URL such as https://api.example.com")
    if parts.query or parts.fragment or parts.username is not None:
        raise ValueError("must have no query, fragment or user")
    return value.rstrip("/")


def _secure_url(value: str) -> str:
    parts = urlsplit(url := _url(value))
    if parts.scheme == "http" and parts.hostname not in LOOPBACK_HOSTS:
        raise ValueError("must use https, unless its host is a loopback address")
    return url


def _origin(value: str) -> str:
    if urlsplit(url := _secure_url(value)).path:
        raise ValueError("must have no path")
    return url


def _role_groups(value: dict[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    RoleGroups(value)
    return value


def _limit(value: str) -> str:
    try:
        parse_limit(value)
    except ValueError as error:
        raise ValueError("must be a limit such as 100/second") from error
    return value


def _redirects(value: tuple[str, ...]) -> tuple[str, ...]:
    for uri in value:
        if not is_entry(uri):
            raise ValueError(f"'{uri}' must be https or a program's own scheme, with host and path, without a query")
    return value


HttpUrl = Annotated[str, AfterValidator(_url)]
SecureUrl = Annotated[str, AfterValidator(_secure_url)]
Origin = Annotated[str, AfterValidator(_origin)]
Limit = Annotated[str, AfterValidator(_limit)]


class Settings(ServiceSettings, DepartmentSettings, McpSettings):
    """Who may call, what lies behind, and the limits."""

    aws_region: str = Field(description="Region of KMS, DynamoDB and STS.")
    application_url: HttpUrl = Field(default="http://application:8000", description="The application's API.")
    public_api_url: Origin = Field(description="This gateway's address for programs.")
    public_app_url: Origin = Field(description="Address of the pages that browsers may write from.")

    cognito_issuer: SecureUrl = Field(description="`iss` of the user pool's tokens.")
    cognito_jwks_url: str | None = Field(
        default=None, description="The user pool's key set; without it, the issuer's `/.well-known/jwks.json`."
    )
    cognito_domain_url: SecureUrl = Field(description="Managed login, which the gateway sends people to.")
    cognito_client_ids: frozenset[str] = Field(
        min_length=1, description="JSON list: app clients whose access tokens are accepted."
    )
    cognito_public_client_id: str = Field(description="The public app client that the gateway logs people in as.")
    oauth_redirect_uris: Annotated[tuple[str, ...], AfterValidator(_redirects)] = Field(
        default=DEFAULT_REDIRECTS,
        description="JSON list: where a login may lead beside loopback addresses; a last `/*` is any one segment.",
    )
    oauth_scopes: tuple[str, ...] = Field(default=("openid",), description="JSON list: scopes that clients ask for.")

    iam_role_groups: Annotated[dict[str, frozenset[str]], AfterValidator(_role_groups)] = Field(
        default_factory=dict, description="JSON map: ARN of an IAM role to the groups that its sessions have."
    )
    sts_endpoint_url: Origin | None = Field(default=None, description="STS; without it, the region's own.")
    gateway_signing_key_id: str = Field(description="KMS key (RSA_2048, SIGN_VERIFY) that signs the gateway's tokens.")
    exchanges_table: str = Field(description="DynamoDB table of the IAM exchanges that were used.")

    rate_limit: Limit = Field(
        default="100/second",
        description="Requests of one caller that one replica lets through; an MCP request counts once more for each "
        "4 KiB.",
    )
    exchange_rate_limit: Limit = Field(
        default="20 per 10 seconds",
        description="Exchanges of AWS credentials from one address that one replica asks STS about.",
    )
    requests_at_once: int = Field(
        default=200, ge=1, description="Requests of one caller that one replica has under way at the same time."
    )
    cors_origins: frozenset[str] = Field(
        default=frozenset(), description="JSON list: origins whose pages may call this API with a token of theirs."
    )
    application_timeout_seconds: float = Field(
        default=120,
        gt=0,
        description="Longest silence of the application; an event stream is never silent for so long.",
    )
    client_timeout_seconds: float = Field(
        default=60, gt=0, description="Longest that a client may make no progress in sending or reading a body."
    )
    client_min_rate: int = Field(
        default=1024, ge=1, description="Bytes a second below which a body does not count as progress."
    )
    max_header_bytes: int = Field(default=32 * 1024, ge=1024, description="Largest head of a request, in bytes.")
    header_timeout_seconds: float = Field(
        default=20, gt=0, description="Longest that a client may take to send the head of a request."
    )
    shutdown_seconds: int = Field(default=25, gt=0, description="How long requests may go on after the signal to stop.")

    @model_validator(mode="after")
    def _issuers_differ(self) -> Self:
        if self.cognito_issuer == self.public_api_url:
            raise ValueError(
                "COGNITO_ISSUER and PUBLIC_API_URL must differ: the issuer decides how a token is verified"
            )
        return self

    @property
    def jwks_url(self) -> str:
        """The user pool's key set."""
        return self.cognito_jwks_url or f"{self.cognito_issuer}/.well-known/jwks.json"

    @property
    def oauth_callback_url(self) -> str:
        """The redirect URI that is registered at the user pool."""
        return f"{self.public_api_url}{CALLBACK}"

    @property
    def sts_url(self) -> str:
        """The one STS endpoint that presigned requests are sent to."""
        return self.sts_endpoint_url or f"https://sts.{self.aws_region}.amazonaws.com"
