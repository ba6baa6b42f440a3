"""The tools that departments have: the generic ones for all, and those that three departments add."""

from mcp_server.definitions import Toolset
from mcp_server.toolsets.explain import ExplainTools
from mcp_server.toolsets.finance import FinanceTools
from mcp_server.toolsets.generic import GenericTools
from mcp_server.toolsets.hr import HrTools
from mcp_server.toolsets.legal import LegalTools

_FOR_ALL: tuple[Toolset, ...] = (GenericTools(), ExplainTools())

TOOLSETS: dict[str, tuple[Toolset, ...]] = {
    "generic": _FOR_ALL,
    "finance": (*_FOR_ALL, FinanceTools()),
    "hr": (*_FOR_ALL, HrTools()),
    "legal": (*_FOR_ALL, LegalTools()),
}
"""By the `toolset` of a `Department`."""
