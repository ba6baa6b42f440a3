"""Both eras of the protocol on one endpoint, with the official client and with plain HTTP."""

import asyncio
import json
from typing import TYPE_CHECKING, Any, Literal

import httpx2
import pytest
from mcp.shared.exceptions import MCPError
from mcp_types import TextContent, TextResourceContents

if TYPE_CHECKING:
    from conftest import Running

pytestmark = pytest.mark.slow

ERAS: list[Literal["auto", "legacy"]] = ["auto", "legacy"]
HEADERS = {
    "accept": "application/json, text/event-stream",
    "content-type": "application/json",
    "mcp-protocol-version": "2026-07-28",
}
META = {
    "_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
}


async def post(running: "Running", method: str, headers: dict[str, str], **params: Any) -> httpx2.Response:
    body = {"jsonrpc": "2.0", "id": 7, "method": method, "params": META | params}
    sent = HEADERS | running.headers("finance") | {"mcp-method": method} | headers
    async with running.http() as http:
        return await http.post(f"{running.url}/mcp", content=json.dumps(body), headers=sent)


@pytest.mark.parametrize("era", ERAS)
async def test_keys_are_looked_up_in_their_order(finance: "Running", era: Literal["auto", "legacy"]) -> None:
    async with finance.client("finance", mode=era) as client:
        result = await client.call_tool("finance_lookup_vendors", {"keys": ["V-00002", "V-9", " V-00001 ", "V-00002"]})
    content = result.structured_content
    acme = {"name": "Acme Industrial Supplies Ltd", "country": "GB", "currency": "GBP", "status": "active"}
    assert content["columns"] == list(acme)
    assert content["rows"][0] == {"key": "V-00002", "matched": True, "values": acme}
    assert content["rows"][1] == {"key": "V-9", "matched": False}
    assert (content["rows"][2]["key"], content["rows"][2]["values"]["country"]) == (" V-00001 ", "DE")
    assert content["rows"][3] == content["rows"][0]


@pytest.mark.parametrize("era", ERAS)
async def test_text_says_the_same_as_structured_content(finance: "Running", era: Literal["auto", "legacy"]) -> None:
    async with finance.client("finance", mode=era) as client:
        result = await client.call_tool("finance_lookup_vendors", {"keys": ["V-00001"]})
    (block,) = result.content
    assert isinstance(block, TextContent)
    assert json.loads(block.text) == result.structured_content


@pytest.mark.parametrize("era", ERAS)
async def test_text_of_a_long_answer_is_one_sentence(finance: "Running", era: Literal["auto", "legacy"]) -> None:
    async with finance.client("finance", mode=era) as client:
        result = await client.call_tool("finance_lookup_vendors", {"keys": ["V-00001"] * 5000})
    (block,) = result.content
    assert isinstance(block, TextContent)
    assert block.text == "The structured content holds 4 columns and 5000 rows; as text it would be too long."
    assert len(result.structured_content["rows"]) == 5000


async def test_nothing_of_an_argument_is_taken_for_the_place_of_an_answer(finance: "Running") -> None:
    key = '{"mcp_server.answer":true}'
    content = await finance.call("finance_lookup_vendors", {"keys": [key]})
    assert content["rows"] == [{"key": key, "matched": False}]


@pytest.mark.parametrize("era", ERAS)
async def test_tools_are_listed_in_one_order_for_this_caller_alone(
    finance: "Running", era: Literal["auto", "legacy"]
) -> None:
    async with finance.client("finance", mode=era) as client:
        names = [tool.name for tool in (await client.list_tools()).tools]
    assert names == [
        "finance_describe_datasets",
        "finance_lookup_vendors",
        "finance_search_vendors",
        "finance_lookup_rates",
        "finance_explain_keys",
        "finance_convert_amount",
        "finance_check_invoice",
    ]
    response = (await post(finance, "tools/list", {})).json()
    assert [tool["name"] for tool in response["result"]["tools"]] == names
    assert (response["result"]["cacheScope"], response["result"]["ttlMs"]) == ("private", 30_000)


async def test_columns_to_choose_from_are_in_the_schema(finance: "Running") -> None:
    async with finance.client("finance") as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    columns = tools["finance_lookup_vendors"].input_schema["properties"]["columns"]
    assert columns["anyOf"][0]["items"]["enum"] == ["name", "country", "currency", "status"]
    chosen = await finance.call("finance_lookup_vendors", {"keys": ["V-00001"], "columns": ["status", "vendor_id"]})
    assert chosen["rows"][0]["values"] == {"status": "active", "vendor_id": "V-00001"}


@pytest.mark.parametrize("era", ERAS)
async def test_each_data_set_is_a_resource(finance: "Running", era: Literal["auto", "legacy"]) -> None:
    async with finance.client("finance", mode=era) as client:
        listed = (await client.list_resources()).resources
        (template,) = (await client.list_resource_templates()).resource_templates
        (contents,) = (await client.read_resource("department://finance/datasets/vendors")).contents
    assert [resource.uri for resource in listed] == [
        template.uri_template.replace("{dataset}", "vendors"),
        template.uri_template.replace("{dataset}", "rates"),
    ]
    assert listed[0].annotations is not None
    assert isinstance(contents, TextResourceContents)
    described = await finance.call("finance_describe_datasets", {})
    assert json.loads(contents.text) == described["datasets"][0]
    assert described["datasets"][0]["pattern"] == "^V-[0-9]{5}$"
    assert described["datasets"][0]["columns"][0] == {"name": "vendor_id", "type": "string"}


