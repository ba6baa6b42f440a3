"""What the environments would make: AWS's own rules that no stand-in checks, and what the design promises."""

import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import Final

import pytest

from infrastructure.resources import Plan, Resource, resources
from infrastructure.terraform import REPOSITORY

pytestmark = pytest.mark.slow

ZONES: Final = {"dev": {"ap-southeast-1a"}, "prod": {"ap-southeast-1a", "ap-southeast-1b", "ap-southeast-1c"}}
LONGEST: Final = {
    "aws_lb": 32,
    "aws_lb_target_group": 32,
    "aws_iam_role": 64,
    "aws_sqs_queue": 80,
    "aws_s3_bucket": 63,
    "aws_eks_cluster": 100,
    "aws_eks_node_group": 63,
    "aws_db_instance": 63,
    "aws_dynamodb_table": 255,
    "aws_cognito_user_pool_domain": 63,
    "aws_wafv2_web_acl": 128,
    "aws_security_group": 255,
}
"""Characters that AWS takes for a name, by the service quotas' pages of each service."""
AUTOSCALER_OF_CHART: Final = {"9.59.0": "1.35.0"}
"""`appVersion` of the chart, whose minor version must be the cluster's."""
NAMED: Final = ("name", "bucket", "identifier", "domain", "node_group_name")


