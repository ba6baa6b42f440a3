"""Each group by tool by column: nothing of what a caller may not see comes out anywhere."""

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from mcp.shared.exceptions import MCPError

from common.departments import TOOLSET_TOOLS, parse_department

if TYPE_CHECKING:
    from conftest import Running

pytestmark = pytest.mark.slow

DEPARTMENTS = ["finance", "hr", "legal"]
RESTRICTED = {"finance": ("bank_account", "SECRET"), "hr": ("salary_band", '"S'), "legal": ("value", "7000")}
"""Per department: the restricted column, and what only its values contain."""

ARGUMENTS: dict[str, list[dict[str, Any]]] = {
    "lookup_vendors": [
        {"keys": ["V-00001", "V-00002"]},
        {"keys": ["V-00001"], "columns": ["name"]},
        {"keys": ["V-00001"], "columns": ["bank_account"]},
        {"keys": ["V-00001"], "columns": ["name", "bank_account"]},
    ],
    "search_vendors": [{"query": "Müller"}, {"query": "DE00"}, {"query": "V", "limit": 0}],
    "lookup_rates": [{"keys": ["EUR"]}],
    "convert_amount": [{"amount": 1, "from_currency": "EUR", "to_currency": "USD"}],
    "check_invoice": [{"vendor_id": "V-00001", "amount": 1, "currency": "EUR"}],
    "lookup_employees": [{"keys": ["E-00003"]}, {"keys": ["E-00003"], "columns": ["salary_band"]}],
    "search_employees": [{"query": "Cem"}, {"query": "S1"}],
    "reporting_line": [{"employee_id": "E-00003"}, {"employee_id": "E-00004"}],
    "lookup_contracts": [{"keys": ["C-00001"]}, {"keys": ["C-00001"], "columns": ["value"]}],
    "search_contracts": [{"query": "lease"}],
    "contracts_expiring": [{"as_of": "2026-11-01", "within_days": 365}],
    "search_clauses": [{"query": "liability"}],
    "describe_datasets": [{}, {"wrong": 1}],
    "explain_keys": [
        {"dataset": name, "keys": ["v-00001", "E3", "C-1", "Acme", "band S1", "DE89370400440532013000"]}
        for name in ("vendors", "rates", "employees", "contracts", "clauses")
    ],
}


@pytest.fixture(params=DEPARTMENTS)
def running(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


async def everything(running: "Running", *groups: str) -> str:
    """All that a member of `groups` can get to read."""
    said: list[str] = []
    async with running.client(*groups) as client:
        tools = (await client.list_tools()).tools
        said.extend(tool.model_dump_json() for tool in tools)
        for tool in tools:
            tried = ARGUMENTS[tool.name.removeprefix(f"{running.department}_")]
            said += [(await client.call_tool(tool.name, arguments)).model_dump_json() for arguments in tried]
        for resource in (await client.list_resources()).resources:
            said.append(resource.model_dump_json())
            said.append((await client.read_resource(resource.uri)).model_dump_json())
        said.append((await client.list_resource_templates()).model_dump_json())
    said.append(json.dumps((await running.readyz())[1]))
    return "\n".join(said).replace("structured_content", "").replace('\\"', '"')


def names_column(text: str, column: str) -> bool:
    return re.search(rf"\b{column}\b", text) is not None


async def test_a_member_sees_nothing_of_restricted_columns_anywhere(
    running: "Running", capfd: pytest.CaptureFixture[str]
) -> None:
    column, mark = RESTRICTED[running.department]
    text = await everything(running, running.department)
    assert f'"{running.department}_' in text
    assert not names_column(text, column)
    assert mark not in text
    captured = capfd.readouterr()
    assert mark not in captured.out + captured.err


async def test_a_member_of_the_restricted_group_sees_them(running: "Running") -> None:
    column, mark = RESTRICTED[running.department]
    text = await everything(running, running.department, f"{running.department}-leads")
    assert names_column(text, column)
    assert mark in text


@pytest.mark.parametrize("groups", [[], ["it"], ["leads"], ["{}-leads"], ["other", "{}s"]], ids=str)
async def test_who_is_not_a_member_is_told_nothing(running: "Running", groups: list[str]) -> None:
    own = [group.format(running.department) for group in groups]
    answers = set()
    async with running.http(running.headers(*own)) as http:
        for method in ("tools/list", "tools/call", "resources/list", "resources/read", "server/discover", "nonsense"):
            for name in (f"{running.department}_describe_datasets", "nonsense"):
                body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"name": name}}
                response = await http.post(f"{running.url}/mcp", json=body)
                answers.add((response.status_code, response.content))
    assert len(answers) == 1
    status, said = answers.pop()
    assert status == 403
    assert json.loads(said)["error"]["message"] == "Unknown tool"


