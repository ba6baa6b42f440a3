"""Who is not let in learns nothing of what is inside."""

from pathlib import Path

import pytest
from mcp import Client, MCPError
from mcp_types._v2026_07_28 import JSONRPCErrorResponse
from services.agentgateway.tests.mcp.departments import Department, answering
from services.agentgateway.tests.mcp.harness import API_URL, PEOPLE, Gateway, Served, gateway, web

pytestmark = pytest.mark.slow

METADATA = f'resource_metadata="{API_URL}/.well-known/oauth-protected-resource/mcp", scope="openid"'


@pytest.mark.parametrize("path", ["/mcp", "/mcp/finance", "/mcp/nowhere"])
async def test_without_a_token_the_answer_says_where_to_get_one(front: Gateway, path: str) -> None:
    response = await front.post("", "tools/list", path=path, headers={"authorization": None})
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == f"Bearer {METADATA}"
    assert response.json()["error"]["message"] == "Send an access token."
    assert front.audit == []


@pytest.mark.parametrize("path", ["/mcp", "/mcp/finance", "/mcp/nowhere"])
async def test_a_refused_token_is_told_as_such(front: Gateway, path: str) -> None:
    response = await front.post("mallory", "tools/list", path=path)
    assert response.status_code == 401
    error = 'error="invalid_token", error_description="The access token is not valid."'
    assert response.headers["www-authenticate"] == f"Bearer {METADATA}, {error}"
    assert "id" not in response.json()
    JSONRPCErrorResponse.model_validate(response.json())


async def test_a_stream_is_not_to_be_had_even_with_a_token(front: Gateway) -> None:
    async with web() as http:
        without = await http.get(f"{front.url}/mcp")
        response = await http.get(f"{front.url}/mcp", headers={"authorization": "Bearer alice"})
        deleted = await http.delete(f"{front.url}/mcp", headers={"authorization": "Bearer alice"})
    assert without.status_code == 401
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert deleted.status_code == 405


@pytest.mark.parametrize("who", [who for who in PEOPLE if who != "bob"])
async def test_unknown_and_forbidden_departments_cannot_be_told_apart(front: Gateway, who: str) -> None:
    reach = PEOPLE[who].groups
    for method in ("tools/list", "tools/call", "server/discover", "nonsense"):
        known = await front.post(who, method, path="/mcp/hr")
        unknown = await front.post(who, method, path="/mcp/xx")
        if "hr" in reach:
            assert known.status_code in (200, 400, 404)
            assert unknown.status_code == 404
        else:
            assert known.status_code == unknown.status_code == 404
            assert known.text.replace("hr", "xx") == unknown.text
            assert {*known.headers} == {*unknown.headers}


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_unknown_and_forbidden_items_cannot_be_told_apart(front: Gateway, hr: Department, mode: str) -> None:
    async def refusals(client: Client, department: str) -> list[str]:
        texts = []
        for ask in (
            client.call_tool(f"{department}_lookup_items", {"keys": ["a"]}),
            client.read_resource(f"dataset://{department}/items"),
            client.get_prompt(f"{department}_ask"),
        ):
            with pytest.raises(MCPError) as refused:
                await ask
            texts.append(f"{refused.value.error.code} {refused.value.error.message} {refused.value.error.data}")
        return texts

    async with front.client("alice", mode=mode) as client:
        forbidden, unknown = await refusals(client, "hr"), await refusals(client, "xx")
    assert [text.replace("hr", "xx") for text in forbidden] == unknown
    assert hr.asked == []
    assert "alice" not in hr.callers


@pytest.mark.parametrize("method", ["tools/list", "resources/list", "resources/templates/list", "prompts/list"])
async def test_lists_hold_nothing_of_other_departments(front: Gateway, method: str) -> None:
    everything = await front.post("dana", method)
    assert "hr" in everything.text
    for who in ("alice", "frank"):
        assert "hr" not in (await front.post(who, method)).text.replace("three", "").replace("throw", "")
    assert "finance" not in (await front.post("bob", method)).text


async def test_a_dead_department_is_not_named_to_those_who_may_not_use_it(tmp_path: Path, finance: Department) -> None:
    with gateway(tmp_path, {"finance": finance.url, "hr": "http://127.0.0.1:9/mcp"}) as front:
        assert "unavailableDepartments" in (await front.post("dana", "tools/list")).text
        assert "unavailableDepartments" not in (await front.post("alice", "tools/list")).text


async def test_a_department_that_knows_better_makes_its_caller_see_nothing(tmp_path: Path) -> None:
    refusal = b'{"jsonrpc":"2.0","id":7,"error":{"code":-32602,"message":"Unknown tool: finance_x"}}'
    with Served(answering(403, refusal)) as served, gateway(tmp_path, {"finance": f"{served.url}/mcp"}) as front:
        withdrawn = await front.post("alice", "tools/call", {"name": "finance_x", "arguments": {}})
        unknown = await front.post("alice", "tools/call", {"name": "nobody_x", "arguments": {}})
        assert withdrawn.json()["error"]["message"].replace("finance", "nobody") == unknown.json()["error"]["message"]
        assert withdrawn.status_code == unknown.status_code
        listed = (await front.post("alice", "tools/list")).json()["result"]
        assert not [tool for tool in listed["tools"] if not tool["name"].startswith("files_")]
        assert "unavailableDepartments" not in str(listed)
        there = await front.post("alice", "tools/list", path="/mcp/finance")
        nowhere = await front.post("alice", "tools/list", path="/mcp/nowhere")
    assert there.status_code == nowhere.status_code == 404
    assert there.json()["error"]["message"].replace("finance", "nowhere") == nowhere.json()["error"]["message"]


async def test_a_refused_attempt_is_on_record(front: Gateway) -> None:
    await front.post("alice", "tools/call", {"name": "hr_lookup_items", "arguments": {"keys": ["secret"]}})
    await front.post("alice", "tools/list", path="/mcp/hr")
    await front.post("alice", "tools/call", {"name": "made up\nby alice", "arguments": {}}, headers={"mcp-name": None})
    assert front.audit[:2] == [("alice", None, "hr_lookup_items", "unknown"), ("alice", "hr", "other", "refused")]
    assert "secret" not in repr(front.audit)
    assert "made up" not in repr(front.audit)
