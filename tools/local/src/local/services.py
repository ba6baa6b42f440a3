"""The processes of a stack: how each is started, what its environment says, and how it says that it is ready."""

import json
import os
import secrets
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

from local import names
from local.addresses import HOST, Addresses
from local.state import StateFolder

SERVICES = Path(__file__).parents[4] / "services"
FRONTEND_PYTHON = SERVICES / "frontend" / ".venv" / "bin" / "python"


@dataclass(frozen=True, slots=True)
class Service:
    """One process.

    Attributes:
        ready_url: Answers 200 once the process can do its work.
        python: The interpreter: the frontend has packages of its own.
    """

    name: str
    module: str
    ready_url: str
    environment: Mapping[str, str] = field(default_factory=dict)
    python: str = sys.executable

    @property
    def command(self) -> list[str]:
        """What is executed."""
        return [self.python, "-m", self.module]


def aws_environment(addresses: Addresses) -> dict[str, str]:
    """What botocore, or any other AWS SDK, needs to reach the stand-in. It does not look at these credentials."""
    return {
        "AWS_ENDPOINT_URL": addresses.aws,
        "AWS_REGION": names.REGION,
        "AWS_DEFAULT_REGION": names.REGION,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def base_environment() -> dict[str, str]:
    """The environment of who starts the stack, without what would lead its services to the real AWS or to a proxy."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    local_only = f"{HOST},localhost"
    return inherited | {"PYTHONUNBUFFERED": "1", "NO_PROXY": local_only, "no_proxy": local_only}


def declared() -> dict[str, dict[str, str]]:
    """The services that a stack has because they say so, each with what it is told beside what every service is.

    That is the table `[tool.local.environment]` of a service's pyproject.toml, which may be empty.
    """
    tools = {
        file.parent.name: tomllib.loads(file.read_text()).get("tool", {}) for file in SERVICES.glob("*/pyproject.toml")
    }
    return {name: tool["local"]["environment"] for name, tool in sorted(tools.items()) if "local" in tool}


def describe(state: StateFolder, addresses: Addresses, departments: Sequence[str], frontends: int) -> list[Service]:
    """All processes of a stack, in the order in which they are worth starting."""
    jobs = {
        "DEPARTMENTS_DIR": str(state.departments),
        "FILES_BUCKET": names.FILES_BUCKET,
        "JOBS_QUEUE_URL": f"{addresses.aws}/{names.ACCOUNT}/{names.JOBS_QUEUE}",
        "JOBS_TABLE": names.JOBS_TABLE,
    }

    others = [
        (place, name, name.replace("-", "_"), told)
        for place, (name, told) in enumerate(declared().items(), len(departments))
    ]
    others_urls = {f"{module.upper()}_URL": addresses.url(10 + place) for place, _, module, _ in others}

    def ours(name: str, module: str, account: str, port: int, metrics: int, settings: Mapping[str, str]) -> Service:
        environment = {
            "HOST": HOST,
            "PORT": str(addresses.port(port)),
            "METRICS_PORT": str(addresses.metrics_port(metrics)),
            "KUBERNETES_API_URL": addresses.cluster,
            "CLUSTER_ISSUER": names.CLUSTER_ISSUER,
            "SERVICE_ACCOUNT": account,
            "SERVICE_ACCOUNT_TOKEN_FILE": str(state.token(account)),
            **aws_environment(addresses),
            **others_urls,
            **settings,
        }
        return Service(name, module, f"{addresses.url(port)}/readyz", environment)

    # The worker ends its long poll before it stops, and whoever stops a stack does not want to wait for that.
    return [
        _aws(state, addresses),
        Service(
            "cluster",
            "local.cluster",
            f"{addresses.cluster}/readyz",
            {"CLUSTER_PORT": str(addresses.port(6)), "CLUSTER_KEY_FILE": str(state.cluster_key)},
        ),
        ours("gateway", "agentgateway", "agentgateway", 2, 0, _gateway(state, addresses)),
        ours("application", "application.api", "application", 3, 1, jobs),
        ours("worker", "application.worker", "application-worker", 7, 2, jobs | {"RECEIVE_SECONDS": "2"}),
        *(
            ours(f"mcp-{name}", "mcp_server", f"mcp-{name}", 10 + index, 3 + index, _department(state, name))
            for index, name in enumerate(departments)
        ),
        *(ours(name, module, name, 10 + place, 3 + place, told) for place, name, module, told in others),
        _edge(addresses, frontends),
        *(_frontend(state, addresses, index) for index in range(frontends)),
    ]


def _aws(state: StateFolder, addresses: Addresses) -> Service:
    environment = {
        "AWS_PORT": str(addresses.port(5)),
        "DEPARTMENTS_DIR": str(state.departments),
        "DATA_DIR": str(state.data),
        "APP_URL": addresses.app,
        "API_URL": addresses.api,
        "TMPDIR": str(state.temporary),
        # Each connection is a thread, and each thread's own heap would keep what large bodies needed.
        "MALLOC_ARENA_MAX": "2",
    }
    return Service("aws", "local.aws", f"{addresses.aws}/readyz", environment)


def _edge(addresses: Addresses, frontends: int) -> Service:
    environment = {
        "APP_PORT": str(addresses.port(0)),
        "API_PORT": str(addresses.port(1)),
        "LOGIN_PORT": str(addresses.port(4)),
        "GATEWAY_URL": addresses.gateway,
        "AWS_URL": addresses.aws,
    }
    urls = [f"http://{HOST}:{addresses.frontend_port(index)}" for index in range(frontends)]
    environment["FRONTEND_URLS"] = json.dumps(urls)
    return Service("edge", "local.edge", f"{addresses.login}/readyz", environment)


def _frontend(state: StateFolder, addresses: Addresses, index: int) -> Service:
    name, port = f"frontend-{index + 1}" if index else "frontend", addresses.frontend_port(index)
    logout = {"client_id": names.ALB_CLIENT, "logout_uri": addresses.app}
    environment = {
        "HOST": HOST,
        "PORT": str(port),
        "PUBLIC_APP_URL": addresses.app,
        "GATEWAY_URL": addresses.gateway,
        "STORAGE_ORIGINS": json.dumps([addresses.aws]),
        "COGNITO_ISSUER": names.COGNITO_ISSUER,
        "COGNITO_JWKS_URL": f"{addresses.aws}/{names.POOL}/.well-known/jwks.json",
        "COGNITO_CLIENT_IDS": json.dumps([names.ALB_CLIENT]),
        "LOGOUT_URL": f"{addresses.login}/logout?{urlencode(logout)}",
        "ALB_ARN": names.ALB_ARN,
        "ALB_KEYS_URL": f"{addresses.login}/load-balancer-keys",
        "SECRET_KEY": secrets.token_urlsafe(32),
        "STATE_DIR": str(state.frontend / name),
        **aws_environment(addresses),
    }
    return Service(name, "frontend", f"http://{HOST}:{port}/readyz", environment, str(FRONTEND_PYTHON))


def _gateway(state: StateFolder, addresses: Addresses) -> dict[str, str]:
    roles = {names.role_arn(role): groups for role, groups in names.ON_PREMISES_ROLES.items() if groups}
    return {
        "DEPARTMENTS_DIR": str(state.departments),
        "APPLICATION_URL": addresses.application,
        "PUBLIC_API_URL": addresses.api,
        "PUBLIC_APP_URL": addresses.app,
        "COGNITO_ISSUER": names.COGNITO_ISSUER,
        "COGNITO_JWKS_URL": f"{addresses.aws}/{names.POOL}/.well-known/jwks.json",
        "COGNITO_DOMAIN_URL": addresses.login,
        "COGNITO_CLIENT_IDS": json.dumps([names.PUBLIC_CLIENT, names.ALB_CLIENT]),
        "COGNITO_PUBLIC_CLIENT_ID": names.PUBLIC_CLIENT,
        "IAM_ROLE_GROUPS": json.dumps(roles),
        "STS_ENDPOINT_URL": addresses.aws,
        "GATEWAY_SIGNING_KEY_ID": names.SIGNING_KEY,
        "EXCHANGES_TABLE": names.EXCHANGES_TABLE,
    }


def _department(state: StateFolder, name: str) -> dict[str, str]:
    return {
        "DEPARTMENT": name,
        "DEPARTMENT_FILE": str(state.departments / f"{name}.yaml"),
        "DEPARTMENT_DATA_BUCKET": names.DATA_BUCKET,
        "DATA_DIRECTORY": str(state.tables / name),
        # Whoever tries their own data does not want to wait for them.
        "REFRESH_SECONDS": "3",
    }
