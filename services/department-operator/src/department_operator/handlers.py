"""Kopf's part: watches that survive a lost connection, and hand each change to the operator.

Only `on.event` handlers: they keep nothing in the objects, so there is no annotation to write, no finalizer to remove,
and nothing for two operators to fight about.
"""

from collections.abc import Callable, Mapping
from typing import Any

import kopf

from department_operator.connection import Connection
from department_operator.kubernetes import PAGE_SIZE
from department_operator.names import DEPARTMENT_LABEL, GROUP, MADE
from department_operator.operator import Operator

Intake = Callable[[str | None, Mapping[str, Any]], None]


def registry(operator: Operator, connection: Connection) -> kopf.OperatorRegistry:
    """Which changes the operator is told of."""
    handlers = kopf.OperatorRegistry()

    @kopf.on.login(registry=handlers)
    async def login(**_: Any) -> kopf.AiohttpSession:
        return kopf.AiohttpSession(server=connection.server, aiohttp_session=connection.session)

    _watch(handlers, (GROUP, "v1alpha1", "departments"), operator.department)
    _watch(handlers, ("", "v1", "podtemplates"), operator.pod_template)
    _watch(handlers, ("", "v1", "pods"), operator.pod)
    for kind, resource in MADE.items():
        _watch(handlers, resource, _made(operator, kind))
    return handlers


def settings() -> kopf.OperatorSettings:
    """How Kopf watches."""
    made = kopf.OperatorSettings()
    made.peering.standalone = True
    made.posting.enabled = False
    made.scanning.disabled = True  # the namespace and the kinds are known: no right to list all of them is needed
    made.networking.error_backoffs = (0.1, 0.2, 0.5, 1, 2, 5, 10)
    made.watching.chunk_size = PAGE_SIZE
    made.queueing.idle_timeout = 1  # how long it keeps a worker for an object, and so a stop waiting
    made.queueing.exit_timeout = 0.5
    for resource in (("", "v1", "pods"), *MADE.values()):
        made.watching.label_selectors[resource] = DEPARTMENT_LABEL
    return made


def _made(operator: Operator, kind: str) -> Intake:
    return lambda change, document: operator.made(kind, change, {"kind": kind, **document})


def _watch(handlers: kopf.OperatorRegistry, resource: tuple[str, str, str], intake: Intake) -> None:
    async def handle(event: kopf.RawEvent, **_: Any) -> None:
        intake(event["type"], event["object"])

    kopf.on.event(*resource, registry=handlers, id="intake")(handle)
