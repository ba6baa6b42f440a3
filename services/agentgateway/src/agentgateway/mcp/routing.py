"""Which department a request to the federated server is for."""

from collections.abc import Container
from typing import Any

from agentgateway.mcp.access import CallerAccess
from agentgateway.mcp.catalog import PROMPTS, TEMPLATES, Catalog
from agentgateway.mcp.message import Message
from common.departments import Department


async def department_for(
    message: Message, access: CallerAccess, catalog: Catalog, own: Container[str]
) -> Department | None:
    """The department that the request is for, or None where the gateway itself answers, as for its `own` tools.

    Raises:
        RpcError: A department that may own what is asked for did not tell.
    """
    params = message.params
    if message.method == "tools/call":
        name = params.get("name")
        if not isinstance(name, str) or name in own:
            return None
        departments = access.of_tool(name)
        if len(departments) < 2:
            return departments[0] if departments else None
        return await catalog.owner_of_tool(name, departments, access)
    if message.method == "resources/read":
        return await catalog.owner_of_resource(_text(params, "uri"), access)
    if message.method == "prompts/get":
        return await catalog.owner(PROMPTS, _text(params, "name"), access)
    if message.method == "completion/complete":
        reference = params.get("ref")
        if not isinstance(reference, dict):
            return None
        if reference.get("type") == "ref/prompt":
            return await catalog.owner(PROMPTS, _text(reference, "name"), access)
        return await catalog.owner(TEMPLATES, _text(reference, "uri"), access)
    return None


def _text(members: dict[str, Any], name: str) -> str:
    """The member where it is a text; nothing is called by the empty one."""
    value = members.get(name)
    return value if isinstance(value, str) else ""
