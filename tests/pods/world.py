"""A cluster with a real node, and what tests ask of it and of the pods that run there."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import boto3
import psutil
from tests.helpers import overlays
from tests.helpers.stack import ROOT, USERS, processes_of

from local import names
from local.kubernetes.cluster import Cluster
from local.kubernetes.kubectl import Kubectl, Object, wait_for
from local.kubernetes.real_node import cgroups, network

NAMESPACE = "file-processing"
DEPARTMENTS = ("mcp-finance", "mcp-hr", "mcp-legal")
DEPLOYMENTS = (*overlays.DEPLOYMENTS, *DEPARTMENTS)
NODE = "real"
# On two idle cores it takes half a minute; other tests run beside these.
READY_SECONDS = 300
BUILD_SECONDS = 1500
Found = TypeVar("Found")
ASK = """
import sys, urllib.error, urllib.request
try:
    print(urllib.request.urlopen(sys.argv[1], timeout=60).status)
except urllib.error.HTTPError as refused:
    print(refused.code)
"""


def built_images() -> dict[str, Path]:
    """The services' images, built where something has changed, by what overlays/real calls them."""
    command = [sys.executable, "-m", "delivery.images", "--json"]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=BUILD_SECONDS)
    assert built.returncode == 0, built.stderr
    return {f"localhost/{each['service']}:local": Path(each["archive"]) for each in json.loads(built.stdout)}


@dataclass
class World:
    """The cluster; its AWS, addresses and tokens are asked for by the names that tests of the local stack use."""

    cluster: Cluster
    _clients: dict[str, Any] = field(default_factory=dict)

    @property
    def kubectl(self) -> Kubectl:
        """As administrator."""
        return self.cluster.kubectl

    @property
    def departments_folder(self) -> Path:
        """The Department objects of Git."""
        return ROOT / "base" / "departments"

    def client(self, service: str) -> Any:
        """boto3's client of a service of the stand-in for AWS."""
        if service not in self._clients:
            session = boto3.Session(aws_access_key_id="local", aws_secret_access_key="local", region_name=names.REGION)
            self._clients[service] = session.client(service, endpoint_url=self.cluster.aws_url)  # type: ignore[call-overload]
        return self._clients[service]

    @cached_property
    def tokens(self) -> dict[str, str]:
        """An access token of each demo user, as Cognito gives it for their password."""
        return {user: self._token(user) for user in USERS}

    def _token(self, user: str) -> str:
        answer = self.client("cognito-idp").initiate_auth(
            ClientId=names.PUBLIC_CLIENT,
            AuthFlow="USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": user, "PASSWORD": names.PASSWORD},
        )
        return str(answer["AuthenticationResult"]["AccessToken"])

    def page_token(self, user: str) -> str:
        """An access token of a demo user, as the load balancer gets it at the login and passes it on to the page."""
        answer = self.client("cognito-idp").admin_initiate_auth(
            UserPoolId=names.POOL,
            ClientId=names.ALB_CLIENT,
            AuthFlow="ADMIN_USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": user, "PASSWORD": names.PASSWORD},
        )
        return str(answer["AuthenticationResult"]["AccessToken"])

    @cached_property
    def api(self) -> str:
        """The gateway's Service, which this machine reaches as the load balancer does."""
        return self.url("agentgateway", 8080)

    def url(self, service: str, port: int) -> str:
        """A Service's address."""
        found = self.kubectl.get("service", service, namespace=NAMESPACE)
        assert found is not None, service
        return f"http://{found['spec']['clusterIP']}:{port}"

    def status(self, url: str) -> int:
        """What a pod answers its node, whom no NetworkPolicy keeps from asking: as the kubelet does."""
        return int(self.cluster.node.run(sys.executable, "-c", ASK, url))

    def pods(self, name: str) -> list[Object]:
        """A Deployment's pods that nobody has asked to end."""
        found = self.kubectl.list("pods", namespace=NAMESPACE, selector=selector(name))
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def pod(self, name: str) -> Object:
        """One of a Deployment's pods that is ready: an autoscaler may be about to make more."""
        return self.wait(lambda: next(filter(is_ready, self.pods(name)), None), f"a pod of {name} is ready")

    def ready(self, name: str) -> bool:
        """Whether a Deployment is rolled out, and all its pods are ready."""
        found = self.kubectl.get("deployment", name, namespace=NAMESPACE)
        if found is None:
            return False
        status, wanted = found.get("status", {}), found["spec"]["replicas"]
        counts = {
            status.get(count, 0) for count in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
        }
        return status.get("observedGeneration") == found["metadata"]["generation"] and counts == {wanted}

    def wait_until_ready(self, *deployments: str, seconds: float = READY_SECONDS) -> None:
        """Wait until Deployments are rolled out and ready; all of them if none is named."""
        for name in deployments or DEPLOYMENTS:
            self.wait(lambda name=name: self.ready(name), f"{name} is ready", seconds=seconds)  # type: ignore[misc]

    def wait(self, condition: Callable[[], Found | None], what: str, *, seconds: float = READY_SECONDS) -> Found:
        """What `condition()` returns once that is true; the error tells of the pods."""
        found = wait_for(condition, seconds, what, every=0.5, state=self.state)
        assert found is not None
        return found

    def state(self) -> str:
        """The pods, in a line each, for whoever reads of a failure."""
        return "\n" + self.kubectl.run("get", "pods", "-A", "-o", "wide")

    def roll(self, *deployments: str) -> None:
        """Start a roll-out of Deployments, as a new version would; does not wait."""
        for name in deployments:
            self.kubectl.run("rollout", "restart", f"deployment/{name}", "-n", NAMESPACE)

    def restarts(self) -> dict[str, int]:
        """How often each pod's container was started again."""
        return {
            pod["metadata"]["name"]: status["restartCount"]
            for pod in self.kubectl.list("pods", namespace=NAMESPACE)
            for status in pod["status"].get("containerStatuses", ())
        }

    def restarted(self, before: Mapping[str, int]) -> list[str]:
        """Pods whose container was started again since; a pod that is new or gone was not."""
        return [name for name, count in self.restarts().items() if count > before.get(name, 0)]

    def working_sets(self) -> dict[str, float]:
        """Memory of each pod in MB, as the kubelet says it now and autoscalers see it."""
        text = self.kubectl.run("get", "--raw", f"/api/v1/nodes/{NODE}/proxy/metrics/resource")
        found = {}
        for line in text.splitlines():
            if line.startswith("pod_memory_working_set_bytes{") and f'namespace="{NAMESPACE}"' in line:
                labels, _, rest = line.partition("} ")
                found[labels.partition('pod="')[2].partition('"')[0]] = float(rest.split()[0]) / 1e6
        return found


