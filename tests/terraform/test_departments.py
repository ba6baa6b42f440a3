"""A department in Git has what it needs outside of its own object: groups to be in, and roles that let them look."""

import pytest
from tests.helpers.overlays import environment_objects, of_kind

from infrastructure.resources import Plan, resources

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("environment", ["dev", "prod"])]


def test_every_departments_groups_are_in_the_user_pool(environment: str, dev_plan: Plan, prod_plan: Plan) -> None:
    plan = {"dev": dev_plan, "prod": prod_plan}[environment]
    made = {each.values["name"] for each in resources(plan, "aws_cognito_user_group")}
    for department in of_kind(environment_objects(environment), "Department"):
        access = department["spec"]["access"]
        groups = {*access["groups"], *access.get("restrictedGroups", [])}
        name = department["metadata"]["name"]
        assert groups <= made, f"{name}: name it in `departments` of infra-terraform/environments/{environment}/main.tf"
    assert "platform" in made


def test_every_departments_people_may_look_at_theirs_in_the_cluster(environment: str) -> None:
    manifests = environment_objects(environment)
    roles = {each["metadata"]["name"]: each["rules"] for each in of_kind(manifests, "Role")}
    bound = {
        (each["roleRef"]["name"], subject["name"])
        for each in of_kind(manifests, "RoleBinding")
        for subject in each["subjects"]
        if subject["kind"] == "Group"
    }
    departments = of_kind(manifests, "Department")
    assert departments
    for department in departments:
        name = department["metadata"]["name"]
        role = f"department-{name}"
        assert role in roles, f"{name}: base/department-operator/department-roles has no {name}.yaml"
        assert {rule_name for rule in roles[role] for rule_name in rule["resourceNames"]} == {name, f"mcp-{name}"}
        assert {verb for rule in roles[role] for verb in rule["verbs"]} == {"get", "list", "watch"}
        assert {(role, group) for group in department["spec"]["access"]["groups"]} <= bound
