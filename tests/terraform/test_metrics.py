"""Each metric that an alarm, the dashboard or a document names is published by somebody and reaches CloudWatch."""

import importlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import prometheus_client
import pytest
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.parser import text_string_to_metric_families
from tests.helpers.kustomize import ROOT
from tests.helpers.overlays import environment_objects, pod_templates
from tests.helpers.workspace import MEMBERS, defaults, module_of

from application.records import RESULT_SECONDS, RESULT_SECONDS_A_MEBIBYTE
from infrastructure.resources import Plan, resources
from infrastructure.terraform import Workspace

pytestmark = pytest.mark.slow

PROMETHEUS: Final = "ContainerInsights/Prometheus"

MODULES: Final = [
    importlib.import_module(".".join(file.relative_to(member / "src").with_suffix("").parts))
    for member in MEMBERS
    if member.parent.name == "services"
    for file in sorted(member.glob("src/**/metrics.py"))
]

LOAD_BALANCER_AND_TARGET_GROUP: Final = (frozenset({"LoadBalancer"}), frozenset({"LoadBalancer", "TargetGroup"}))
SEARCHED: Final = re.compile(
    r"SEARCH\('\{([\w/]+),([\w,]+)\} MetricName=\"(\w+)\" ClusterName=\"[\w-]+\"', 'Sum', 300\)"
)
"""CloudWatch's search of all metrics with exactly these dimensions."""

NOT_OURS: Final[Mapping[tuple[str, str], tuple[frozenset[str], ...]]] = {
    # aws/amazon-cloudwatch-agent, translator/tocwconfig/sampleConfig/prometheus_and_kubernetes_config.yaml: what
    # Container Insights with enhanced observability declares.
    ("ContainerInsights", "cluster_failed_node_count"): (frozenset({"ClusterName"}),),
    ("ContainerInsights", "node_cpu_utilization"): (frozenset({"ClusterName"}),),
    ("ContainerInsights", "node_memory_utilization"): (frozenset({"ClusterName"}),),
    ("ContainerInsights", "pod_container_status_waiting_reason_crash_loop_back_off"): (frozenset({"ClusterName"}),),
    ("ContainerInsights", "status_replicas_unavailable"): (frozenset({"ClusterName"}),),
    # The user guides of the services, "CloudWatch metrics".
    ("AWS/ApplicationELB", "RequestCount"): LOAD_BALANCER_AND_TARGET_GROUP,
    ("AWS/ApplicationELB", "HTTPCode_Target_5XX_Count"): LOAD_BALANCER_AND_TARGET_GROUP,
    ("AWS/ApplicationELB", "HTTPCode_ELB_5XX_Count"): (frozenset({"LoadBalancer"}),),
    ("AWS/ApplicationELB", "TargetResponseTime"): (frozenset({"LoadBalancer", "TargetGroup"}),),
    ("AWS/ApplicationELB", "HealthyHostCount"): (frozenset({"LoadBalancer", "TargetGroup"}),),
    ("AWS/CertificateManager", "DaysToExpiry"): (frozenset({"CertificateArn"}),),
    ("AWS/DynamoDB", "WriteThrottleEvents"): (frozenset({"TableName"}),),
    ("AWS/NATGateway", "ErrorPortAllocation"): (frozenset({"NatGatewayId"}),),
    ("AWS/RDS", "CPUUtilization"): (frozenset({"DBInstanceIdentifier"}),),
    ("AWS/RDS", "FreeStorageSpace"): (frozenset({"DBInstanceIdentifier"}),),
    ("AWS/SQS", "ApproximateAgeOfOldestMessage"): (frozenset({"QueueName"}),),
    ("AWS/SQS", "ApproximateNumberOfMessagesVisible"): (frozenset({"QueueName"}),),
    ("AWS/VPN", "TunnelState"): (frozenset({"VpnId"}),),
}
"""Metrics that AWS publishes, with the sets of dimensions under which it does."""


