"""One server for every department that the caller may use, in both eras."""

from pathlib import Path

import orjson
import pytest
from mcp import MCPError
from mcp_types import PromptReference, ResourceTemplateReference
from services.agentgateway.tests.mcp.departments import Department, answering
from services.agentgateway.tests.mcp.harness import Gateway, Served, eventually, gateway

pytestmark = pytest.mark.slow

ERAS = pytest.mark.parametrize("mode", ["auto", "legacy"])
FILE_TOOLS = [
    "files_create_upload",
    "files_complete_upload",
    "files_list_uploads",
    "files_abort_upload",
    "files_list_files",
    "files_delete_file",
    "files_preview",
    "files_submit_job",
    "files_job_status",
    "files_job_result",
    "files_job_report",
    "files_list_jobs",
    "files_cancel_job",
    "files_retry_job",
    "files_list_misses",
    "files_review_job",
    "files_list_recipes",
    "files_show_recipe",
    "files_save_recipe",
    "files_share_recipe",
    "files_delete_recipe",
    "files_list_departments",
]


async def tools(front: Gateway, who: str, path: str = "/mcp", mode: str = "auto") -> list[str]:
    async with front.client(who, path, mode) as client:
        return [tool.name for tool in (await client.list_tools()).tools]


@ERAS
async def test_tools_are_the_file_tools_and_those_of_the_callers_departments_in_a_stable_order(
    front: Gateway, mode: str
) -> None:
    kinds = ("lookup_items", "count", "wait", "break", "big")
    mine = [*FILE_TOOLS, *(f"finance_{kind}" for kind in kinds), *(f"hr_{kind}" for kind in kinds)]
    assert [await tools(front, "dana", mode=mode) for _ in range(2)] == [mine, mine]
    assert await tools(front, "bob", mode=mode) == [*FILE_TOOLS, *(f"hr_{kind}" for kind in kinds)]
    assert await tools(front, "eve", mode=mode) == FILE_TOOLS


@ERAS
@pytest.mark.parametrize("path", ["/mcp", "/mcp/{department}"])
@pytest.mark.parametrize("department", ["finance", "hr"])
async def test_a_call_access_its_department(front: Gateway, mode: str, path: str, department: str) -> None:
    async with front.client("dana", path.format(department=department), mode) as client:
        result = await client.call_tool(f"{department}_lookup_items", {"keys": ["a", "b"]})
    assert result.structured_content == {
        "rows": [{"key": "a", "matched": True}, {"key": "b", "matched": True}],
        "by": department,
    }
    assert ("dana", department, f"{department}_lookup_items", "ok") in front.audit


@ERAS
async def test_progress_arrives_with_the_call(front: Gateway, mode: str) -> None:
    seen: list[tuple[float, float | None, str | None]] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        seen.append((progress, total, message))

    async with front.client("dana", mode=mode) as client:
        await client.call_tool("hr_count", {}, progress_callback=note)
    assert seen == [(0, 3, "0 done"), (1, 3, "1 done"), (2, 3, "2 done")]


@ERAS
async def test_resources_templates_prompts_and_completions_of_all_departments(front: Gateway, mode: str) -> None:
    async with front.client("dana", mode=mode) as client:
        assert [str(item.uri) for item in (await client.list_resources()).resources] == [
            "dataset://finance/items",
            "dataset://hr/items",
        ]
        templates = (await client.list_resource_templates()).resource_templates
        assert [item.uri_template for item in templates] == [
            "dataset://finance/items/{key}",
            "dataset://hr/items/{key}",
        ]
        for uri in ("dataset://hr/items", "dataset://hr/items/7"):
            (content,) = (await client.read_resource(uri)).contents
            assert getattr(content, "text", None) == "read by hr"
        assert [item.name for item in (await client.list_prompts()).prompts] == ["finance_ask", "hr_ask"]
        prompt = await client.get_prompt("finance_ask")
        assert getattr(prompt.messages[0].content, "text", None) == "finance_ask by finance"
        for ref in (
            PromptReference(type="ref/prompt", name="hr_ask"),
            ResourceTemplateReference(type="ref/resource", uri="dataset://hr/items/{key}"),
        ):
            completion = await client.complete(ref, {"name": "x", "value": "y"})
            assert completion.completion.values == ["by hr"]


