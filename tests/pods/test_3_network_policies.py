"""NetworkPolicies as the node's kernel enforces them: every pod tries every pod, Service and address that matters."""

import time
from collections.abc import Callable, Collection, Iterator

import pytest
from tests.helpers.network_policies import METRICS, flows
from tests.helpers.target_groups import TARGET_GROUPS
from tests.pods.matrix import ADDRESSES, CALLERS, COREDNS, Cell, Matrix, PodGone
from tests.pods.world import DEPARTMENTS, DEPLOYMENTS, NAMESPACE, World

from local.kubernetes.kubectl import Object
from local.kubernetes.real_node.machine import COREDNS_IMAGE

pytestmark = [pytest.mark.slow, pytest.mark.timed, pytest.mark.timeout(600)]

AGREE_SECONDS = 60
"""A pod is closed a moment after it has an address, not before."""
ELSEWHERE, COLLECTOR, STRANGER = "elsewhere", "collector", "stranger"
FOREIGN = {ELSEWHERE: "elsewhere", COLLECTOR: "amazon-cloudwatch", STRANGER: NAMESPACE}
"""Pods that are not ours, and their namespaces: any other, that of who collects metrics, our own."""
NEEDED = {("AWS", 443), ("Pod Identity's agent", 80), ("the internet", 443), ("the API server", 443)}