OBSERVABILITY: Final = """
provider "aws" {
  region = "ap-southeast-1"
}

module "observability" {
  source = "../../modules/observability"

  environment                  = "prod"
  account_id                   = "111122223333"
  region                       = "ap-southeast-1"
  cluster_name                 = "prod-file-processing"
  alert_emails                 = ["platform@example.com"]
  public_alb_arn_suffix        = "app/prod-public/50dc6c495c0c9188"
  internal_alb_arn_suffix      = "app/prod-internal/60dc6c495c0c9188"
  queue_name                   = "prod-jobs"
  dead_letter_queue_name       = "prod-jobs-dead"
  jobs_table_name              = "prod-jobs"
  database_instance_identifier = "prod-frontend"
  nat_gateway_ids              = { ap-southeast-1a = "nat-0a" }
  vpn_connection_ids           = { on-premises = "vpn-0a" }
  certificate_arn              = "arn:aws:acm:ap-southeast-1:111122223333:certificate/0a1b2c3d"

  target_group_arn_suffixes = {
    frontend              = "targetgroup/prod-frontend/73e2d6bc24d8a067"
    agentgateway          = "targetgroup/prod-agentgateway/83e2d6bc24d8a067"
    agentgateway-internal = "targetgroup/prod-agentgateway-internal/93e2d6bc24d8a067"
  }
}
"""


@pytest.fixture(params=["dev", "prod"])
def environment(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def plan(environment: str, request: pytest.FixtureRequest) -> Plan:
    planned: Plan = request.getfixturevalue(f"{environment}_plan")
    return planned


def published() -> dict[str, tuple[str, set[str]]]:
    """Type and labels of each sample that our services publish, by its name, read from what they would answer."""
    registry = prometheus_client.CollectorRegistry()
    for metric in {each for module in MODULES for each in vars(module).values() if isinstance(each, MetricWrapperBase)}:
        with_a_child(metric)
        registry.register(metric)
    text = prometheus_client.generate_latest(registry).decode()
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name] = (family.type, set(sample.labels))
    return found


def with_a_child(metric: MetricWrapperBase) -> None:
    """Let a metric with labels publish something: it does not say how many labels it has."""
    for count in range(1, 6):
        try:
            metric.labels(*["x"] * count)
        except ValueError:
            continue
        return


def agents(plan: Plan) -> list[dict[str, Any]]:
    """The CloudWatch agents of the plan's add-on."""
    (addon,) = (
        each
        for each in resources(plan, "aws_eks_addon")
        if each.values["addon_name"] == "amazon-cloudwatch-observability"
    )
    configured: list[dict[str, Any]] = json.loads(addon.values["configuration_values"])["agents"]
    return configured


def scraper(plan: Plan) -> dict[str, Any]:
    """The agent that scrapes our services."""
    (found,) = (agent for agent in agents(plan) if "prometheus" in agent["config"]["logs"]["metrics_collected"])
    return found


def collected(plan: Plan) -> dict[tuple[str, frozenset[str]], str]:
    """Namespace of each metric and set of dimensions that the agent makes of what our services publish.

    As the agent does it: relabelling of the scrape, then the declarations whose selector and matcher fit. `job` and
    `ClusterName` are the agent's own labels (plugins/inputs/prometheus/metrics_handler.go), and it drops all types but
    counters, gauges and summaries (metrics_filter.go).
    """
    agent = scraper(plan)
    (scrape,) = agent["prometheus"]["config"]["scrape_configs"]
    (kept,) = scrape["metric_relabel_configs"]
    assert (kept["action"], kept["source_labels"]) == ("keep", ["__name__"])
    processor = agent["config"]["logs"]["metrics_collected"]["prometheus"]["emf_processor"]
    found = {}
    for name, (kind, labels) in published().items():
        if not re.fullmatch(kept["regex"], name) or kind not in {"counter", "gauge"}:
            continue
        for declared in processor["metric_declaration"]:
            assert declared["source_labels"] == ["job"]
            if not re.search(declared["label_matcher"], scrape["job_name"]):
                continue
            if not any(re.search(selector, name) for selector in declared["metric_selectors"]):
                continue
            for dimensions in declared["dimensions"]:
                if set(dimensions) <= labels | {"job", "ClusterName"}:
                    found[name, frozenset(dimensions)] = processor["metric_namespace"]
    return found


