"""Settings of the frontend, and what they mean to Langflow."""

import json
import secrets
import sys
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PACKAGE = Path(__file__).parent

POOL: Final = {"pool_size": 5, "max_overflow": 5, "pool_timeout": 30, "pool_pre_ping": True, "pool_recycle": 1800}
"""Connections of one replica to PostgreSQL; Langflow adds 2, and 3 while it starts."""


class Settings(BaseSettings):
    """Where the frontend listens, whom it believes, what lies behind, where it keeps flows and files."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    host: str = Field(default="0.0.0.0", description="Address to listen on.")  # noqa: S104 - a pod's port is closed by NetworkPolicy
    port: int = Field(default=7860, ge=0, le=65535, description="Port of the page.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="warning", description="Least level that is logged."
    )

    public_app_url: str = Field(description="Address of the page, the only origin that browsers may write from.")
    gateway_url: str = Field(default="http://agentgateway:8080", description="The gateway, which components call.")
    storage_origins: tuple[str, ...] = Field(
        default=(), description="JSON list: origins of presigned addresses, where the page may send large files."
    )

    cognito_issuer: str = Field(description="`iss` of the user pool's tokens.")
    cognito_jwks_url: str | None = Field(
        default=None, description="The user pool's key set; without it, the issuer's `/.well-known/jwks.json`."
    )
    cognito_client_ids: frozenset[str] = Field(
        min_length=1, description="JSON list: app clients whose access tokens are accepted."
    )
    logout_url: str | None = Field(
        default=None, description="Cognito's `/logout`, where Sign out leads; none without it."
    )
    alb_arn: str | None = Field(
        default=None, description="The load balancer that must have signed `x-amzn-oidc-data`, which is shown only."
    )
    alb_keys_url: str | None = Field(
        default=None, description="Its public keys; without it, those of `AWS_REGION`'s load balancers."
    )
    aws_region: str = Field(description="Region of the load balancer, the database and the bucket.")

    secret_key: SecretStr = Field(
        min_length=32, description="Signs and encrypts what Langflow keeps; the same for all replicas."
    )
    state_dir: Path = Field(default=Path("/var/lib/frontend"), description="Writable folder: SQLite, caches.")
    database_url: SecretStr | None = Field(
        default=None, description="`postgresql://…`, for more than one replica; without it SQLite in `STATE_DIR`."
    )
    database_iam_auth: bool = Field(
        default=False, description="Whether the database's password is a token of the pod's IAM role."
    )
    database_ca: str | None = Field(
        default=None,
        description="Who may have signed the database's certificate: a PEM file, or its https address.",
    )
    storage_bucket: str | None = Field(
        default=None, description="Bucket of the files on users' canvases, for more than one replica."
    )
    storage_prefix: str = Field(default="frontend", description="Where they are in that bucket.")
    allow_code: bool = Field(
        default=False, description="Whether users may run Python of their own in this process: an administrator's risk."
    )

    @field_validator("public_app_url", "gateway_url")
    @classmethod
    def _is_origin(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("must be an address such as https://app.example.com")
        return value.rstrip("/")

    @property
    def database_authority(self) -> str | None:
        """Who may have signed the database's certificate; a token is told to no server that cannot prove its name."""
        bundle = f"https://truststore.pki.rds.amazonaws.com/{self.aws_region}/{self.aws_region}-bundle.pem"
        return self.database_ca or (bundle if self.database_iam_auth else None)

    @property
    def jwks_url(self) -> str:
        """Where the keys are that sign access tokens."""
        return self.cognito_jwks_url or f"{self.cognito_issuer}/.well-known/jwks.json"

    @property
    def signer_keys_url(self) -> str:
        """Where the keys are that sign what the load balancer says of a user."""
        return self.alb_keys_url or f"https://public-keys.auth.elb.{self.aws_region}.amazonaws.com"


def load() -> Settings:
    """Read the environment, or stop the start: one line for each wrong setting, without its value."""
    try:
        return Settings()
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_input=False):
            print(f"setting {str(problem['loc'][0]).upper()}: {problem['msg']}", file=sys.stderr)
        raise SystemExit(2) from None