def is_ready(found: Object) -> bool:
    """Whether a pod or a node says so."""
    conditions = found.get("status", {}).get("conditions", ())
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def selector(deployment: str) -> str:
    """What a Deployment's pods are found by."""
    if deployment.startswith("mcp-"):
        return f"fileprocessing.internal/department={deployment.removeprefix('mcp-')}"
    return f"app.kubernetes.io/name={deployment}"


def processes(pod: Object) -> Iterator[psutil.Process]:
    """The processes of a pod's containers, the one that holds its namespaces aside."""
    uid = str(pod["metadata"]["uid"])
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, OSError):
            if uid in Path(f"/proc/{process.pid}/cgroup").read_text() and process.name() != "pause":
                yield process


@contextmanager
def department(world: World, document: Object, data: Mapping[str, bytes]) -> Iterator[None]:
    """A Department with its data, applied as a person does, and gone again."""
    name = document["metadata"]["name"]
    for key, content in data.items():
        world.client("s3").put_object(Bucket=names.DATA_BUCKET, Key=f"departments/mcp-{name}/{key}", Body=content)
    world.kubectl.apply(document, server_side=False)
    try:
        yield
    finally:
        world.kubectl.delete("department", name, namespace=NAMESPACE)


def traces(folder: Path) -> list[str]:
    """What there is on this machine of the cluster of a folder."""
    groups = [str(group) for group in cgroups.MOUNT.rglob(cgroups.name(folder)[1:])]
    mounts = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(folder) in line]
    links = [network.LINK] if network.owner() is not None else []
    running = [" ".join(process.cmdline()) for process in processes_of(folder)]
    return [*groups, *mounts, *links, *running, *(["its folder"] if folder.exists() else [])]


def rules() -> str:
    """This machine's own packet filter, namespaces and routes."""
    commands = (["nft", "--stateless", "list", "ruleset"], ["ip", "netns", "list"], ["ip", "route", "show"])
    return "".join(network.command(*command) for command in commands)
