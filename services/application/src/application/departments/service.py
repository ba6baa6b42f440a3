"""The departments as a caller may use them, and look-ups in them on the caller's behalf."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from cachetools import TTLCache

from application.departments.access import Access
from application.departments.client import DepartmentClient
from application.departments.lookup import DepartmentLookup
from application.engine import DatasetInfo
from common.caller import Caller
from common.departments import Department

_CALL_SECONDS = 5.0
OUTAGE_SECONDS = 5.0
_MOST_OUTAGES = 1000


class DepartmentService:
    """Who may use which department, and what its server says.

    Attributes:
        outages: The departments that did not answer a moment ago, with what was said of them; for the loop's thread.
    """

    def __init__(
        self,
        client: DepartmentClient,
        access: Access,
        loop: asyncio.AbstractEventLoop,
        *,
        seconds: float,
        listing_seconds: float,
    ) -> None:
        """``client`` works in ``loop``; an answer may take ``seconds``, one for a list ``listing_seconds``."""
        self._client = client
        self._access = access
        self._loop = loop
        self._seconds = seconds
        self._listing_seconds = listing_seconds
        self.outages: TTLCache[str, str] = TTLCache(_MOST_OUTAGES, OUTAGE_SECONDS)

    def permitted(self, caller: Caller) -> list[Department]:
        """The departments that the caller may use, in the order of their names."""
        return self._access.departments(caller)

    def lookup(self, caller: Caller, departments: Sequence[str], needed: Sequence[str] = ()) -> DepartmentLookup:
        """The caller's look-ups in ``departments``, of which ``needed`` must have data."""
        return self._lookup(caller, departments, needed, self._seconds)

    def datasets(self, caller: Caller, department: str) -> Sequence[DatasetInfo]:
        """What a department's server has for the caller. Blocks; not for the thread of the loop.

        Raises:
            DepartmentUnavailable, DepartmentRefused: It does not answer, or not to this caller.
        """
        return self._lookup(caller, [department], (), self._listing_seconds).describe(department)

    def _lookup(
        self, caller: Caller, departments: Sequence[str], needed: Sequence[str], seconds: float
    ) -> DepartmentLookup:
        call = min(_CALL_SECONDS, seconds)
        return DepartmentLookup(
            self._client, self._loop, caller, departments, call_seconds=call, total_seconds=seconds, needed=needed
        )