@pytest.mark.parametrize("era", ERAS)
async def test_what_is_not_there_is_a_protocol_error(finance: "Running", era: Literal["auto", "legacy"]) -> None:
    async with finance.client("finance", mode=era) as client:
        with pytest.raises(MCPError, match="Unknown tool") as unknown_tool:
            await client.call_tool("finance_lookup_secrets", {"keys": ["1"]})
        for uri in ("department://finance/datasets/secrets", "department://hr/datasets/employees", "vendors", ""):
            with pytest.raises(MCPError, match="Resource not found"):
                await client.read_resource(uri)
    assert unknown_tool.value.code == -32602


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "argument keys: Field required"),
        ({"keys": []}, "argument keys: List should have at least 1 item"),
        ({"keys": ["V-1"] * 5001}, "argument keys: List should have at most 5000 items"),
        ({"keys": ["V-1", 7]}, "argument keys.1: Input should be a valid string"),
        ({"keys": "V-1"}, "argument keys: Input should be a valid list"),
        (
            {"keys": ["V-1"], "columns": ["nmae"]},
            "argument columns: vendors does not have all of them; it has vendor_id",
        ),
        ({"keys": ["V-1"], "fields": ["name"]}, "argument fields: Extra inputs are not permitted"),
    ],
)
async def test_wrong_arguments_are_told_where_and_what_would_be_right(
    finance: "Running", arguments: dict[str, Any], said: str
) -> None:
    assert said in await finance.refused("finance_lookup_vendors", arguments)


async def test_white_space_around_a_header_is_no_part_of_it(finance: "Running") -> None:
    body = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": META | {"name": "finance_describe_datasets"}}
    content = json.dumps(body).encode()
    headers = (
        HEADERS
        | finance.headers("finance")
        | {
            "host": finance.url.removeprefix("http://"),
            "connection": "close",
            "content-length": str(len(content)),
            "mcp-method": " tools/call \t",
            "mcp-name": "\tfinance_describe_datasets  ",
        }
    )
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    # Clients that are libraries do not send such headers.
    host, port = finance.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"POST /mcp HTTP/1.1\r\n{head}\r\n".encode() + content)
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b'"structuredContent":{"department":"finance"' in answer


async def test_headers_that_contradict_the_body_are_refused(finance: "Running") -> None:
    response = await post(finance, "tools/call", {"mcp-name": "finance_lookup_rates"}, name="finance_lookup_vendors")
    assert (response.status_code, response.json()["error"]["code"]) == (400, -32020)


@pytest.mark.parametrize("version", ["2026-07-28", "2025-11-25", None])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 900 + b"1" + b"}" * 900,
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call"}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":[]}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":1,"arguments":[]}}',
        b'{"jsonrpc":"2.0","id":{},"method":"tools/list"}',
        b'{"jsonrpc":"1.0","id":1,"method":"tools/list"}',
        b'{"jsonrpc":"2.0","id":1,"result":{}}',
        b'{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"\\ud800"}}',
    ],
    ids=range(14),
)
async def test_no_body_whatever_is_our_fault(finance: "Running", body: bytes, version: str | None) -> None:
    headers = {name: value for name, value in HEADERS.items() if name != "mcp-protocol-version"}
    headers |= finance.headers("finance") | ({"mcp-protocol-version": version} if version else {})
    async with finance.http() as http:
        response = await http.post(f"{finance.url}/mcp", content=body, headers=headers)
    assert response.status_code < 500
    assert b"Traceback" not in response.content


@pytest.mark.parametrize("key", ["\x00", "\U0010ffff", "' OR 1=1 --", "../../hr/employees", "x" * 100_000])
async def test_a_key_can_be_any_text(finance: "Running", key: str) -> None:
    name = {"mcp-name": "finance_lookup_vendors"}
    response = await post(finance, "tools/call", name, name="finance_lookup_vendors", arguments={"keys": [key]})
    assert response.json()["result"]["structuredContent"]["rows"] == [{"key": key, "matched": False}]


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("finance_lookup_vendors", {"keys": ["V-00001", "\ud800"]}),
        ("finance_search_vendors", {"query": "\udfff"}),
        ("finance_check_invoice", {"vendor_id": "\ud800", "amount": 1, "currency": "EUR"}),
    ],
)
async def test_what_is_not_text_is_refused(finance: "Running", tool: str, arguments: dict[str, Any]) -> None:
    response = await post(finance, "tools/call", {"mcp-name": tool}, name=tool, arguments=arguments)
    result = response.json()["result"]
    assert result["isError"]
    assert result["content"][0]["text"] == "an argument holds half a surrogate pair, which is not a character"


async def test_a_body_above_the_limit_is_refused(own_finance: Any) -> None:
    async with own_finance(settings={"max_body_bytes": 1000}) as running:
        name = {"mcp-name": "finance_lookup_rates"}
        response = await post(running, "tools/call", name, arguments={"keys": ["1" * 2000]})
    assert response.status_code == 413
