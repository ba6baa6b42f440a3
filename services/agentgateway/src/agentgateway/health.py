"""Whether this gateway can do its work now."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

import structlog

from agentgateway.rest.application import AUDIENCE, Application
from common.departments import Departments
from common.jwks import JwksCache
from common.service_tokens import ServiceTokenSource, ServiceTokenUnavailable

log = structlog.get_logger()

COSTS_ONE_FACE = frozenset({"application"})
"""What is told, but is no reason to take the gateway out of its load balancer: MCP goes on without REST."""

KEPT_SECONDS = 1
"""How long an answer is kept, so that probes cost the same however many there are."""


class Readiness:
    """Asks what the gateway needs: keys to verify tokens with, tokens to call with, whom to call, and the application.

    A department that is down is not among them: it costs its own tools, and nobody else's.
    """

    def __init__(
        self,
        *,
        keys: JwksCache,
        tokens: ServiceTokenSource,
        application: Application,
        departments: Departments,
    ) -> None:
        self._keys = keys
        self._tokens = tokens
        self._application = application
        self._departments = departments
        self._lock = asyncio.Lock()
        self._known: Mapping[str, bool] = {}
        self._until = 0.0

    async def checks(self) -> Mapping[str, bool]:
        """What was asked, and whether it is there."""
        async with self._lock:
            if time.monotonic() >= self._until:
                names: dict[str, Callable[[], Awaitable[bool]]] = {
                    "user_pool_keys": self._has_keys,
                    "service_tokens": self._has_tokens,
                    "application": self._application.alive,
                    "departments": self._has_departments,
                }
                found = await asyncio.gather(*(check() for check in names.values()))
                known = dict(zip(names, found, strict=True))
                if known != self._known:
                    log.info("readiness.changed", **known)
                self._known, self._until = known, time.monotonic() + KEPT_SECONDS
            return self._known

    @staticmethod
    def suffices(checks: Mapping[str, bool]) -> bool:
        """Whether the gateway can do what it can do alone."""
        return all(there or name in COSTS_ONE_FACE for name, there in checks.items())

    async def _has_keys(self) -> bool:
        if not self._keys.loaded:
            await self._keys.refresh()
        return self._keys.loaded

    async def _has_tokens(self) -> bool:
        try:
            await self._tokens.token(AUDIENCE)
        except (ServiceTokenUnavailable, OSError):
            return False
        return True

    async def _has_departments(self) -> bool:
        return self._departments.known
