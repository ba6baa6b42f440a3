"""What the environments cost in a month, computed from their plans."""

import copy
import json
import subprocess
import sys
from typing import Any

import pytest

from infrastructure.cost.bill import Bill, NotPriced
from infrastructure.cost.report import Report, as_text, report
from infrastructure.cost.tables import HOURS, UnknownPrice, prices, usage
from infrastructure.resources import resources

pytestmark = pytest.mark.slow

BRIEF = {
    "dev": {
        "EKS": 73,
        "nodes": 120,
        "NAT": 45,
        "ALB": 23,
        "S3": 3,
        "Cognito": 5,
        "CloudWatch": 10,
        "VPC endpoints": 22,
    },
    "prod": {
        "EKS": 73,
        "nodes": 1800,
        "NAT": 135,
        "ALB": 23,
        "S3": 23,
        "Cognito": 50,
        "CloudWatch": 50,
        "VPC endpoints": 66,
        "Direct Connect": 250,
    },
}


def month(environment: str, plan: dict[str, Any]) -> Report:
    reckoned = usage(environment)
    return report(environment, Bill(plan, reckoned, prices()).lines(), reckoned)


@pytest.fixture(scope="session")
def dev(dev_plan: dict[str, Any]) -> Report:
    return month("dev", dev_plan)


@pytest.fixture(scope="session")
def prod(prod_plan: dict[str, Any]) -> Report:
    return month("prod", prod_plan)


def test_prices_are_of_singapore_and_have_a_date_and_sources() -> None:
    table = prices()
    assert table.region == "ap-southeast-1"
    assert table.as_of >= "2025-06"
    assert all(price.source.startswith("https://aws.amazon.com/") for price in table.prices.values())


def test_each_item_stands_beside_the_briefs_budget(dev: Report, prod: Report) -> None:
    for report_of in (dev, prod):
        budget = {item.name: item.budget for item in report_of.items if item.budget is not None}
        assert budget == BRIEF[report_of.environment]
        assert as_text(report_of, prices()).count("\n") > len(budget)


def test_dev_is_at_or_under_its_budget(dev: Report) -> None:
    print(f"dev {dev.usd:.2f} of {dev.budget:.0f} USD a month")
    assert dev.budget == 301
    assert dev.usd <= dev.budget


def test_where_ours_costs_more_it_is_said_what_it_buys(dev: Report, prod: Report) -> None:
    print(f"prod {prod.usd:.2f} of {prod.budget:.0f} USD a month")
    for report_of in (dev, prod):
        for item in report_of.items:
            assert item.usd <= (item.budget or 0) + 0.005 or item.buys, item.name


def test_budget_alarm_is_at_what_the_plan_is_expected_to_cost(
    dev_plan: dict[str, Any], prod_plan: dict[str, Any], dev: Report, prod: Report
) -> None:
    """A lower limit would alarm each month, a much higher one never."""
    for plan, expected in ((dev_plan, dev), (prod_plan, prod)):
        (budget,) = resources(plan, "aws_budgets_budget")
        assert expected.usd <= float(budget.values["limit_amount"]) <= 1.05 * expected.usd


def test_seldom_observations_cost_less(prod_plan: dict[str, Any], prod: Report) -> None:
    changed = copy.deepcopy(prod_plan)
    for item in every(changed):
        if item["type"] == "aws_eks_addon" and item["values"].get("configuration_values"):
            configuration = item["values"]["configuration_values"]
            item["values"]["configuration_values"] = configuration.replace(
                '"metrics_collection_interval":60', '"metrics_collection_interval":300'
            )
    observed = line(prod, "Container Insights")
    assert line(month("prod", changed), "Container Insights") == pytest.approx(observed / 5)


def line(report_of: Report, what: str) -> float:
    return next(line.usd for item in report_of.items for line in item.lines if line.what == what)


def test_total_is_the_sum_of_its_lines(prod: Report) -> None:
    assert prod.usd == pytest.approx(sum(line.usd for item in prod.items for line in item.lines))
    assert all(line.usd <= line.quantity * line.usd_a_unit + 0.005 for item in prod.items for line in item.lines)


def test_fewer_gateways_in_the_plan_cost_less(prod_plan: dict[str, Any], prod: Report) -> None:
    changed = without(prod_plan, "aws_nat_gateway", key="ap-southeast-1c")
    assert prod.usd - month("prod", changed).usd == pytest.approx(0.059 * HOURS)


def test_on_demand_nodes_in_the_plan_cost_the_list_price(dev_plan: dict[str, Any], dev: Report) -> None:
    changed = copy.deepcopy(dev_plan)
    (group,) = [item for item in every(changed) if item["type"] == "aws_eks_node_group"]
    group["values"]["capacity_type"] = "ON_DEMAND"
    more = next(item.usd for item in month("dev", changed).items if item.name == "nodes")
    assert more - next(item.usd for item in dev.items if item.name == "nodes") == pytest.approx(
        2 * HOURS * 0.1056 * 0.55
    )


def test_resource_of_an_unknown_type_is_not_taken_to_be_free(dev_plan: dict[str, Any]) -> None:
    changed = copy.deepcopy(dev_plan)
    next(item for item in every(changed) if item["type"] == "aws_nat_gateway")["type"] = "aws_redshift_cluster"
    with pytest.raises(NotPriced, match=r"aws_redshift_cluster"):
        month("dev", changed)


def test_instance_type_without_a_price_is_named(dev_plan: dict[str, Any]) -> None:
    changed = copy.deepcopy(dev_plan)
    (group,) = [item for item in every(changed) if item["type"] == "aws_eks_node_group"]
    group["values"]["instance_types"] = ["x2idn.metal"]
    with pytest.raises(UnknownPrice, match=r"ec2-x2idn\.metal-hour"):
        month("dev", changed)


def test_make_cost_gives_json_on_request(dev_plan: dict[str, Any], prod_plan: dict[str, Any], dev: Report) -> None:
    del dev_plan, prod_plan  # planned before, so that this only reads them
    command = [sys.executable, "-m", "infrastructure.cost", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=True)
    document = json.loads(done.stdout)
    assert [month["environment"] for month in document["environments"]] == ["dev", "prod"]
    assert document["environments"][0]["usd"] == pytest.approx(dev.usd)
    assert document["prices_as_of"] == prices().as_of


def every(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """The planned resources, to be changed in place."""

    def walk(module: dict[str, Any]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = list(module.get("resources", []))
        for child in module.get("child_modules", []):
            found += walk(child)
        return found

    return walk(plan["planned_values"]["root_module"])


def without(plan: dict[str, Any], kind: str, key: str) -> dict[str, Any]:
    """The plan without one resource."""
    changed = copy.deepcopy(plan)

    def walk(module: dict[str, Any]) -> None:
        module["resources"] = [
            item for item in module.get("resources", []) if (item["type"], item.get("index")) != (kind, key)
        ]
        for child in module.get("child_modules", []):
            walk(child)

    walk(changed["planned_values"]["root_module"])
    return changed
