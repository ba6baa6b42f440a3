"""That the Deployments say what the services' own settings say, and what dev and prod promise."""

import re
from typing import Any

import pytest
from tests.helpers.kustomize import ROOT
from tests.helpers.overlays import (
    DEPLOYMENTS,
    ENVIRONMENTS,
    OVERLAYS,
    SCALED,
    containers,
    departments,
    environment_objects,
    of_kind,
    overlay,
    pod_templates,
    zones,
)
from tests.helpers.target_groups import TARGET_GROUPS
from tests.helpers.workspace import IMAGES, settings_of_pods

OURS = ("mcp-server", *(name for name in DEPLOYMENTS if name != "frontend"))
"""What runs on the settings of this environment; Langflow's packages are in another one."""


def template(environment: str, name: str) -> dict[str, Any]:
    return dict(pod_templates(environment_objects(environment)))[name]


def scaled(environment: str) -> dict[str, dict[str, Any]]:
    """The Deployments that may have several replicas, by name."""
    return {
        each["metadata"]["name"]: each
        for each in of_kind(environment_objects(environment), "Deployment")
        if each["metadata"]["name"] in SCALED
    }


def serving(environment: str) -> dict[str, dict[str, Any]]:
    """Those of them that somebody sends requests to: a Service selects their pods."""
    selectors = [each["spec"]["selector"].items() for each in of_kind(environment_objects(environment), "Service")]
    return {
        name: each
        for name, each in scaled(environment).items()
        if any(selector <= each["spec"]["template"]["metadata"]["labels"].items() for selector in selectors)
    }


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("service", OURS)
def test_ports_are_those_that_the_service_listens_on(service: str, environment: str) -> None:
    [container] = containers(template(environment, service))
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {
        "http": settings_of_pods()[service]["port"],
        "metrics": settings_of_pods()[service]["metrics_port"],
    }
    probes = {kind: container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}
    assert {probe["port"] for probe in probes.values()} == {"http"}
    assert {kind: probe["path"] for kind, probe in probes.items()} == {
        "startup": "/healthz",
        "liveness": "/healthz",
        "readiness": "/readyz",
    }


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("service", OURS)
def test_every_variable_is_a_setting_and_the_rest_comes_from_aws_facts(service: str, environment: str) -> None:
    [container] = containers(template(environment, service))
    assert container["envFrom"] == [{"configMapRef": {"name": "aws-facts"}}]
    names = {variable["name"] for variable in container["env"] if not variable["name"].startswith("AWS_CONTAINER_")}
    settings = {setting.upper() for setting in settings_of_pods()[service]}
    assert names <= settings
    assert ("SERVICE_ACCOUNT" in names) == ("SERVICE_ACCOUNT" in settings)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_frontend_runs_as_its_readme_says(environment: str) -> None:
    text = (ROOT / "services/frontend/README.md").read_text()
    table = dict(re.findall(r"^\| ([a-z ]+) \| (.+) \|$", text.partition("## In the cluster")[2], re.MULTILINE))
    spec = template(environment, "frontend")["spec"]
    [container] = spec["containers"]
    assert [port["containerPort"] for port in container["ports"]] == [int(table["port"].split()[0])]
    for kind in ("liveness", "readiness", "startup"):
        assert f"{kind} `{container[f'{kind}Probe']['httpGet']['path']}`" in table["probes"]
    startup = container["startupProbe"]
    assert f"up to {startup['periodSeconds'] * startup['failureThreshold']} s" in table["probes"]
    asked, most = (container["resources"][kind]["memory"] for kind in ("requests", "limits"))
    assert table["memory"].startswith(f"request {asked.replace('Gi', ' GiB')}, limit {most.replace('Gi', ' GiB')};")
    drain = int(table["stopping"].split()[0])
    assert spec["terminationGracePeriodSeconds"] >= container["lifecycle"]["preStop"]["sleep"]["seconds"] + drain + 5
    writable = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert writable == {"/var/lib/frontend", "/tmp"}  # noqa: S108 - a path in the container
    assert container["envFrom"] == [{"configMapRef": {"name": "aws-facts"}}, {"secretRef": {"name": "frontend"}}]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("service", OURS)
