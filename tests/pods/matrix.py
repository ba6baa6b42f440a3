"""Who reaches whom on the node: each pod by each, at each port, and addresses that matter, as the kernel decides."""

import ipaddress
import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.helpers.network_policies import Pod, Policy, passes
from tests.pods.world import DEPLOYMENTS, NAMESPACE, World, is_ready, processes

from local.kubernetes.kubectl import Object
from local.kubernetes.real_node import network

PROBE = Path(__file__).with_name("probe.py")
PROBE_SECONDS = 60
FILTERS = [network.NODE, str(next(ipaddress.ip_network(network.POD_CIDR).hosts()))]
"""Where the node's refusals come from: it is the pods' gateway."""
DNS_PORT, DATABASE, KUBELET = 53, 5432, 10250
COREDNS = "coredns"
ADDRESSES = {
    "the API server": network.API_SERVER,
    "AWS": network.AWS,
    "the internet": "203.0.113.9",
    "Pod Identity's agent": "169.254.170.23",
    "the instance's metadata": "169.254.169.254",
    "the load balancer": network.LOAD_BALANCER,
    "on-premises": "10.200.0.5",
    "another network": "192.168.1.1",
    "another pod's address": "100.64.3.9",
    "the node": network.NODE,
    "another machine of the nodes' network": network.MACHINE,
}
ANSWERING = {("the API server", 443), ("AWS", 443)}
CALLERS = ("the load balancer", "the API server", "another machine of the nodes' network")
"""Addresses of this machine, from which it asks too; the second is one of the internal load balancer's subnet."""


class PodGone(Exception):
    """A pod ended while it was looked at."""


@dataclass(frozen=True, slots=True)
class End:
    """A pod or an address.

    Attributes:
        name: The Deployment's, the foreign pod's, or what the address is.
        known_as: What the policies see in it.
        process: One in its network namespace; None for an address of this machine.
    """

    name: str
    address: str
    known_as: Pod | str
    process: int | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """What is tried.

    Attributes:
        end: Who stands behind the address: policies see that, and not a Service.
        answers: Whether a server listens there.
    """

    name: str
    end: End
    protocol: str
    address: str
    port: int
    end_port: int
    answers: bool


@dataclass(frozen=True, slots=True)
class Cell:
    """One flow, what the policies say of it, and what became of it."""

    source: End
    target: Target
    passes: bool
    outcome: str

    @property
    def agrees(self) -> bool:
        """Whether the kernel did as the policies say."""
        if not self.passes:
            return self.outcome == "refused"
        return self.outcome == "open" if self.target.answers else self.outcome != "refused"

    def __str__(self) -> str:
        """For whoever reads of a failure."""
        to = f"{self.target.name} ({self.target.protocol} {self.target.address}:{self.target.port})"
        return f"{self.source.name} -> {to}: {self.outcome}, and should {'pass' if self.passes else 'be refused'}"