def langflow_environment(settings: Settings) -> dict[str, str]:
    """Langflow's own settings: who may do what is decided here, once, and nothing of it is left to its defaults."""
    state = settings.state_dir
    database = settings.database_url.get_secret_value() if settings.database_url else f"sqlite:///{state}/langflow.db"
    code = str(settings.allow_code).lower()
    wanted = {
        # Who comes in: whom the load balancer vouches for, and nobody else.
        "AUTO_LOGIN": "false",
        "SKIP_AUTH_AUTO_LOGIN": "false",
        "ENABLE_SIGNUP": "false",
        "NEW_USER_IS_ACTIVE": "false",
        # Langflow wants an administrator. Nobody knows this one's password, and the gate answers no login.
        "SUPERUSER": "administrator",
        "SUPERUSER_PASSWORD": secrets.token_urlsafe(48),
        "SECRET_KEY": settings.secret_key.get_secret_value(),
        "EXTERNAL_AUTH_ENABLED": "true",
        "EXTERNAL_AUTH_PROVIDER": "cognito",
        "EXTERNAL_AUTH_TOKEN_HEADER": "x-amzn-oidc-accesstoken",
        "EXTERNAL_AUTH_IDENTITY_RESOLVER": "frontend.identity:AccessTokenResolver",
        "EXTERNAL_AUTH_USERNAME_CLAIM": "username",
        # A ceiling: without it a key of Langflow's own would outlive the login.
        "EXTERNAL_AUTH_ACCESS_CEILING_ENABLED": "true",
        "EXTERNAL_AUTH_DEFAULT_ACCESS_LEVEL": "editor",
        "EXTERNAL_AUTH_DISABLE_API_KEYS_FOR_EXTERNAL_USERS": "true",
        "CORS_ORIGINS": settings.public_app_url,
        "REMOVE_API_KEYS": "true",
        "FALLBACK_TO_ENV_VAR": "false",
        "STORE_ENVIRONMENT_VARIABLES": "false",
        # What they may run: our components and Langflow's, as they are.
        "COMPONENTS_PATH": str(PACKAGE / "components"),
        "ALLOW_CUSTOM_COMPONENTS": code,
        "CUSTOM_COMPONENT_ADMIN_ONLY": str(not settings.allow_code).lower(),
        "BLOCK_CODE_INTERPRETER_COMPONENTS": str(not settings.allow_code).lower(),
        "RESTRICT_LOCAL_FILE_ACCESS": "true",
        "MCP_SERVERS_LOCKED": "true",
        "MCP_SERVER_ALLOWED_PACKAGES": "",
        "MCP_SERVER_ENV_ALLOWLIST": "",
        "MCP_SERVER_INTERPRETER_HARDENING": "true",
        "MCP_SERVER_DOCKER_HARDENING": "true",
        "MCP_SERVER_ENABLED": "false",
        "MCP_SSE_ENABLED": "false",
        "MCP_COMPOSER_ENABLED": "false",
        "ADD_PROJECTS_TO_MCP_SERVERS": "false",
        "SKIP_MCP_AUTO_INIT": "true",
        "AGENTIC_EXPERIENCE": "false",
        "TRIGGER_INGRESS_ENABLED": "false",
        "TRIGGER_DISPATCHER_ENABLED": "false",
        # Where things are kept. Any replica answers any request: nothing that matters is in one's memory.
        "CONFIG_DIR": str(state),
        "DATABASE_URL": database,
        "DATABASE_CONNECTION_RETRY": "true",
        "STORAGE_TYPE": "s3" if settings.storage_bucket else "local",
        "EVENT_DELIVERY": "direct",
        "MAX_FILE_SIZE_UPLOAD": "20480",
        "TELEMETRY_WRITER_OUTBOX_DIR": str(state / "outbox"),
        # Nothing is told to anybody outside.
        "DO_NOT_TRACK": "true",
        "DEACTIVATE_TRACING": "true",
        "STORE": "false",
        "MODELS_DEV_REFRESH": "false",
        # The look: our flow, and nothing of Langflow's in the way.
        "CREATE_STARTER_PROJECTS": "false",
        "UPDATE_STARTER_PROJECTS": "false",
        "HIDE_STARTER_PROJECTS": "true",
        "HIDE_GETTING_STARTED_PROGRESS": "true",
        "HIDE_LOGOUT_BUTTON": "true",
        "LOG_LEVEL": settings.log_level,
        # A line of JSON each: drawing a traceback takes a second of a processor.
        "LOG_ENV": "container",
    }
    if settings.database_url:
        wanted["DB_CONNECTION_SETTINGS"] = json.dumps(POOL)
    if settings.storage_bucket:
        wanted |= {
            "OBJECT_STORAGE_BUCKET_NAME": settings.storage_bucket,
            "OBJECT_STORAGE_PREFIX": settings.storage_prefix,
        }
    return {f"LANGFLOW_{name}": value for name, value in wanted.items()} | {
        # Its S3 client is told of no region but by this.
        "AWS_DEFAULT_REGION": settings.aws_region,
        "DO_NOT_TRACK": "true",
        "DEFAULT_FOLDER_NAME": "My flows",
    }
