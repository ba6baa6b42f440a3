"""The audit record: who did what, to which department, with what outcome. No data, no arguments, no tokens."""

import structlog

from common.caller import Caller

log = structlog.get_logger("audit")


def record(caller: Caller, department: str | None, tool: str, outcome: str, seconds: float) -> None:
    """Write one record.

    Args:
        caller: Who called.
        department: Whose data was asked for; None where the call concerns no single department.
        tool: The tool, method or route, from a closed set: never a value that the caller made up.
        outcome: One word or an HTTP status.
        seconds: From the arrival of the request to the end of the answer.
    """
    log.info(
        "audit",
        subject=caller.subject,
        username=caller.username,
        method=caller.method,
        department=department,
        tool=tool,
        outcome=outcome,
        milliseconds=round(seconds * 1000, 1),
    )