def foreign_pod(name: str, namespace: str) -> Object:
    """A server that answers anybody, as the restricted level of Pod Security allows it."""
    context = {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    container = {
        "name": "server",
        "image": COREDNS_IMAGE,
        "args": ["-dns.port=5353"],
        "ports": [{"name": "dns", "containerPort": 5353}],
        "resources": {"requests": {"cpu": "1m", "memory": "16Mi"}, "limits": {"memory": "128Mi"}},
        "securityContext": context,
    }
    metadata = {"name": name, "namespace": namespace, "labels": {"app": name}}
    spec = {"automountServiceAccountToken": False, "terminationGracePeriodSeconds": 0, "containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


@pytest.fixture(scope="module")
def foreign(world: World) -> Iterator[None]:
    """The pods that are not ours, which run."""
    namespaces = sorted({*FOREIGN.values()} - {NAMESPACE})
    world.kubectl.apply(*({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in namespaces))
    accounts = [("serviceaccount", "default", each) for each in namespaces]
    world.wait(lambda: all(found(world, *each) for each in accounts), "the namespaces have what a pod needs")
    world.kubectl.apply(*(foreign_pod(*each) for each in FOREIGN.items()))
    world.wait(lambda: all(is_running(world, *each) for each in FOREIGN.items()), "the foreign pods run")
    yield
    for name, namespace in FOREIGN.items():
        world.kubectl.delete("pod", name, namespace=namespace)
    world.kubectl.delete("namespace", *namespaces, wait=False)


def found(world: World, kind: str, name: str, namespace: str) -> Object | None:
    return world.kubectl.get(kind, name, namespace=namespace)


def is_running(world: World, name: str, namespace: str) -> bool:
    pod = found(world, "pod", name, namespace)
    return pod is not None and pod["status"].get("phase") == "Running"


def measured(world: World) -> list[Cell]:
    """Every cell, once the kernel and the policies agree; as they are after a minute if they do not."""
    world.wait_until_ready()
    deadline = time.monotonic() + AGREE_SECONDS
    while True:
        last = time.monotonic() > deadline
        try:
            matrix = Matrix(world, FOREIGN)
            cells = matrix.measure()
            stable = matrix.uids == Matrix(world, FOREIGN).uids
        except PodGone:
            if last:
                raise
            continue
        if last or (stable and all(cell.agrees for cell in cells)):
            return cells


@pytest.fixture(scope="module")
def cells(world: World, foreign: None) -> list[Cell]:
    """The matrix."""
    # The kernel says only so many refusals a second, and the tests ask for all at once.
    world.cluster.node.run("sysctl", "--quiet", "--write", "net.ipv4.icmp_ratemask=0")
    return measured(world)


def test_each_flow_passes_or_is_refused_as_the_policies_say(
    cells: list[Cell], report_figure: Callable[[str], None]
) -> None:
    refused = sum(cell.outcome == "refused" for cell in cells)
    report_figure(f"NetworkPolicies: {len(cells)} flows tried, {refused} refused, {len(cells) - refused} let through")
    assert refused > len(cells) / 2
    assert [str(cell) for cell in cells if not cell.agrees] == []


def test_between_pods_exactly_the_flows_of_the_design_are_open(cells: list[Cell]) -> None:
    open_ones = {
        (cell.source.name, cell.target.name, cell.target.port)
        for cell in cells
        if {cell.source.name, cell.target.name} <= {*DEPLOYMENTS} and cell.outcome == "open"
    }
    assert open_ones == {
        (source, name, port)
        for source, target, port in flows()
        for name in (DEPARTMENTS if target == "mcp-finance" else [target])
    }


def let_through(cells: list[Cell], source: str, targets: Collection[str]) -> set[tuple[str, int]]:
    """What of `targets` a source reaches, and at which ports."""
    return {
        (cell.target.name, cell.target.port)
        for cell in cells
        if cell.source.name == source and cell.target.name in targets and cell.outcome != "refused"
    }


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_pod_reaches_exactly_the_addresses_that_it_needs(name: str, cells: list[Cell]) -> None:
    """The page needs no API server, whose addresses are in the subnets of AWS' endpoints: there its policies let it."""
    assert let_through(cells, name, ADDRESSES) == NEEDED


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_every_pod_resolves_names(name: str, cells: list[Cell]) -> None:
    asked = [cell for cell in cells if (cell.source.name, cell.target.name) == (name, "Service kube-dns")]
    assert {(cell.target.protocol, cell.outcome) for cell in asked} == {("TCP", "open"), ("UDP", "open")}


def test_a_pod_of_another_namespace_reaches_none_of_ours(cells: list[Cell]) -> None:
    assert let_through(cells, ELSEWHERE, DEPLOYMENTS) == set()
    assert let_through(cells, COREDNS, DEPLOYMENTS) == set()


def test_who_collects_metrics_reaches_those_alone(cells: list[Cell]) -> None:
    assert let_through(cells, COLLECTOR, DEPLOYMENTS) == {(name, METRICS) for name in DEPLOYMENTS}


def test_a_pod_of_our_namespace_that_is_not_ours_reaches_nothing_and_nothing_reaches_it(cells: list[Cell]) -> None:
    touching = [cell for cell in cells if STRANGER in (cell.source.name, cell.target.name)]
    assert {cell.outcome for cell in touching} == {"refused"}
    assert {cell.target.name for cell in touching} >= {*DEPLOYMENTS, *ADDRESSES, "Service kube-dns"}


def test_only_the_load_balancers_reach_a_pod_from_outside(cells: list[Cell]) -> None:
    public, internal, another = (let_through(cells, name, DEPLOYMENTS) for name in CALLERS)
    bound = {name: group for name, group in TARGET_GROUPS.items() if name != "argocd"}
    assert public == {(name, group.port) for name, group in bound.items() if group.load_balancer == "public"}
    assert internal == {
        (name.removesuffix("-internal"), group.port)
        for name, group in bound.items()
        if group.load_balancer == "internal"
    }
    assert another == set()


def test_policies_that_are_deleted_are_put_back_and_hold(world: World, cells: list[Cell]) -> None:
    """By Argo CD, and a department's by the operator."""
    names = ("agentgateway", "default-deny", "mcp-hr")
    before = {name: policy(world, name) for name in names}
    world.kubectl.delete("networkpolicy", *names, namespace=NAMESPACE)
    for name in names:
        world.wait(lambda name=name: policy(world, name) == before[name], f"{name} is put back")  # type: ignore[misc]
    assert [str(cell) for cell in measured(world) if not cell.agrees] == []


def policy(world: World, name: str) -> Object | None:
    there = found(world, "networkpolicy", name, NAMESPACE)
    return there and there["spec"]


def test_what_is_refused_stays_so_while_that_which_enforces_it_is_started_again(
    world: World, cells: list[Cell]
) -> None:
    world.cluster.stop_program("kube-router")
    try:
        assert [str(cell) for cell in measured(world) if not cell.agrees] == []
    finally:
        world.cluster.start_program("kube-router")