def test_a_pod_has_longer_than_its_longest_drain_after_the_load_balancer_has_let_go(
    service: str, environment: str
) -> None:
    settings, spec = settings_of_pods()[service], template(environment, service)["spec"]
    sleep = spec["containers"][0].get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    assert sleep >= 15 or service not in serving(environment), "nobody sends to a worker"
    drain = settings.get("shutdown_seconds", settings.get("receive_seconds", 0))
    assert drain or service not in SCALED
    assert spec.get("terminationGracePeriodSeconds", 30) >= sleep + drain + 5


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_roll_out_takes_no_replica_away_before_its_successor_is_ready(environment: str) -> None:
    for name, deployment in serving(environment).items():
        assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}, name
        assert deployment["spec"]["minReadySeconds"] >= 5, name


@pytest.mark.parametrize(("environment", "bounds"), [("dev", (1, 4)), ("prod", (3, 12))])
def test_dev_scales_from_1_to_4_and_prod_from_3_to_12_at_70_percent_of_a_processor(
    environment: str, bounds: tuple[int, int]
) -> None:
    scalers = {
        each["metadata"]["name"]: each["spec"]
        for each in of_kind(environment_objects(environment), "HorizontalPodAutoscaler")
    }
    assert scalers.keys() == serving(environment).keys() != set()
    for name, spec in scalers.items():
        # In dev it has SQLite: a second replica would know nothing of the first.
        expected = (1, 1) if (environment, name) == ("dev", "frontend") else bounds
        assert (spec["minReplicas"], spec["maxReplicas"]) == expected, name
        target = {"type": "Utilization", "averageUtilization": 70}
        assert spec["metrics"] == [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    # A department asks for the replicas of one zone; the operator knows how many zones there are.
    for department in departments():
        replicas = department["spec"]["server"]["replicas"]
        assert (zones(environment) * replicas["min"], zones(environment) * replicas["max"]) == bounds


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_replicas_are_taken_back_one_at_a_time_after_five_quiet_minutes(environment: str) -> None:
    for each in of_kind(environment_objects(environment), "HorizontalPodAutoscaler"):
        slow = {"stabilizationWindowSeconds": 300, "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]}
        assert each["spec"]["behavior"] == {"scaleDown": slow}, each["metadata"]["name"]


@pytest.mark.parametrize(("environment", "bounds"), [("dev", (1, 4)), ("prod", (3, 12))])
def test_the_worker_scales_on_the_depth_of_its_queue_as_well(environment: str, bounds: tuple[int, int]) -> None:
    [scaled] = of_kind(overlay(f"{environment}/application"), "ScaledObject")
    spec = scaled["spec"]
    assert spec["scaleTargetRef"]["name"] == "application-worker"
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == bounds
    triggers = {trigger["type"]: trigger for trigger in spec["triggers"]}
    assert triggers["cpu"]["metadata"] == {"value": "70"}
    queue = triggers["aws-sqs-queue"]
    assert queue["metadata"]["queueURLFromEnv"] == "JOBS_QUEUE_URL"
    assert queue["metadata"]["queueLength"] == str(settings_of_pods()["application-worker"]["jobs_at_once"])
    [authentication] = of_kind(overlay(f"{environment}/application"), "TriggerAuthentication")
    assert queue["authenticationRef"]["name"] == authentication["metadata"]["name"]
    assert authentication["spec"] == {"podIdentity": {"provider": "aws"}}


@pytest.mark.parametrize("service", SCALED)
def test_prod_spreads_over_zones_strictly_per_revision_and_over_hosts_softly(service: str) -> None:
    zone, host = template("prod", service)["spec"]["topologySpreadConstraints"]
    assert zone["topologyKey"] == "topology.kubernetes.io/zone"
    assert (zone["maxSkew"], zone["whenUnsatisfiable"], zone["nodeTaintsPolicy"]) == (1, "DoNotSchedule", "Honor")
    assert "minDomains" not in zone, "with a zone lost, it would stop what is to run in the others"
    assert (host["topologyKey"], host["whenUnsatisfiable"]) == ("kubernetes.io/hostname", "ScheduleAnyway")
    for constraint in (zone, host):
        assert constraint["matchLabelKeys"] == ["pod-template-hash"]
        labels = template("prod", service)["metadata"]["labels"]
        assert constraint["labelSelector"]["matchLabels"].items() <= labels.items()


def test_dev_is_pinned_to_one_zone_and_not_spread() -> None:
    templates = dict(pod_templates(environment_objects("dev")))
    assert templates.keys() == {*DEPLOYMENTS, "mcp-server"}
    zones = {each["spec"].get("nodeSelector", {}).get("topology.kubernetes.io/zone") for each in templates.values()}
    assert zones == {"ap-southeast-1a"}
    assert not any("topologySpreadConstraints" in each["spec"] for each in templates.values())


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_disruption_budget_lets_one_pod_go_at_a_time(environment: str) -> None:
    budgets = {
        each["metadata"]["name"]: each["spec"]
        for each in of_kind(environment_objects(environment), "PodDisruptionBudget")
    }
    assert budgets.keys() == scaled(environment).keys()
    for name, budget in budgets.items():
        assert budget["maxUnavailable"] == 1
        labels = template(environment, name)["metadata"]["labels"]
        assert budget["selector"]["matchLabels"].items() <= labels.items(), name


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_target_groups_are_bound_by_name_to_services_that_exist(environment: str) -> None:
    manifests = environment_objects(environment)
    services = {each["metadata"]["name"]: each["spec"] for each in of_kind(manifests, "Service")}
    bound = {}
    for binding in of_kind(manifests, "TargetGroupBinding"):
        reference = binding["spec"]["serviceRef"]
        assert reference["port"] in {port["name"] for port in services[reference["name"]]["ports"]}
        assert binding["spec"]["targetType"] == "ip"
        bound[binding["spec"]["targetGroupName"]] = reference["name"]
    # Argo CD's is bound in its own namespace.
    groups = {f"{environment}-{group}": group.removesuffix("-internal") for group in TARGET_GROUPS if group != "argocd"}
    assert bound == groups
    assert {*bound.values()} <= serving(environment).keys()


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_port_of_a_service_is_the_port_of_the_container(environment: str) -> None:
    manifests = environment_objects(environment)
    for service in of_kind(manifests, "Service"):
        [pod] = [
            each
            for _, each in pod_templates(manifests)
            if service["spec"]["selector"].items() <= each["metadata"]["labels"].items()
        ]
        named = {port["name"]: port["containerPort"] for each in containers(pod) for port in each["ports"]}
        assert {port["targetPort"]: port["port"] for port in service["spec"]["ports"]}.items() <= named.items()


def test_jobs_give_way_to_what_somebody_waits_for() -> None:
    priorities = {
        each["metadata"]["name"]: each["value"] for each in of_kind(overlay("prod/namespace"), "PriorityClass")
    }
    given = {name: each["spec"]["priorityClassName"] for name, each in pod_templates(environment_objects("prod"))}
    worker = priorities[given.pop("application-worker")]
    assert all(priorities[each] > worker for each in given.values())


@pytest.mark.parametrize("name", OVERLAYS)
def test_memory_is_limited_and_processors_are_not(name: str) -> None:
    found = [each for _, pod in pod_templates(overlay(name)) for each in containers(pod)]
    assert found or name.partition("/")[2] == "namespace"
    for container in found:
        disk = {"ephemeral-storage"} if container["name"] == "mcp-server" else set()
        assert container["resources"]["limits"].keys() == {"memory", *disk}
        assert container["resources"]["requests"].keys() == {"cpu", "memory", *disk}


def test_a_service_has_the_same_name_in_every_tree() -> None:
    """`services/x`, `base/x`, `overlays/<environment>/x`, and so its Application's and its repository's."""
    for environment in (*ENVIRONMENTS, "real"):
        assert {path.name for path in (ROOT / "overlays" / environment).iterdir()} == {*IMAGES, "namespace"}
    bases = {path.name for path in (ROOT / "base").iterdir() if path.is_dir()}
    assert bases == {*IMAGES, "namespace", "departments", "_components"}
