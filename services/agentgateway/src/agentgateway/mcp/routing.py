"""Which department a request to the federated server is for."""

from collections.abc import Container
from typing import Any

from agentgateway.mcp.catalogue import PROMPTS, TEMPLATES, Catalogue
from agentgateway.mcp.message import Message
from agentgateway.mcp.reach import Reach
from common.departments import Department


async def department_for(
    message: Message, reach: Reach, catalogue: Catalogue, own: Container[str]
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
        departments = reach.of_tool(name)
        if len(departments) < 2:
            return departments[0] if departments else None
        return await catalogue.owner_of_tool(name, departments, reach)
    if message.method == "resources/read":
        return await catalogue.owner_of_resource(_text(params, "uri"), reach)
    if message.method == "prompts/get":
        return await catalogue.owner(PROMPTS, _text(params, "name"), reach)
    if message.method == "completion/complete":
        reference = params.get("ref")
        if not isinstance(reference, dict):
            return None
        if reference.get("type") == "ref/prompt":
            return await catalogue.owner(PROMPTS, _text(reference, "name"), reach)
        return await catalogue.owner(TEMPLATES, _text(reference, "uri"), reach)
    return None


def _text(members: dict[str, Any], name: str) -> str:
    """The member where it is a text; nothing is called by the empty one."""
    value = members.get(name)
    return value if isinstance(value, str) else ""