class Matrix:
    """What there is to be tried at one time."""

    def __init__(self, world: World, foreign: Mapping[str, str]) -> None:
        """Look at what runs.

        Args:
            world: The cluster.
            foreign: Pods that are not ours: their namespaces by their names.

        Raises:
            PodGone: One ended meanwhile.
        """
        self._world = world
        self.policies: list[Policy] = [
            each["spec"] for each in world.kubectl.list("networkpolicies", namespace=NAMESPACE)
        ]
        ours = [(name, pod) for name in DEPLOYMENTS for pod in world.pods(name) if is_ready(pod)]
        found = world.kubectl.list("pods", namespace="kube-system", selector="k8s-app=kube-dns")
        others = [(COREDNS, pod) for pod in found]
        for name, namespace in foreign.items():
            others += [(name, pod) for pod in world.kubectl.list("pods", namespace=namespace) if _name(pod) == name]
        self._objects = [*ours, *others]
        self.ours = [_end(name, pod) for name, pod in ours]
        self.others = [_end(name, pod) for name, pod in others]

    @property
    def uids(self) -> set[str]:
        """By which it is seen that no pod went or came meanwhile."""
        return {pod["metadata"]["uid"] for _, pod in self._objects}

    @cached_property
    def sources(self) -> list[End]:
        """Who tries."""
        return [*self.ours, *self.others, *(End(name, ADDRESSES[name], ADDRESSES[name]) for name in CALLERS)]

    @cached_property
    def targets(self) -> list[Target]:
        """What they try: pods, Services, addresses."""
        return [*self._pods(), *self._services(), *self._addresses()]

    def _pods(self) -> Iterable[Target]:
        ports = sorted({DATABASE, *(port for end in self.ours for port in _ports(end))})
        for end in self.ours:
            for port in ports:
                yield Target(end.name, end, "TCP", end.address, port, port, port in _ports(end))
        for end in self.others:
            for protocol in ("TCP", "UDP"):
                for port in _ports(end):
                    yield Target(end.name, end, protocol, end.address, port, port, answers=True)

    def _services(self) -> Iterable[Target]:
        ends = {end.name: end for end in (*self.ours, *self.others)}
        for service in self._world.kubectl.list("services", namespace=NAMESPACE):
            name, address = _name(service), service["spec"]["clusterIP"]
            for each in service["spec"]["ports"]:
                port = ends[name].known_as.ports.get(each["targetPort"], each["targetPort"])  # type: ignore[union-attr]
                yield Target(f"Service {name}", ends[name], "TCP", address, each["port"], port, answers=True)
        for protocol in ("TCP", "UDP"):
            dns = ends[COREDNS]
            yield Target("Service kube-dns", dns, protocol, network.DNS_SERVICE, DNS_PORT, DNS_PORT, answers=True)
        api_server = End("the API server", network.API_SERVER, network.API_SERVER)
        yield Target("Service kubernetes", api_server, "TCP", network.API_SERVER_SERVICE, 443, 443, answers=True)

    @staticmethod
    def _addresses() -> Iterable[Target]:
        for name, address in ADDRESSES.items():
            for port in (80, 443, DATABASE, 8080, KUBELET):
                yield Target(name, End(name, address, address), "TCP", address, port, port, (name, port) in ANSWERING)

    def _tried_by(self, source: End) -> list[Target]:
        """Ours try everything; others try pods and Services. Nothing stands between a pod and itself."""
        ours = isinstance(source.known_as, Pod) and source.known_as.namespace == NAMESPACE
        own = (source.address, f"Service {source.name}")
        return [
            each
            for each in self.targets
            if each.end.address not in own and each.name not in own and (ours or each.end.process)
        ]

    def measure(self) -> list[Cell]:
        """Try everything, all sources at once.

        Raises:
            PodGone: One of them ended meanwhile.
        """
        with ExitStack() as started:
            running = [
                (source, self._tried_by(source), started.enter_context(_start(source))) for source in self.sources
            ]
            for source, targets, probe in running:
                _ask(probe, source, targets)
            return [
                Cell(source, target, self._expected(source, target), outcome)
                for source, targets, probe in running
                for target, outcome in zip(targets, _answers(probe), strict=True)
            ]

    def _expected(self, source: End, target: Target) -> bool:
        return passes(self.policies, source.known_as, target.end.known_as, target.end_port, target.protocol)


def _start(source: End) -> subprocess.Popen[str]:
    enter = ["nsenter", f"--target={source.process}", "--net"] if source.process else []
    return subprocess.Popen(
        [*enter, sys.executable, "-I", str(PROBE)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def _ask(probe: subprocess.Popen[str], source: End, targets: Iterable[Target]) -> None:
    assert probe.stdin is not None
    asked = [(target.protocol, target.address, target.port) for target in targets]
    own = None if source.process else source.address
    # A pod that is gone has no namespace, and nobody listens.
    with suppress(BrokenPipeError), probe.stdin:
        json.dump({"source": own, "filters": FILTERS, "targets": asked}, probe.stdin)


def _answers(probe: subprocess.Popen[str]) -> list[str]:
    assert probe.stdout is not None
    said = probe.stdout.read()
    if probe.wait(PROBE_SECONDS):
        raise PodGone(f"what tried in its place has said why not: status {probe.returncode}")
    answers: list[str] = json.loads(said)
    return answers


def _name(found: Object) -> str:
    return str(found["metadata"]["name"])


def _ports(end: End) -> set[int]:
    assert isinstance(end.known_as, Pod)
    return set(end.known_as.ports.values())


def _end(name: str, pod: Object) -> End:
    ports = {each["name"]: each["containerPort"] for each in pod["spec"]["containers"][0].get("ports", ())}
    metadata = pod["metadata"]
    known_as = Pod(metadata["namespace"], metadata.get("labels", {}), ports)
    process = next(processes(pod), None)
    if process is None:
        raise PodGone(_name(pod))
    return End(name, pod["status"]["podIP"], known_as, process.pid)
