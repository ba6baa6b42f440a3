"""A month's bill of a plan, line by line."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from infrastructure.cost.tables import HOURS, Prices, Usage
from infrastructure.resources import Plan, Resource, resources

OTHER: Final = "other"
"""The item of what the brief's budget does not name."""

OBSERVATIONS: Final = {"cluster": 250, "node": 28, "pod": 30, "container": 12}
"""Metrics that Container Insights with enhanced observability reports of each of them at once.

Counted in the agent's declarations (aws/amazon-cloudwatch-agent,
translator/tocwconfig/sampleConfig/prometheus_and_kubernetes_config.yaml), without those that only some pods have. The
cluster's are of workloads, namespaces, and of the API server by verb and resource: reckoned.
"""
CONTAINERS_A_POD: Final = 1.3

PRICED: Final = frozenset(
    [
        "aws_cloudwatch_composite_alarm",
        "aws_cloudwatch_dashboard",
        "aws_cloudwatch_log_group",
        "aws_cloudwatch_metric_alarm",
        "aws_cognito_user_pool",
        "aws_db_instance",
        "aws_dx_gateway",
        "aws_dynamodb_table",
        "aws_eip",
        "aws_eks_addon",
        "aws_eks_cluster",
        "aws_eks_node_group",
        "aws_kms_key",
        "aws_launch_template",
        "aws_lb",
        "aws_nat_gateway",
        "aws_route53_resolver_endpoint",
        "aws_route53_zone",
        "aws_s3_bucket",
        "aws_secretsmanager_secret",
        "aws_sqs_queue",
        "aws_vpc_endpoint",
        "aws_vpn_connection",
        "aws_wafv2_web_acl",
    ]
)
"""Types of resources that lines are made of."""

FREE: Final = [
    "aws_acm_",
    "aws_autoscaling_group_tag",
    "aws_budgets_budget",
    "aws_cloudwatch_log_resource_policy",
    "aws_cognito_",
    "aws_customer_gateway",
    "aws_db_parameter_group",
    "aws_db_subnet_group",
    "aws_default_",
    "aws_dx_gateway_association",
    "aws_eks_access_",
    "aws_eks_pod_identity_",
    "aws_flow_log",
    "aws_iam_",
    "aws_internet_gateway",
    "aws_kms_alias",
    "aws_lb_",
    "aws_network_acl",
    "aws_rolesanywhere_",
    "aws_route",
    "aws_s3_bucket_",
    "aws_security_group",
    "aws_sns_",
    "aws_sqs_queue_",
    "aws_subnet",
    "aws_vpc",
    "aws_vpn_gateway",
    "aws_wafv2_web_acl_",
    "terraform_data",
]
"""Beginnings of the types that cost nothing by themselves; what flows through them is in other lines."""


@dataclass(frozen=True, slots=True)
class Line:
    """So many units of something; `item` is the budget's, `note` says what is not plain."""

    item: str
    what: str
    quantity: float
    unit: str
    usd_a_unit: float
    usd: float
    note: str = ""


class NotPriced(Exception):
    """The plan makes something of which it is not known whether it costs."""