def used_in(expression: str) -> set[str]:
    """The metrics of its own widget or alarm that an expression reckons with: their names are in lower case."""
    return set(re.findall(r"\b[a-z]+\b", expression))


def seen(plan: Plan) -> Iterator[tuple[str, str, str, frozenset[str]]]:
    """Where, namespace, metric and dimensions of all that alarms and the dashboard look at."""
    for alarm in resources(plan, "aws_cloudwatch_metric_alarm"):
        values, name = alarm.values, alarm.values["alarm_name"]
        queries = [metric for query in values["metric_query"] for metric in query["metric"]]
        for expression in (query["expression"] for query in values["metric_query"] if query["expression"]):
            known = {query["id"] for query in values["metric_query"] if query["metric"]}
            assert used_in(expression) == (set() if "METRICS()" in expression else known)
        for metric in [values] if values["metric_name"] else queries:
            yield name, metric["namespace"], metric["metric_name"], frozenset(metric["dimensions"])
    for dashboard in resources(plan, "aws_cloudwatch_dashboard"):
        for widget in json.loads(dashboard.values["dashboard_body"])["widgets"]:
            title, figures = widget["properties"]["title"], widget["properties"]["metrics"]
            known = {figure[-1]["id"] for figure in figures if len(figure) > 1 and "id" in figure[-1]}
            for figure in figures:
                if isinstance(figure[0], str):
                    namespace, metric, *dimensions = figure
                    yield (
                        title,
                        namespace,
                        metric,
                        frozenset([each for each in dimensions if isinstance(each, str)][::2]),
                    )
                elif search := SEARCHED.fullmatch(figure[0]["expression"]):
                    yield title, search[1], search[3], frozenset(search[2].split(","))
                else:
                    assert used_in(figure[0]["expression"]) == known


@pytest.fixture(scope="module")
def observability(workspace: Workspace) -> Plan:
    """All alarms and the dashboard, planned with identifiers that AWS would decide."""
    root = "environments/observability"
    workspace.path(root).mkdir()
    (workspace.path(root) / "main.tf").write_text(OBSERVABILITY)
    workspace.detach(root)
    workspace.init(root)
    return workspace.plan(root)


def test_every_alarm_and_widget_looks_at_a_metric_that_somebody_publishes(plan: Plan, observability: Plan) -> None:
    ours = {(namespace, name, dimensions) for (name, dimensions), namespace in collected(plan).items()}
    missing = [
        (where, namespace, metric, sorted(dimensions))
        for where, namespace, metric, dimensions in seen(observability)
        if dimensions not in NOT_OURS.get((namespace, metric), ()) and (namespace, metric, dimensions) not in ours
    ]
    assert missing == []
    namespaces = {namespace for namespace, _ in NOT_OURS} | {PROMETHEUS}
    assert {namespace for _, namespace, _, _ in seen(observability)} == namespaces


def test_environments_have_no_alarm_that_was_not_looked_at(plan: Plan, environment: str, observability: Plan) -> None:
    def names(planned: Plan) -> set[str]:
        alarms = resources(planned, "aws_cloudwatch_metric_alarm")
        return {each.values["alarm_name"].partition("-")[2] for each in alarms}

    assert names(plan) <= names(observability)