async def test_search_is_not_influenced_by_what_the_caller_may_not_see(finance: "Running") -> None:
    query = {"query": "DE00SECRET1"}
    assert (await finance.call("finance_search_vendors", query))["rows"] == []
    (hit, *_) = (await finance.call("finance_search_vendors", query, "finance", "finance-leads"))["rows"]
    assert hit["key"] == "V-00001"
    plain = await finance.call("finance_search_vendors", {"query": "Müller & Söhne"})
    lead = await finance.call("finance_search_vendors", {"query": "Müller & Söhne"}, "finance", "finance-leads")
    assert plain["rows"][0]["score"] > lead["rows"][0]["score"]


async def test_access_counts_as_the_department_file_says_at_the_moment_of_the_call(own_finance: Any) -> None:
    async with own_finance() as finance:
        async with finance.client("finance") as client:
            lookup = {"keys": ["V-00001"], "columns": ["country"]}
            assert not (await client.call_tool("finance_lookup_vendors", lookup)).is_error

            finance.change("restrictedColumns: [bank_account]", "restrictedColumns: [bank_account, country]")
            refused = await client.call_tool("finance_lookup_vendors", lookup)
            assert refused.is_error
            rest = await client.call_tool("finance_lookup_vendors", {"keys": ["V-00001"]})
            assert list(rest.structured_content["rows"][0]["values"]) == ["name", "currency", "status"]

            finance.change("groups: [finance]", "groups: [accounting]")
            with pytest.raises(MCPError):
                await client.call_tool("finance_lookup_vendors", lookup)
        assert (await finance.call("finance_lookup_rates", {"keys": ["EUR"]}, "accounting"))["rows"][0]["matched"]


async def test_conflicts_of_names_are_judged_by_the_tools_that_a_department_has(running: "Running") -> None:
    """The gateway and the operator judge by a list in common, and have none of the toolsets' code."""
    department = parse_department(running.file.read_text())
    async with running.client(*department.spec.access.groups, *department.spec.access.restricted_groups) as client:
        listed = {tool.name for tool in (await client.list_tools()).tools}
    assert listed <= set(department.tool_names)
    assert {department.tool_prefix + name for name in TOOLSET_TOOLS[department.spec.toolset]} <= listed


async def test_a_tool_goes_with_the_column_that_it_needs(own_legal: Any, own_hr: Any) -> None:
    async with own_legal() as legal, own_hr() as hr:
        legal.change("restrictedColumns: [value]", "restrictedColumns: [value, clauses, end_date]")
        hr.change("restrictedColumns: [salary_band]", "restrictedColumns: [manager_id]")
        async with legal.client("legal") as client:
            assert [tool.name for tool in (await client.list_tools()).tools] == [
                "legal_describe_datasets",
                "legal_lookup_contracts",
                "legal_search_contracts",
                "legal_explain_keys",
            ]
        async with hr.client("hr") as client:
            with pytest.raises(MCPError, match="Unknown tool"):
                await client.call_tool("hr_reporting_line", {"employee_id": "E-00003"})


async def test_a_data_set_whose_key_is_restricted_is_not_there_for_others(own_finance: Any) -> None:
    async with own_finance() as finance:
        finance.change("restrictedColumns: [bank_account]", "restrictedColumns: [bank_account, vendor_id]")
        described = await finance.call("finance_describe_datasets", {})
        assert [dataset["name"] for dataset in described["datasets"]] == ["rates"]
        leads = await finance.call("finance_describe_datasets", {}, "finance", "finance-leads")
        assert [dataset["name"] for dataset in leads["datasets"]] == ["vendors", "rates"]


@pytest.mark.parametrize(
    ("old", "new"),
    [("kind: Department", "kind: Nonsense"), ("{name: finance}", "{name: hr}"), ("spec:", "spec: [")],
)
async def test_a_broken_department_file_closes_the_door_until_it_is_mended(
    own_finance: Any, old: str, new: str
) -> None:
    async with own_finance() as finance:
        finance.change(old, new)
        async with finance.http(finance.headers("finance")) as http:
            response = await http.post(f"{finance.url}/mcp", json={})
        assert response.status_code == 503
        assert (await finance.readyz())[0] == 503
        finance.change(new, old)
        assert (await finance.call("finance_lookup_vendors", {"keys": ["V-00001"]}))["rows"][0]["matched"]


async def test_a_missing_department_file_closes_the_door(own_finance: Any) -> None:
    async with own_finance() as finance:
        finance.file.unlink()
        async with finance.http(finance.headers("finance")) as http:
            response = await http.post(f"{finance.url}/mcp", json={})
        assert response.status_code == 503
