"""Settings that every service has, and the one way in which a service loads its own.

Twelve-factor: the environment is the only source, and a field's name in upper case is its variable.
"""

import sys
from typing import Literal, TypeVar

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict


class ServiceSettings(BaseSettings):
    """Where a service listens and how it reports on itself."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    host: str = Field(default="0.0.0.0", description="Address to listen on.")  # noqa: S104 - a pod's port is closed by NetworkPolicy
    port: int = Field(default=8080, ge=0, le=65535, description="Port of the service itself.")
    metrics_port: int = Field(default=9090, ge=0, le=65535, description="Port of Prometheus metrics.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least level that is logged."
    )
    log_format: Literal["json", "console"] = Field(
        default="json", description="`json` for machines, `console` for people."
    )
    otel_exporter_otlp_endpoint: str | None = Field(
        default=None, description="OTLP/HTTP endpoint; traces are off without it."
    )
    otel_traces_sampler_arg: float = Field(
        default=1, ge=0, le=1, description="Part of the requests that is traced; a trace is whole or not at all."
    )


SettingsType = TypeVar("SettingsType", bound=BaseSettings)


def load_settings(settings_class: type[SettingsType]) -> SettingsType:
    """Read the settings from the environment, or stop the start.

    Prints one line for each wrong setting, naming its variable, and exits with status 2.
    Values are not printed: one of them may be a secret.
    """
    try:
        return settings_class()
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_input=False):
            variable = "__".join(str(part) for part in problem["loc"][:1]).upper() or settings_class.__name__
            inner = ".".join(str(part) for part in problem["loc"][1:])
            print(f"setting {variable}{f' ({inner})' if inner else ''}: {problem['msg']}", file=sys.stderr)
        raise SystemExit(2) from None