def test_an_objective_is_as_its_page_says(observability: Plan) -> None:
    """Rates and windows: Google's SRE workbook, "Alerting on SLOs", multiwindow, multi-burn-rate alerts."""
    windows = {
        each.values["alarm_name"].removeprefix("prod-"): each.values
        for each in resources(observability, "aws_cloudwatch_metric_alarm")
        if each.values["metric_query"] and not each.values["alarm_actions"]
    }
    told = {
        each.values["alarm_name"]: each.values for each in resources(observability, "aws_cloudwatch_composite_alarm")
    }
    page = (ROOT / "docs/slo.md").read_text()
    objectives = re.findall(r"^\| \[[^]]+\]\(runbooks/([a-z-]+)\.md\) \| .* \| ([0-9.]+) % \| 30 days \| ", page, re.M)
    assert len(objectives) == len(told) == 3
    for name, percent in objectives:
        budget = 100 - float(percent)
        for burn, share, long, short in (("fast", 2, 1, 5), ("medium", 5, 6, 30), ("slow", 10, 24, 120)):
            rate = share / 100 * 30 * 24 / long
            for window, minutes in (
                (windows[f"{name}-{burn}-long"], long * 60),
                (windows[f"{name}-{burn}-short"], short),
            ):
                assert window["threshold"] == pytest.approx(rate * budget)
                assert {query["metric"][0]["period"] for query in window["metric_query"] if query["metric"]} == {
                    60 * minutes
                }
            assert (
                f'(ALARM("prod-{name}-{burn}-long") AND ALARM("prod-{name}-{burn}-short"))'
                in told[f"prod-{name}"]["alarm_rule"]
            )
        assert told[f"prod-{name}"]["alarm_rule"].count(" OR ") == 2
    (seconds,) = re.findall(r"(\d+) s, and (?:\d+) s more for each MiB", page)
    assert int(seconds) == RESULT_SECONDS
    assert f"and {RESULT_SECONDS_A_MEBIBYTE} s more for each MiB" in page


def test_alarms_look_at_this_cluster(environment: str, plan: Plan) -> None:
    for alarm in resources(plan, "aws_cloudwatch_metric_alarm"):
        if (alarm.values.get("namespace") or "").startswith("ContainerInsights"):
            assert alarm.values["dimensions"] == {"ClusterName": f"{environment}-file-processing"}
    prometheus = scraper(plan)["config"]["logs"]["metrics_collected"]["prometheus"]
    assert prometheus["cluster_name"] == f"{environment}-file-processing"


def test_every_metric_that_is_collected_is_published_with_its_dimensions(plan: Plan) -> None:
    processor = scraper(plan)["config"]["logs"]["metrics_collected"]["prometheus"]["emf_processor"]
    declared = {
        (name, frozenset(dimensions))
        for each in processor["metric_declaration"]
        for name in re.findall(r"\w+", each["metric_selectors"][0])
        for dimensions in each["dimensions"]
    }
    assert declared == collected(plan).keys()


def test_documents_name_only_metrics_that_reach_cloudwatch(plan: Plan) -> None:
    reaches = {name for name, _ in collected(plan)}
    services = "|".join(sorted({name.split("_")[0] for name in published()}))
    named: dict[str, str] = {}
    for page in (ROOT / "docs").rglob("*.md"):
        for name in re.findall(rf"`((?:{services})_[a-z_]+)`", page.read_text()):
            named[name] = str(page.relative_to(ROOT))
    assert "mcp_dataset_refresh_failing" in named
    assert {name: page for name, page in named.items() if name not in reaches} == {}


def test_agent_scrapes_every_pod_that_publishes_metrics(environment: str, plan: Plan) -> None:
    (scrape,) = scraper(plan)["prometheus"]["config"]["scrape_configs"]
    (discovery,) = scrape["kubernetes_sd_configs"]
    assert discovery == {"role": "pod", "namespaces": {"names": ["file-processing"]}}
    label = "__meta_kubernetes_pod_container_port_name"
    by_port = next(rule for rule in scrape["relabel_configs"] if rule["source_labels"] == [label])
    scraped = {
        name
        for name, template in pod_templates(environment_objects(environment))
        for container in template["spec"]["containers"]
        for port in container.get("ports", [])
        if re.fullmatch(by_port["regex"], port.get("name", ""))
    }
    pods = pod_templates(environment_objects(environment))
    assert scraped == {name for name, template in pods if "metrics_port" in defaults(module_of(template))}


