"""Programs as their libraries' users write them: given an address, they log in and call a tool.

`python programs.py NAME URL` prints what the tool said. Each runs in an environment that has only its own library.
"""

import asyncio
import sys
from typing import Any

TOOL = "files_list_departments"


async def sdk(url: str) -> Any:
    import httpx2
    from listener import oauth
    from mcp import Client
    from mcp.client.streamable_http import streamable_http_client

    async with httpx2.AsyncClient(auth=oauth(url, "Python SDK")) as http:
        async with Client(streamable_http_client(url, http_client=http)) as client:
            return (await client.call_tool(TOOL, {})).structured_content


async def fastmcp(url: str) -> Any:
    from fastmcp import Client

    async with Client(url, auth="oauth") as client:
        return (await client.call_tool(TOOL, {})).structured_content


async def pydantic_ai(url: str) -> Any:
    from pydantic_ai.mcp import MCPToolset

    async with MCPToolset(url, auth="oauth") as toolset:
        return await toolset.direct_call_tool(TOOL, {})


async def openai_agents(url: str) -> Any:
    from agents.mcp import MCPServerStreamableHttp
    from listener import oauth

    async with MCPServerStreamableHttp({"url": url, "auth": oauth(url, "openai-agents"), "timeout": 60}) as server:
        return (await server.call_tool(TOOL, {})).structured_content


async def langchain(url: str) -> Any:
    from langchain_mcp_adapters.client import MultiServerMCPClient
    from listener import oauth

    connection: Any = {"transport": "streamable_http", "url": url, "auth": oauth(url, "langchain-mcp-adapters")}
    tools = {tool.name: tool for tool in await MultiServerMCPClient({"files": connection}).get_tools()}
    return await tools[TOOL].ainvoke({})


PROGRAMS = {each.__name__: each for each in (sdk, fastmcp, pydantic_ai, openai_agents, langchain)}

if __name__ == "__main__":
    print(asyncio.run(PROGRAMS[sys.argv[1]](sys.argv[2])))
