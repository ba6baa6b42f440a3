"""One request of a caller, as it becomes known on its way: what audit records and metrics are made of."""

import re
from dataclasses import dataclass
from typing import Protocol

from mcp_types.methods import SERVER_RESULTS

from agentgateway.mcp.access import CallerAccess
from agentgateway.mcp.metrics import count_call
from common.caller import Caller

CALL = "agentgateway.call"
"""Key of the request's `Call` in its ASGI scope."""

LEGAL_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}")
"""What the names of tools and departments are made of; nothing else that a caller makes up is ever written down."""

OTHER = "other"
FAILED = "failed"
"""What became of a call that nobody said more of."""

METHODS = frozenset(method for method, _ in SERVER_RESULTS)


class Audit(Protocol):
    """Keeps a record of each call; never of what was asked or answered."""

    def __call__(self, caller: Caller, department: str | None, tool: str, outcome: str, seconds: float) -> None:
        """`department` is None where the call was for none; `tool` is a tool's name, or the method."""
        ...


@dataclass(slots=True)
class Call:
    """Who asks for what.

    Attributes:
        access: What the caller may use.
        request_id: The JSON-RPC request's, once it is known.
        department: The one that was asked for; empty for the gateway itself.
        tool: The tool's name, or the method for what is not a call of a tool.
        known: Whether `department` and `tool` exist, so that they may become labels of metrics.
        outcome: What became of it, in one word.
    """

    access: CallerAccess
    request_id: int | str | None = None
    department: str = ""
    tool: str = OTHER
    known: bool = False
    outcome: str = FAILED

    def asks(self, method: str, tool: object) -> None:
        """Take note of the method, or of the tool that is called."""
        if method == "tools/call":
            self.tool = legal(tool)
        elif method in METHODS:
            self.tool = method
            self.known = True

    def record(self, audit: Audit, seconds: float) -> None:
        """Write the audit record, and count the call."""
        audit(self.access.caller, self.department or None, self.tool, self.outcome, seconds)
        department = self.department if self.department in self.access.departments else ""
        count_call(department, self.tool if self.known else OTHER, self.outcome, seconds)


def legal(name: object) -> str:
    """The name as records have it."""
    return name if isinstance(name, str) and LEGAL_NAME.fullmatch(name) else OTHER