def test_network_policy_lets_the_agent_in(environment: str, plan: Plan) -> None:
    # A pod in the node's network has the node's address: no selector of a NetworkPolicy matches it.
    assert scraper(plan)["hostNetwork"] is False
    (policy,) = (
        each
        for each in environment_objects(environment)
        if each["kind"] == "NetworkPolicy" and each["metadata"]["name"] == "metrics"
    )
    (rule,) = policy["spec"]["ingress"]
    (namespace,) = (
        each.values["namespace"]
        for each in resources(plan, "aws_eks_pod_identity_association")
        if each.values["service_account"] == "cloudwatch-agent"
    )
    assert rule["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}]
    ports = {
        port["containerPort"]
        for _, template in pod_templates(environment_objects(environment))
        for container in template["spec"]["containers"]
        for port in container.get("ports", [])
        if port.get("name") == "metrics"
    }
    assert [port["port"] for port in rule["ports"]] == list(ports)


def test_agents_write_to_log_groups_that_terraform_makes(plan: Plan) -> None:
    groups = {
        each.values["name"]: each.values["retention_in_days"] for each in resources(plan, "aws_cloudwatch_log_group")
    }
    prometheus = scraper(plan)["config"]["logs"]["metrics_collected"]["prometheus"]
    # The other four are fixed in the add-on (aws-observability/helm-charts, values.yaml) and in the agent.
    kinds = ("application", "dataplane", "host", "performance")
    fixed = [f"/aws/containerinsights/{prometheus['cluster_name']}/{kind}" for kind in kinds]
    assert {prometheus["log_group_name"], *fixed} <= groups.keys()
    assert all(groups.values())


def test_application_signals_injects_nothing(plan: Plan) -> None:
    """It would add init containers to our Deployments, which restricted Pod Security refuses.

    aws-observability/helm-charts, templates/_helpers.tpl (`manager.modify-auto-monitor-config`): monitorAllServices is
    true by default in this region as soon as one agent collects Application Signals.
    """
    (addon,) = (
        each
        for each in resources(plan, "aws_eks_addon")
        if each.values["addon_name"] == "amazon-cloudwatch-observability"
    )
    configuration = json.loads(addon.values["configuration_values"])
    assert configuration["manager"]["applicationSignals"]["autoMonitor"]["monitorAllServices"] is False
    assert configuration["applicationSignals"] == {"enabled": False}
    for agent in agents(plan):
        assert "application_signals" not in agent["config"]["logs"]["metrics_collected"]


def test_traces_are_sent_where_the_agent_takes_them_and_the_policies_let_them_go(environment: str, plan: Plan) -> None:
    """Names of the agent's Service and pods: aws/amazon-cloudwatch-agent-operator, internal/manifests.

    collector/ports.go opens the port that the configuration names, manifestutils/labels.go has the labels.
    """
    agent = scraper(plan)
    facts = plan["output_changes"]["platform"]["after"]["facts"]
    address = urlsplit(facts["OTEL_EXPORTER_OTLP_ENDPOINT"])
    assert address.hostname == f"{agent['name']}.amazon-cloudwatch"
    assert agent["config"]["traces"]["traces_collected"] == {"otlp": {"http_endpoint": f"0.0.0.0:{address.port}"}}
    assert [each["name"] for each in agents(plan) if "traces" in each["config"]] == [agent["name"]]
    (policy,) = (
        each["spec"]
        for each in environment_objects(environment)
        if each["kind"] == "NetworkPolicy" and each["metadata"]["name"] == "traces"
    )
    (rule,) = policy["egress"]
    assert rule["ports"] == [{"protocol": "TCP", "port": address.port}]
    assert rule["to"][0]["podSelector"]["matchLabels"] == {
        "app.kubernetes.io/instance": f"amazon-cloudwatch.{agent['name']}"
    }