class Bill:
    """The lines of one plan."""

    def __init__(self, plan: Plan, usage: Usage, prices: Prices) -> None:
        """Sort the plan's resources by type.

        Raises:
            NotPriced: One of them is neither in `PRICED` nor in `FREE`.
        """
        self._plan = plan
        self._usage = usage
        self._prices = prices
        for resource in resources(plan):
            if resource.type not in PRICED and not resource.type.startswith(tuple(FREE)):
                raise NotPriced(f"{resource.address}: say in {__name__} whether a {resource.type} costs")

    def lines(self) -> list[Line]:
        """All lines that cost something, the budget's items first."""
        made = [*self._cluster(), *self._network(), *self._front(), *self._data(), *self._people(), *self._watching()]
        made += self._on_premises()
        return [line for line in made if line.quantity > 0]

    def _all(self, kind: str) -> list[Resource]:
        return resources(self._plan, kind)

    def _line(self, item: str, what: str, price: str, units: float, unit: str, note: str = "") -> Line:
        known = self._prices.of(price)
        charged = max(0.0, units - known.free)
        free = f"the first {known.free:g} are free" if known.free else ""
        return Line(item, what, units, unit, known.usd, charged * known.usd, "; ".join(filter(None, (note, free))))

    def _hours(self, item: str, what: str, price: str, count: int, note: str = "") -> Line:
        return self._line(item, f"{count} x {what}", price, count * HOURS, "hour", note)

    @property
    def _nodes(self) -> int:
        return sum(group.values["scaling_config"][0]["desired_size"] for group in self._all("aws_eks_node_group"))

    def _cluster(self) -> Iterator[Line]:
        yield self._hours("EKS", "EKS control plane", "eks-cluster-hour", len(self._all("aws_eks_cluster")))
        for (kind, spot), count in sorted(self._node_counts().items()):
            line = self._hours("nodes", kind, f"ec2-{kind}-hour", count)
            if spot:
                share = self._prices.reckoned["spot-share"]
                note = f"Spot, reckoned at {share:.0%} of the list price"
                line = Line(
                    "nodes", line.what, line.quantity, line.unit, line.usd_a_unit * share, line.usd * share, note
                )
            yield line
        for template in self._all("aws_launch_template"):
            size = sum(float(disk["ebs"][0]["volume_size"]) for disk in template.values["block_device_mappings"])
            yield self._line("nodes", "disks of nodes (gp3)", "ebs-gp3-gb-month", size * self._nodes, "GB")

    def _node_counts(self) -> Mapping[tuple[str, bool], int]:
        counts: dict[tuple[str, bool], int] = {}
        for group in self._all("aws_eks_node_group"):
            kind = (group.values["instance_types"][0], group.values["capacity_type"] == "SPOT")
            counts[kind] = counts.get(kind, 0) + group.values["scaling_config"][0]["desired_size"]
        return counts

    def _network(self) -> Iterator[Line]:
        gateways = len(self._all("aws_nat_gateway"))
        yield self._hours("NAT", "NAT gateway", "nat-gateway-hour", gateways)
        yield self._line("NAT", "through NAT gateways", "nat-gateway-gb", self._usage.nat_gb, "GB")
        endpoints = [
            endpoint
            for endpoint in self._all("aws_vpc_endpoint")
            if endpoint.values["vpc_endpoint_type"] == "Interface"
        ]
        # An interface endpoint is billed for each zone; its subnets are those of the zones that have nodes.
        zones = len(self._all("aws_eks_node_group"))
        note = f"{len(endpoints)} services in {zones} zones" if endpoints else ""
        yield self._hours(
            "VPC endpoints", "interface endpoint", "interface-endpoint-hour", len(endpoints) * zones, note
        )
        if endpoints:
            yield self._line("VPC endpoints", "through them", "interface-endpoint-gb", self._usage.endpoint_gb, "GB")
        yield self._line(OTHER, "to the internet", "internet-gb", self._usage.internet_gb, "GB")
        yield self._hours(
            OTHER, "public IPv4 address", "public-ipv4-hour", self._addresses(), "of NAT gateways, ALB, VPN"
        )

    def _addresses(self) -> int:
        public_zones = sum(1 for subnet in self._all("aws_subnet") if subnet.name == "public")
        balancers = sum(public_zones for balancer in self._all("aws_lb") if not balancer.values["internal"])
        return len(self._all("aws_eip")) + balancers + 2 * len(self._all("aws_vpn_connection"))

    def _front(self) -> Iterator[Line]:
        balancers = len(self._all("aws_lb"))
        yield self._hours("ALB", "load balancer", "alb-hour", balancers, "public and internal")
        used = balancers * self._usage.lcus_a_load_balancer * HOURS
        yield self._line("ALB", "their work", "alb-lcu-hour", used, "LCU-hour")
        for firewall in self._all("aws_wafv2_web_acl"):
            yield self._line(OTHER, "WAF", "waf-acl-month", 1, "month")
            yield self._line(OTHER, "its rules", "waf-rule-month", len(firewall.values["rule"]), "month")
            requests = self._usage.million_requests
            yield self._line(OTHER, "requests it looks at", "waf-million-requests", requests, "million")
        zones = len(self._all("aws_route53_zone"))
        yield self._line(OTHER, "DNS zones", "hosted-zone-month", zones, "month")

    def _data(self) -> Iterator[Line]:
        usage = self._usage
        yield self._line("S3", "files and data", "s3-standard-gb-month", usage.files_gb, "GB")
        yield self._line("S3", "writes", "s3-thousand-writes", usage.thousand_object_writes, "thousand")
        yield self._line("S3", "reads", "s3-thousand-reads", usage.thousand_object_reads, "thousand")
        yield self._line(OTHER, "queue", "sqs-million-requests", usage.million_messages, "million")
        yield self._line(OTHER, "table, writes", "dynamodb-million-writes", usage.million_table_writes, "million")
        yield self._line(OTHER, "table, reads", "dynamodb-million-reads", usage.million_table_reads, "million")
        yield self._line(OTHER, "table, storage", "dynamodb-gb-month", usage.table_gb, "GB")
        yield self._line(OTHER, "table, recovery", "dynamodb-pitr-gb-month", usage.table_gb, "GB")
        for database in self._all("aws_db_instance"):
            standby = 2 if database.values["multi_az"] else 1
            note = "the instance and its standby" if standby > 1 else ""
            kind = database.values["instance_class"]
            yield self._hours(OTHER, f"PostgreSQL {kind}", f"rds-{kind}-hour", standby, note)
            size = standby * database.values["allocated_storage"]
            yield self._line(OTHER, "its storage", "rds-gp3-gb-month", size, "GB", note)

    def _people(self) -> Iterator[Line]:
        if self._all("aws_cognito_user_pool"):
            yield self._line("Cognito", "users", "cognito-essentials-user", self._usage.users, "user")
        yield self._line(OTHER, "KMS keys", "kms-key-month", len(self._all("aws_kms_key")), "month")
        # RDS keeps the database's first password in a secret of its own.
        secrets = len(self._all("aws_secretsmanager_secret")) + len(self._all("aws_db_instance"))
        yield self._line(OTHER, "secrets", "secret-month", secrets, "month")

    def _watching(self) -> Iterator[Line]:
        item = "CloudWatch"
        yield self._line(item, "logs of nodes and pods", "log-gb", self._nodes * self._usage.log_gb_a_node, "GB")
        for cluster in self._all("aws_eks_cluster"):
            kinds = cluster.values["enabled_cluster_log_types"]
            size = sum(self._usage.control_plane_log_gb[kind] for kind in kinds)
            yield self._line(item, "logs of the control plane", "log-gb", size, "GB", ", ".join(sorted(kinds)))
        for addon in self._all("aws_eks_addon"):
            if addon.values["addon_name"] == "amazon-cloudwatch-observability":
                yield from self._agents(json.loads(addon.values["configuration_values"]))
        queries = [alarm.values["metric_query"] for alarm in self._all("aws_cloudwatch_metric_alarm")]
        # One of several metrics costs as much as one of each.
        metrics = sum(max(1, sum(bool(query["metric"]) for query in each)) for each in queries)
        yield self._line(item, "metrics that alarms look at", "alarm-month", metrics, "month")
        composite = len(self._all("aws_cloudwatch_composite_alarm"))
        yield self._line(item, "composite alarms", "composite-alarm-month", composite, "month")
        yield self._line(item, "dashboards", "dashboard-month", len(self._all("aws_cloudwatch_dashboard")), "month")

    def _agents(self, configuration: Mapping[str, Any]) -> Iterator[Line]:
        """What the CloudWatch agents report: observations of Container Insights, and the services' own metrics."""
        for agent in configuration["agents"]:
            collected = agent["config"]["logs"]["metrics_collected"]
            if "kubernetes" in collected:
                interval = collected["kubernetes"]["metrics_collection_interval"]
                times = HOURS * 3600 / interval
                a_pod = OBSERVATIONS["pod"] + CONTAINERS_A_POD * OBSERVATIONS["container"]
                at_once = OBSERVATIONS["cluster"] + self._nodes * (
                    OBSERVATIONS["node"] + self._usage.pods_a_node * a_pod
                )
                yield self._line(
                    "CloudWatch",
                    "Container Insights",
                    "container-insights-million-observations",
                    times * at_once / 1e6,
                    "million",
                    f"each {interval} s",
                )
            if "prometheus" in collected:
                count = 0
                for declared in collected["prometheus"]["emf_processor"]["metric_declaration"]:
                    names = sum(len(selector.split("|")) for selector in declared["metric_selectors"])
                    sets = [self._usage.departments if "department" in each else 1 for each in declared["dimensions"]]
                    count += names * sum(sets)
                yield self._line("CloudWatch", "metrics of services", "custom-metric-month", count, "metric")

    def _on_premises(self) -> Iterator[Line]:
        note = "two tunnels"
        yield self._hours(OTHER, "VPN", "vpn-connection-hour", len(self._all("aws_vpn_connection")), note)
        note = "the port, which is ordered at a location"
        gateways = len(self._all("aws_dx_gateway"))
        yield self._hours("Direct Connect", "1 Gbps", "direct-connect-1gbps-hour", gateways, note)
        endpoints = self._all("aws_route53_resolver_endpoint")
        addresses = sum(len(endpoint.values["ip_address"]) for endpoint in endpoints)
        note = "DNS between on-premises and the VPC"
        yield self._hours(OTHER, "resolver address", "resolver-address-hour", addresses, note)
