"""The quotas that `docs/deployment.md` asks for are those that the plans need."""

import copy
import re
from pathlib import Path
from typing import Any

import pytest

from infrastructure.quotas import QUOTAS, at_the_largest, rows
from infrastructure.resources import Plan

pytestmark = pytest.mark.slow


def page(repository: Path) -> str:
    return (repository / "docs/deployment.md").read_text()


def test_deployment_page_has_the_table_of_the_plans(dev_plan: Plan, prod_plan: Plan, repository: Path) -> None:
    table = rows({"dev": dev_plan, "prod": prod_plan})
    assert "\n".join(table) in page(repository), "put what python -m infrastructure.quotas prints there"


def test_commands_show_and_ask_for_every_quota_that_a_new_account_lacks(
    dev_plan: Plan, prod_plan: Plan, repository: Path
) -> None:
    lacking = {quota.code for quota in QUOTAS for plan in (dev_plan, prod_plan) if quota.needed(plan) > quota.initial}
    commands = "".join(re.findall(r"```sh\n(.*?)```", page(repository), re.DOTALL))
    asked = set(re.findall(r"request-service-quota-increase .*--quota-code (L-[0-9A-F]+)", commands))
    assert asked == lacking == {"L-1216C47A", "L-34B43A08"}
    assert "aws service-quotas get-service-quota" in commands


def test_more_and_larger_nodes_need_more(dev_plan: dict[str, Any]) -> None:
    changed = copy.deepcopy(dev_plan)
    (group,) = (
        item
        for child in changed["planned_values"]["root_module"]["child_modules"]
        for module in child["child_modules"]
        for item in module["resources"]
        if item["type"] == "aws_eks_node_group"
    )
    group["values"]["instance_types"].append("m5.2xlarge")
    group["values"]["scaling_config"][0]["desired_size"] = 5
    (spot,) = (quota for quota in QUOTAS if quota.code == "L-34B43A08")
    # Two more while the group is updated, of the largest type that it may take.
    assert spot.needed(changed) == (5 + 2) * 8
    assert at_the_largest(changed)["L-34B43A08"] == (10 + 2) * 8
    assert at_the_largest(changed)["L-1216C47A"] == 0