@ERAS
async def test_what_no_department_has_is_unknown(front: Gateway, mode: str) -> None:
    async with front.client("dana", mode=mode) as client:
        with pytest.raises(MCPError, match="Unknown tool: legal_lookup_items"):
            await client.call_tool("legal_lookup_items", {})
        with pytest.raises(MCPError, match="Unknown resource: dataset://legal/items"):
            await client.read_resource("dataset://legal/items")
        with pytest.raises(MCPError, match="Unknown prompt: legal_ask"):
            await client.get_prompt("legal_ask")
    assert ("dana", None, "legal_lookup_items", "unknown") in front.audit


async def test_a_departments_own_error_comes_back_as_it_is(front: Gateway) -> None:
    async with front.client("dana") as client:
        result = await client.call_tool("finance_break", {})
        with pytest.raises(MCPError, match="Unknown tool: finance_nothing"):
            await client.call_tool("finance_nothing", {})
    assert result.is_error
    assert front.audit[-2:] == [
        ("dana", "finance", "finance_break", "tool_error"),
        ("dana", "finance", "finance_nothing", "error"),
    ]


async def test_a_call_is_passed_on_byte_for_byte_without_the_users_token(front: Gateway, finance: Department) -> None:
    params = {"name": "finance_lookup_items", "arguments": {"keys": ["ü", "\u2028", 1e400]}}
    body = b'{ "jsonrpc":"2.0", "id":"x",\n "method":"tools/call","params":' + orjson.dumps(params)[:-1]
    body += b',"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",'
    body += b'"io.modelcontextprotocol/clientCapabilities":{}}}  }'
    response = await front.post("dana", "tools/call", params, content=body)
    assert response.status_code == 200
    assert finance.bodies[-1] == body
    sent = finance.headers[-1]
    assert sent["authorization"] == "Bearer service-token-for-mcp-finance"
    assert finance.callers[-1] == "dana"
    assert sent["mcp-name"] == "finance_lookup_items"
    assert "dana" not in orjson.dumps({name: value for name, value in sent.items() if name != "x-caller"}).decode()


async def test_lists_are_kept_and_shared_by_callers_who_see_the_same(tmp_path: Path) -> None:
    finance = Department("finance")
    ttl = {"mcp_list_ttl_seconds": 60}
    with finance.served() as served, gateway(tmp_path, {"finance": f"{served.url}/mcp"}, **ttl) as front:
        for who in ("alice", "dana", "alice"):
            await front.post(who, "tools/list")
        assert finance.asked == ["tools/list"]
        # Frank may see restricted columns, so his list is one of its own.
        await front.post("frank", "tools/list")
        assert finance.asked == ["tools/list", "tools/list"]


async def test_lists_are_kept_only_for_a_moment(front: Gateway, finance: Department) -> None:
    await front.post("alice", "tools/list")

    async def asked_again() -> bool:
        await front.post("alice", "tools/list")
        return len(finance.asked) > 1

    await eventually(asked_again)


async def test_lists_say_that_they_are_private_and_how_long_they_hold(front: Gateway) -> None:
    for method in ("tools/list", "resources/list", "resources/templates/list", "prompts/list"):
        result = (await front.post("dana", method)).json()["result"]
        assert result["cacheScope"] == "private"
        assert result["ttlMs"] == 200


async def test_departments_appear_and_disappear_with_their_files(front: Gateway) -> None:
    with Department("legal").served() as served:
        assert "legal_count" not in await tools(front, "dana")
        front.add("legal", f"{served.url}/mcp")

        async def appears() -> bool:
            return "legal_count" in await tools(front, "dana")

        await eventually(appears)
        assert (await front.post("dana", "tools/list", path="/mcp/legal")).status_code == 200
        assert "legal_count" not in await tools(front, "alice")
        front.remove("legal")

        async def disappears() -> bool:
            return "legal_count" not in await tools(front, "dana")

        await eventually(disappears)
        assert (await front.post("dana", "tools/list", path="/mcp/legal")).status_code == 404


async def test_a_department_cannot_offer_tools_outside_its_prefix(tmp_path: Path, hr: Department) -> None:
    rogue = Department("finance", tools=("finance_mine", "hr_lookup_items", "files_submit_job"))
    with rogue.served() as served, gateway(tmp_path, {"finance": f"{served.url}/mcp", "hr": hr.url}) as front:
        listed = await tools(front, "dana")
        assert len(listed) == len(set(listed))
        assert "finance_mine" in listed
        async with front.client("dana") as client:
            result = await client.call_tool("hr_lookup_items", {})
    assert result.structured_content == {"rows": [], "by": "hr"}


