import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from common.caller import Caller
from common.departments import DepartmentDirectory, InvalidDepartment, name_conflict, parse_department

FINANCE = """
apiVersion: fileprocessing.internal/v1alpha1
kind: Department
metadata: {name: finance, namespace: file-processing}
spec:
  displayName: Finance
  toolset: finance
  access: {groups: [finance], restrictedGroups: [finance-leads]}
  datasets:
  - {name: vendors, object: vendors.parquet, key: vendor_id, pattern: "^V-[0-9]{5}$", restrictedColumns: [bank_account]}
"""


def caller(*groups: str) -> Caller:
    return Caller("1", "someone", frozenset(groups), "cognito")


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.02)


def test_access_is_by_group_and_restricted_columns_need_both() -> None:
    finance = parse_department(FINANCE)
    assert finance.permits(caller("finance"))
    assert not finance.permits(caller("hr"))
    assert not finance.permits(caller())
    assert finance.permits_restricted(caller("finance", "finance-leads"))
    assert not finance.permits_restricted(caller("finance"))
    assert not finance.permits_restricted(caller("finance-leads"))


def test_the_endpoint_is_the_status_of_the_object_or_else_the_service() -> None:
    assert parse_department(FINANCE).endpoint == "http://mcp-finance:8080/mcp"
    told = parse_department(FINANCE + "status: {endpoint: 'http://127.0.0.1:1/mcp'}\n")
    assert told.endpoint == "http://127.0.0.1:1/mcp"


def named(name: str, toolset: str = "generic", dataset: str = "items") -> str:
    return (
        FINANCE.replace("name: finance", f"name: {name}")
        .replace("toolset: finance", f"toolset: {toolset}")
        .replace("name: vendors", f"name: {dataset}")
    )


@pytest.mark.parametrize(
    ("parent", "name", "tool"),
    [
        (named("legal", "legal"), "legal-contracts", "legal_contracts_expiring"),
        (named("hr", "hr"), "hr-reporting", "hr_reporting_line"),
        (named("finance", "finance"), "finance-lookup", "finance_lookup_items"),
        (named("finance", dataset="us_vendors"), "finance-search-us", "finance_search_us_vendors"),
        (named("a-b"), "a-b-describe", "a_b_describe_datasets"),
    ],
)
async def test_a_name_is_refused_that_another_departments_tools_begin_with(
    tmp_path: Path, parent: str, name: str, tool: str
) -> None:
    (tmp_path / "parent.yaml").write_text(parent)
    (tmp_path / "new.yaml").write_text(named(name))
    before = parse_department(parent)
    conflict = name_conflict(parse_department(named(name)), {before.name: before})
    assert conflict is not None
    assert tool in conflict
    async with DepartmentDirectory(tmp_path) as directory:
        assert list(directory.current) == [before.name]
        (tmp_path / "parent.yaml").unlink()
        await until(lambda: list(directory.current) == [name])


@pytest.mark.parametrize(("parent", "name"), [("finance", "finance-eu"), ("hr", "hrx-reporting"), ("hr", "hr-report")])
def test_a_longer_name_is_no_conflict_by_itself(parent: str, name: str) -> None:
    before = parse_department(named(parent, "hr"))
    assert name_conflict(parse_department(named(name)), {parent: before}) is None


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("name: finance", "name: Finance"), "metadata.name"),
        (("key: vendor_id, ", ""), "spec.datasets.0.key"),
        (("groups: [finance]", "groups: []"), "spec.access.groups"),
        (("vendors.parquet", "../hr/salaries.csv"), "spec.datasets.0.object"),
        (('"^V-[0-9]{5}$"', '"("'), "is not a regular expression"),
        (("displayName: Finance", "displayName: Finance\n  path: s3://other"), "spec.path"),
        (("kind: Department", "kind: ["), "not YAML"),
    ],
)
def test_a_wrong_department_is_refused_in_words_that_name_the_field(change: tuple[str, str], expected: str) -> None:
    assert change[0] in FINANCE
    with pytest.raises(InvalidDepartment, match=expected):
        parse_department(FINANCE.replace(*change))


async def test_a_directory_is_followed_and_a_broken_file_closes_only_its_own_department(tmp_path: Path) -> None:
    (tmp_path / "finance.yaml").write_text(FINANCE)
    async with DepartmentDirectory(tmp_path) as directory:
        assert list(directory.current) == ["finance"]
        before = directory.version

        (tmp_path / "hr.yaml").write_text(FINANCE.replace("name: finance", "name: hr", 1))
        await until(lambda: list(directory.current) == ["finance", "hr"])
        assert directory.version > before

        (tmp_path / "finance.yaml").write_text("kind: Nonsense")
        await until(lambda: list(directory.current) == ["hr"])

        (tmp_path / "hr.yaml").unlink()
        await until(lambda: not directory.current)


async def test_two_names_that_give_tools_one_prefix_are_not_both_served(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(FINANCE.replace("name: finance", "name: real-estate", 1))
    (tmp_path / "b.yaml").write_text(FINANCE.replace("name: finance", "name: real-estate", 1))
    async with DepartmentDirectory(tmp_path) as directory:
        assert list(directory.current) == ["real-estate"]