@pytest.fixture(params=["dev", "prod"])
def environment(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def plan(environment: str, dev_plan: Plan, prod_plan: Plan) -> Plan:
    return {"dev": dev_plan, "prod": prod_plan}[environment]


def name_of(resource: Resource) -> str | None:
    return next((resource.values[key] for key in NAMED if isinstance(resource.values.get(key), str)), None)


def test_an_environment_is_planned_without_a_warning(environment: str, plan: Plan) -> None:
    assert plan["warnings"] == []
    assert plan["errored"] is False
    print(f"{environment}: {len(resources(plan))} resources")


def test_the_shared_root_has_a_repository_for_each_image_and_no_warning(shared_plan: Plan) -> None:
    assert shared_plan["warnings"] == []
    services = {each.values["name"] for each in resources(shared_plan, "aws_ecr_repository")}
    versions = (REPOSITORY / "overlays/prod").glob("*/version/kustomization.yaml")
    assert services == {version.parents[1].name for version in versions}


def test_eks_load_balancers_and_the_database_have_subnets_in_two_zones(environment: str, plan: Plan) -> None:
    zones: defaultdict[str, set[str]] = defaultdict(set)
    for subnet in resources(plan, "aws_subnet"):
        zones[subnet.name].add(subnet.values["availability_zone"])
    assert all(len(found) >= 2 for found in zones.values()), zones
    assert set(zones) == {"public", "internal", "private"}
    calls = plan["configuration"]["root_module"]["module_calls"]["platform"]["module"]["module_calls"]
    for module, variable, tier in (
        ("cluster", "control_plane_subnet_ids", "internal_subnet_ids"),
        ("load_balancers", "public_subnet_ids", "public_subnet_ids"),
        ("load_balancers", "internal_subnet_ids", "internal_subnet_ids"),
        ("database", "subnet_ids", "internal_subnet_ids"),
    ):
        assert f"module.network.{tier}" in calls[module]["expressions"][variable]["references"]


def test_nodes_run_in_the_zones_of_the_design(environment: str, plan: Plan) -> None:
    groups = resources(plan, "aws_eks_node_group")
    assert {group.key for group in groups} == ZONES[environment]
    sizes = {(size["min_size"], size["max_size"]) for group in groups for size in group.values["scaling_config"]}
    assert sizes == {(1, 10)}
    assert {gateway.key for gateway in resources(plan, "aws_nat_gateway")} == ZONES[environment]


def test_no_name_is_longer_than_aws_takes(plan: Plan) -> None:
    names = [(each, name) for each in resources(plan, *LONGEST) if (name := name_of(each)) is not None]
    assert len(names) > 30
    too_long = {each.address: name for each, name in names if len(name) > LONGEST[each.type]}
    assert not too_long


def test_role_names_are_unique_in_one_account(dev_plan: Plan, prod_plan: Plan, shared_plan: Plan) -> None:
    plans = (dev_plan, prod_plan, shared_plan)
    names = Counter(role.values["name"] for plan in plans for role in resources(plan, "aws_iam_role"))
    assert not [name for name, count in names.items() if count > 1]
    assert len(names) > 30


def test_environments_share_no_name_that_is_unique_in_an_account(dev_plan: Plan, prod_plan: Plan) -> None:
    for kind in LONGEST:
        dev, prod = ({name_of(each) for each in resources(plan, kind)} - {None} for plan in (dev_plan, prod_plan))
        assert not dev & prod, kind


def test_each_host_leads_to_the_load_balancer_of_the_design(plan: Plan) -> None:
    hosts: defaultdict[str, set[str]] = defaultdict(set)
    for rule in resources(plan, "aws_lb_listener_rule"):
        if any(action["type"] == "forward" for action in rule.values["action"]):
            balancer = "internal" if rule.key in {"internal", "argocd"} else "public"
            hosts[balancer].update(rule.values["condition"][0]["host_header"][0]["values"])
    assert hosts["public"] == {"app.example.com", "api.example.com"}
    assert hosts["internal"] == {"api.example.com", "argocd.example.com"}


def test_users_of_log_groups_and_rights_wait_for_them(plan: Plan) -> None:
    """Otherwise they start without them, or make the group themselves; at destroy the order turns."""
    calls = plan["configuration"]["root_module"]["module_calls"]["platform"]["module"]["module_calls"]
    resources_of_cluster = calls["cluster"]["module"]["resources"]
    waits = {each["address"]: set(each.get("depends_on", [])) for each in resources_of_cluster}
    assert waits["aws_eks_cluster.this"] == {
        "aws_cloudwatch_log_group.control_plane",
        "aws_iam_role_policy.secrets",
        "aws_iam_role_policy_attachment.cluster",
    }
    assert waits["aws_eks_addon.before_nodes"] == {
        "aws_eks_pod_identity_association.addon",
        "aws_iam_role_policy_attachment.cni",
    }
    assert waits["aws_eks_node_group.this"] == {"aws_eks_addon.before_nodes", "aws_iam_role_policy_attachment.node"}
    assert waits["aws_eks_addon.this"] == {
        "aws_cloudwatch_log_group.containers",
        "aws_eks_node_group.this",
        "aws_eks_pod_identity_association.addon",
        "aws_iam_role_policy.cloudwatch",
    }


def test_manifests_bind_to_target_groups_that_exist(environment: str, plan: Plan) -> None:
    groups = {group.values["name"]: group.values["port"] for group in resources(plan, "aws_lb_target_group")}
    bound = set()
    for file in (REPOSITORY / "overlays" / environment).rglob("target-group-binding.yaml"):
        bound |= set(re.findall(r"targetGroupName: (\S+)", file.read_text()))
    assert bound == {name for name in groups if not name.endswith("-argocd")}
    assert groups[f"{environment}-frontend"] == 7860
    assert groups[f"{environment}-agentgateway"] == groups[f"{environment}-agentgateway-internal"] == 8080


def test_every_fact_is_a_setting_that_a_service_has(repository: Path) -> None:
    facts = set(
        re.findall(
            r"^ {4,6}([A-Z][A-Z_]+) +=", (repository / "infra-terraform/modules/platform/facts.tf").read_text(), re.M
        )
    )
    documented = {
        name
        for readme in (repository / "services").glob("*/README.md")
        for name in re.findall(r"`([A-Z][A-Z0-9_]+)`", readme.read_text())
    }
    assert len(facts) > 20
    assert not facts - documented


def test_the_autoscaler_is_of_the_clusters_version(repository: Path, plan: Plan) -> None:
    (cluster,) = resources(plan, "aws_eks_cluster")
    application = (repository / "apps/platform/cluster-autoscaler.yaml").read_text()
    (chart,) = (line for line in application.splitlines() if "targetRevision:" in line)
    # The chart names its autoscaler; a comment beside the pin says which one it is.
    assert cluster.values["version"] in AUTOSCALER_OF_CHART[chart.split()[1]]


def test_environments_differ_in_values_only(repository: Path) -> None:
    def statements(name: str) -> list[str]:
        text = (repository / "infra-terraform/environments" / name / "main.tf").read_text()
        return re.findall(r"^(?:module|resource|data|locals|output)\b.*", text, re.MULTILINE)

    assert statements("dev") == statements("prod") == ['module "platform" {']
    for file in ("variables.tf", "outputs.tf"):
        dev, prod = ((repository / "infra-terraform/environments" / name / file).read_text() for name in ZONES)
        assert dev == prod


def test_the_state_is_in_s3_and_locked_by_a_file(repository: Path) -> None:
    roots = ["environments/dev", "environments/prod", "environments/shared", "bootstrap", "state"]
    for root in roots:
        text = (repository / "infra-terraform" / root / "versions.tf").read_text()
        assert 'backend "s3"' in text
        assert re.search(r"use_lockfile\s+= true", text)
        assert "dynamodb_table" not in text


def test_nothing_of_an_account_is_in_git(repository: Path) -> None:
    example = re.compile(r"\b111122223333\b|\b444455556666\b")
    for file in (repository / "infra-terraform").rglob("*.tf"):
        if "examples" in file.parts or ".terraform" in file.parts:
            continue
        assert not re.search(r"\b[0-9]{12}\b", example.sub("", file.read_text())), file
