"""A look-up of many keys costs little more than the JSON of its answer."""

import asyncio
import json
import math
import time
from typing import TYPE_CHECKING

import httpx2
import orjson
import pytest
from starlette.applications import Starlette

from mcp_server.main import create_app

if TYPE_CHECKING:
    from conftest import Serve

pytestmark = pytest.mark.slow

DEPARTMENT = """
apiVersion: fileprocessing.internal/v1alpha1
kind: Department
metadata: {name: finance}
spec: {displayName: F, access: {groups: [finance]}, datasets: [{name: vendors, object: v.csv, key: id, search: [name]}]}
"""
VENDORS = "id,name,country,currency,status,terms,city,rating\n" + "".join(
    f"V-{number:05},Vendor {number} GmbH,DE,EUR,active,NET{number % 90},Berlin,{number % 5}\n"
    for number in range(20_000)
)
CALLS = 20


async def test_five_thousand_keys_cost_little_more_than_the_json_of_their_rows(serve: "Serve") -> None:
    params = {
        "name": "finance_lookup_vendors",
        "arguments": {"keys": [f"V-{number:05}" for number in range(5000)]},
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        },
    }
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
    async with serve(DEPARTMENT, {"v.csv": VENDORS}) as running:
        headers = running.headers("finance") | {
            "accept": "application/json",
            "content-type": "application/json",
            "host": "mcp-finance:8080",
            "mcp-protocol-version": "2026-07-28",
            "mcp-method": "tools/call",
            "mcp-name": "finance_lookup_vendors",
        }
        # The same application once more, without a network, so that nothing else is measured.
        app = create_app(running.settings)
        assert isinstance(app, Starlette)
        transport = httpx2.ASGITransport(app)
        async with app.router.lifespan_context(app), httpx2.AsyncClient(transport=transport, headers=headers) as http:
            response = await http.post("http://mcp-finance/mcp", content=body)
            while response.json()["result"]["isError"]:
                await asyncio.sleep(0.05)
                response = await http.post("http://mcp-finance/mcp", content=body)
            answer = response.json()["result"]["structuredContent"]
            assert sum(row["matched"] for row in answer["rows"]) == 5000
            encoding, call = math.inf, math.inf
            for _ in range(CALLS):
                started = time.thread_time()
                orjson.dumps(answer)
                encoded = time.thread_time()
                await http.post("http://mcp-finance/mcp", content=body)
                encoding = min(encoding, encoded - started)
                call = min(call, time.thread_time() - encoded)
    # About 5 here; more than 100 where the SDK converts each row.
    assert call / encoding < 25
