"""Structured logs: an event's name and fields, one JSON object a line (or a coloured line for people)."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog
from opentelemetry import trace
from starlette.requests import ClientDisconnect

from common.settings import ServiceSettings

get_logger = structlog.get_logger


def configure_logging(service: str, settings: ServiceSettings) -> None:
    """Send this process's logs, and those of its libraries, to standard output in one format."""

    def add_service(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["service"] = service
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            event["trace_id"] = f"{context.trace_id:032x}"
        return event

    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_service,
    ]
    # Without the variables of each frame, which both renderers show by default: among them are tokens and rows.
    without_variables = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    renderers: list[structlog.types.Processor] = (
        [structlog.processors.ExceptionRenderer(without_variables), structlog.processors.JSONRenderer()]
        if settings.log_format == "json"
        else [
            structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty(), exception_formatter=structlog.dev.plain_traceback)
        ]
    )
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    structlog.configure(
        processors=[*shared, *renderers],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.addFilter(_is_of_ours)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING), force=True)


def _is_of_ours(record: logging.LogRecord) -> bool:
    # Libraries log a client that leaves in the middle of a request as an error, with a traceback.
    return record.exc_info is None or not isinstance(record.exc_info[1], ClientDisconnect)
