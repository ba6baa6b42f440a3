"""The tools that departments have: the generic ones for all, and those that three departments add."""

from mcp_server.definitions import Toolset
from mcp_server.toolsets.finance import FinanceTools
from mcp_server.toolsets.generic import GenericTools
from mcp_server.toolsets.hr import HrTools
from mcp_server.toolsets.legal import LegalTools

TOOLSETS: dict[str, tuple[Toolset, ...]] = {
    "generic": (GenericTools(),),
    "finance": (GenericTools(), FinanceTools()),
    "hr": (GenericTools(), HrTools()),
    "legal": (GenericTools(), LegalTools()),
}
"""By the `toolset` of a `Department`."""
