"""Assembles the frontend: Langflow, our pages and routes in it, the gate around it."""

import os

import uvicorn
from starlette.types import ASGIApp

from frontend import context
from frontend.database import use_iam_tokens
from frontend.settings import Settings, langflow_environment


def create_app(settings: Settings) -> ASGIApp:
    """The application; Langflow reads its settings from the environment when it is imported."""
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    os.environ.update(langflow_environment(settings))
    if settings.database_iam_auth:
        use_iam_tokens(settings.aws_region)
    from langflow.main import setup_app
    from lfx.utils.schemas import TEXT_FILE_TYPES

    from frontend.gate import Gate
    from frontend.identity import Verifier
    from frontend.look import static_files

    # Langflow shows a message with an attachment only where it knows the extension.
    TEXT_FILE_TYPES.extend(("tsv", "xlsx", "jsonl", "parquet"))
    return Gate(setup_app(static_files(settings.state_dir)), settings, Verifier(settings))


def run() -> None:
    """Serve until the process is told to stop."""
    settings = context.settings()
    app = create_app(settings)
    # A request in work when the process is told to stop has half a minute to end.
    uvicorn.run(
        app, host=settings.host, port=settings.port, log_level="warning", loop="asyncio", timeout_graceful_shutdown=30
    )
