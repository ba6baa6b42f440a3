"""What a caller may use: the departments, found by the prefix of a tool's name in constant time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cachetools import LRUCache

from common.caller import Caller
from common.departments import Department, Departments

LONGEST_PREFIX = 41
"""A department's name has at most 40 characters, and its prefix one more."""

REMEMBERED_CALLERS = 4096


@dataclass(frozen=True, slots=True, eq=False)
class CallerAccess:
    """One caller, and the departments that caller may use at `version` of the directory.

    What may not be used is not in here at all, so it cannot be told from what does not exist.
    """

    caller: Caller
    caller_header: str
    version: int
    departments: Mapping[str, Department]
    by_prefix: Mapping[str, Department]

    def of_tool(self, tool: str) -> Sequence[Department]:
        """The departments whose prefix `tool` starts with, the longest prefix first."""
        found: list[Department] = []
        end = tool.rfind("_", 0, LONGEST_PREFIX)
        while end > 0:
            department = self.by_prefix.get(tool[: end + 1])
            if department is not None:
                found.append(department)
            end = tool.rfind("_", 0, end)
        return found


class AccessCache:
    """The access of each caller, worked out once per caller and version of the directory."""

    def __init__(self, departments: Departments) -> None:
        self._departments = departments
        self._known: LRUCache[Caller, CallerAccess] = LRUCache(REMEMBERED_CALLERS)

    def of(self, caller: Caller) -> CallerAccess:
        """What `caller` may use now."""
        known = self._known.get(caller)
        if known is not None and known.version == self._departments.version:
            return known
        version = self._departments.version
        departments = {
            name: department for name, department in self._departments.current.items() if department.permits(caller)
        }
        by_prefix = {department.tool_prefix: department for department in departments.values()}
        access = CallerAccess(caller, caller.to_header(), version, departments, by_prefix)
        self._known[caller] = access
        return access