async def test_the_file_tools_are_the_gateways_own_even_beside_a_department_named_files(tmp_path: Path) -> None:
    files = Department("files", tools=("files_submit_job", "files_lookup_items"))
    with files.served() as served, gateway(tmp_path, {}) as front:
        front.add("files", f"{served.url}/mcp", ["finance"])

        async def both() -> bool:
            return await tools(front, "alice") == [*FILE_TOOLS, "files_lookup_items"]

        await eventually(both)
        async with front.client("alice") as client:
            await client.call_tool("files_submit_job", {})
    assert files.asked == ["tools/list"]


@pytest.mark.parametrize(
    ("owner", "tool", "longer"),
    [
        ("legal", "legal_contracts_expiring", "legal-contracts"),
        ("hr", "hr_reporting_line", "hr-reporting"),
        ("finance", "finance_lookup_items", "finance-lookup"),
    ],
)
async def test_a_tool_is_its_departments_that_lists_it_whatever_others_are_called(
    tmp_path: Path, owner: str, tool: str, longer: str
) -> None:
    first, second = Department(owner, tools=(tool, f"{owner}_count")), Department(longer)
    with (
        first.served() as a,
        second.served() as b,
        gateway(tmp_path, {owner: f"{a.url}/mcp", "zebra": f"{b.url}/mcp"}) as front,
    ):
        front.add(longer, f"{b.url}/mcp", [owner])
        front.add("seen", f"{b.url}/mcp", [owner])

        async def followed() -> bool:
            return (await front.post("dana", "tools/list", path="/mcp/seen")).status_code == 200

        await eventually(followed)
        assert tool in await tools(front, "dana")
        front.audit.clear()
        async with front.client("dana") as client:
            result = await client.call_tool(tool, {})
    assert (result.structured_content or {})["by"] == owner
    assert ("dana", owner, tool, "ok") in front.audit


async def test_a_department_of_a_longer_name_is_not_mistaken_for_a_shorter_one(tmp_path: Path) -> None:
    short, long = Department("finance"), Department("finance-eu")
    with short.served() as a, long.served() as b:
        endpoints = {"finance": f"{a.url}/mcp", "finance-eu": f"{b.url}/mcp"}
        with gateway(tmp_path, endpoints) as front:
            front.add("finance-eu", endpoints["finance-eu"], ["finance"])

            async def both() -> bool:
                return "finance_eu_count" in await tools(front, "alice")

            await eventually(both)
            async with front.client("alice") as client:
                result = await client.call_tool("finance_eu_lookup_items", {})
                other = await client.call_tool("finance_lookup_items", {})
    assert (result.structured_content or {})["by"] == "finance-eu"
    assert (other.structured_content or {})["by"] == "finance"


async def test_one_dead_department_does_not_hide_the_others(tmp_path: Path, finance: Department) -> None:
    invalid = answering(200, b'{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","tools":[{"name":7}]}}')
    # A number that skipping decoders pass by, and none reads.
    unreadable = answering(200, b'{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","tools":[],"a":1e999}}')
    for hr in (None, unreadable):
        with Served(invalid) as rubbish, Served(hr or invalid) as other:
            endpoint = f"{other.url}/mcp" if hr else "http://127.0.0.1:9/mcp"
            endpoints = {"finance": finance.url, "hr": endpoint, "legal": f"{rubbish.url}/mcp"}
            with gateway(tmp_path, endpoints) as front:
                await shows_finance_alone(front)


async def shows_finance_alone(front: Gateway) -> None:
    result = (await front.post("dana", "tools/list")).json()["result"]
    names = [tool["name"] for tool in result["tools"]]
    assert "finance_lookup_items" in names
    assert names[: len(FILE_TOOLS)] == FILE_TOOLS
    assert result["_meta"]["internal.fileprocessing/unavailableDepartments"] == ["hr", "legal"]


@ERAS
async def test_the_server_tells_of_itself(front: Gateway, mode: str) -> None:
    async with front.client("dana", mode=mode) as client:
        assert client.server_info is not None
        assert client.server_info.name == "agentgateway"
        assert client.protocol_version == ("2026-07-28" if mode == "auto" else "2025-11-25")
        assert "<department>_" in (client.instructions or "")


@pytest.mark.parametrize("path", ["/mcp", "/mcp/finance"])
async def test_ping_is_answered_in_its_era(front: Gateway, path: str) -> None:
    response = await front.legacy_post("dana", {"jsonrpc": "2.0", "id": 1, "method": "ping"}, path)
    assert response.status_code == 200
    assert '"result":{}' in response.text
