"""A department in Git has what it needs outside of its own object: groups to be in."""

import pytest
from tests.helpers.overlays import departments

from infrastructure.resources import Plan, resources

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("environment", ["dev", "prod"])]


def test_every_departments_groups_are_in_the_user_pool(environment: str, dev_plan: Plan, prod_plan: Plan) -> None:
    plan = {"dev": dev_plan, "prod": prod_plan}[environment]
    made = {each.values["name"] for each in resources(plan, "aws_cognito_user_group")}
    for department in departments():
        access = department["spec"]["access"]
        groups = {*access["groups"], *access.get("restrictedGroups", [])}
        assert groups <= made
    assert "platform" in made
