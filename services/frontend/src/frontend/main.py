"""Assembles the frontend: Langflow, our pages and routes in it, the gate around it."""

import os
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from frontend import context, database
from frontend.settings import Settings, langflow_environment

KEEP_ALIVE_SECONDS: Final = 310
"""Longer than the load balancer keeps an idle connection (300 s): one that this side closes is a 502 to somebody.

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/application-load-balancers.html#connection-idle-timeout
"""


def create_app(settings: Settings) -> ASGIApp:
    """The application; Langflow reads its settings from the environment when it is imported."""
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    # An entry point of a package would not do: Langflow's own has taken the place by then.
    (settings.state_dir / "lfx.toml").write_text(
        '[services]\nauth_service = "frontend.auth_service:FrontendAuthService"\n'
    )
    os.environ.update(langflow_environment(settings))
    database.configure(settings)
    from langflow.main import setup_app
    from lfx.utils.schemas import TEXT_FILE_TYPES

    from frontend.gate import Gate
    from frontend.identity import Verifier
    from frontend.look import FOLDER

    # Langflow shows a message with an attachment only where it knows the extension.
    TEXT_FILE_TYPES.extend(("tsv", "xlsx", "xls", "xlsb", "ods", "jsonl", "parquet", "gz"))
    app: ASGIApp = setup_app(FOLDER)
    if settings.database_url:
        app = database.OneAtATime(app, settings.database_url.get_secret_value())
    return Gate(app, settings, Verifier(settings))


def run() -> None:
    """Serve until the process is told to stop."""
    settings = context.settings()
    app = create_app(settings)
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        log_level="warning",
        loop="asyncio",
        # httptools' protocol takes the trailers of a chunked request for headers, the load balancer's token among them
        # (RFC 9110, section 6.5.1); h11's does not.
        http="h11",
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        # A request in work when the process is told to stop has half a minute to end.
        timeout_graceful_shutdown=30,
    )
