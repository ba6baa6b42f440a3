"""Where nodes pull images from, and the way there: every registry, and what it sends them to for the layers."""

import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
import yaml
from tests.helpers.kustomize import ROOT, build, offline_tree
from tests.helpers.overlays import environment_objects

from infrastructure.network import Network
from infrastructure.reachability import Reachability
from infrastructure.resources import resources
from infrastructure.terraform import ACCOUNT_ID, REGION

pytestmark = pytest.mark.slow


class Registry(NamedTuple):
    """What a pull from a registry reaches.

    Attributes:
        host: The registry's host, as a regular expression.
        service: The AWS service whose endpoint answers for it; none for a host on the internet.
        bucket: The bucket of this region that it sends nodes of this region to for layers; none for other hosts.
        source: Where that is written.
    """

    host: str
    service: str | None
    bucket: str | None
    source: str


REGISTRIES: Final = [
    Registry(
        rf"\d{{12}}\.dkr\.ecr\.{REGION}\.amazonaws\.com",
        "ecr.dkr",
        f"prod-{REGION}-starport-layer-bucket",
        "https://docs.aws.amazon.com/AmazonECR/latest/userguide/vpc-endpoints.html#ecr-minimum-s3-perms",
    ),
    Registry(
        r"registry\.k8s\.io",
        None,
        f"prod-registry-k8s-io-{REGION}",
        "https://github.com/kubernetes/registry.k8s.io, cmd/archeio/internal/app/buckets.go: callers with an address "
        "of AWS (the NAT gateway's) are sent to the bucket of their region",
    ),
    Registry(
        r"public\.ecr\.aws",
        None,
        None,
        "https://anywhere.eks.amazonaws.com/docs/getting-started/nutanix/domains/: layers by CloudFront",
    ),
    Registry(
        r"quay\.io",
        None,
        None,
        "https://github.com/quay/quay/pull/2913: layers by a CDN; S3 only for callers in us-east-1",
    ),
    Registry(
        r"ghcr\.io",
        None,
        None,
        "https://docs.github.com/packages/working-with-a-github-packages-registry/working-with-the-container-registry: "
        "layers from pkg-containers.githubusercontent.com",
    ),
]
IMAGES_OF_CHARTS: Final = {
    # Each chart's values.yaml.
    "aws-load-balancer-controller": "public.ecr.aws",
    "cluster-autoscaler": "registry.k8s.io",
    "external-secrets": "ghcr.io",
    "keda": "ghcr.io",
}
IMAGES_OF_ADDONS: Final = f"602401143452.dkr.ecr.{REGION}.amazonaws.com"
"""Of every add-on: https://docs.aws.amazon.com/eks/latest/userguide/add-ons-images.html."""


def images(value: Any) -> Iterator[str]:
    """The values of all keys `image` that are text."""
    if isinstance(value, dict):
        if isinstance(image := value.get("image"), str):
            yield image
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from images(each)


def host(image: str) -> str:
    """The registry of an image's name, as the container runtime reads it."""
    first, slash, _ = image.partition("/")
    return first if slash and re.search(r"[.:]|^localhost$", first) else "docker.io"


def charts() -> Iterator[dict[str, Any]]:
    for file in sorted((ROOT / "apps/platform").glob("*.yaml")):
        source = yaml.safe_load(file.read_text()).get("spec", {}).get("source", {})
        if "chart" in source:
            yield source


def hosts_of_charts() -> set[str]:
    found = set()
    for source in charts():
        values = source["helm"].get("valuesObject", {})
        # A chart whose images are changed by its values would make the table wrong.
        assert not [key for key in ("image", "images", "global") if key in values], source["chart"]
        found.add(IMAGES_OF_CHARTS[source["chart"]])
    return found


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is deployed, with the release of Argo CD in it."""
    return offline_tree(tmp_path_factory.mktemp("images") / "tree")


@pytest.fixture(params=["dev", "prod"])
def environment(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def plan(environment: str, request: pytest.FixtureRequest) -> dict[str, Any]:
    planned: dict[str, Any] = request.getfixturevalue(f"{environment}_plan")
    return planned


@pytest.fixture
def hosts(environment: str, plan: dict[str, Any], tree: Path) -> set[str]:
    """The registries of every image of an environment: ours, Argo CD's, the charts', the add-ons'."""
    ours = {host(image) for image in images(environment_objects(environment))}
    argocd = {host(image) for image in images(build(tree / "argocd/install" / environment))}
    addons = {IMAGES_OF_ADDONS for _ in resources(plan, "aws_eks_addon")}
    assert ours
    assert argocd
    assert addons
    return ours | argocd | addons | hosts_of_charts()


def anyone_may_read(plan: dict[str, Any], bucket: str) -> bool:
    """Whether the S3 endpoint lets through a read that names no principal of this account, or none at all."""
    (endpoint,) = (each for each in resources(plan, "aws_vpc_endpoint") if each.name == "s3")
    wanted = f"arn:aws:s3:::{bucket}/containers/images/sha256:0123"
    for statement in json.loads(endpoint.values["policy"])["Statement"]:
        listed = statement["Resource"]
        named = any(fnmatchcase(wanted, each) for each in ([listed] if isinstance(listed, str) else listed))
        actions = statement["Action"]
        reads = "s3:GetObject" in ([actions] if isinstance(actions, str) else actions)
        if statement["Effect"] == "Allow" and statement["Principal"] == "*" and named and reads:
            return "Condition" not in statement
    return False


def test_every_registry_of_a_deployed_image_is_reached_from_nodes_with_its_layers(
    environment: str, plan: dict[str, Any], hosts: set[str]
) -> None:
    paths = Reachability(Network(plan))
    for name in sorted(hosts):
        registry = next((each for each in REGISTRIES if re.fullmatch(each.host, name)), None)
        assert registry, f"no way is known to {name}: add it to REGISTRIES, with where its layers are"
        if registry.service:
            assert paths.way("nodes", registry.service, 443) == "VPC", name
        # Layers, or what has no endpoint.
        assert paths.way("nodes", "internet", 443) == "NAT gateway", name
        if registry.bucket:
            assert paths.way("nodes", "s3", 443) == "gateway endpoint", name
            assert anyone_may_read(plan, registry.bucket), f"{name}: its layers in {registry.bucket} are refused"
    print(f"{environment}: {', '.join(sorted(hosts))}")


def test_every_known_registry_is_used(dev_plan: dict[str, Any], tree: Path) -> None:
    """A way that nothing needs is an opening."""
    used = {host(image) for env in ("dev", "prod") for image in images(build(tree / "argocd/install" / env))}
    used |= {host(image) for env in ("dev", "prod") for image in images(environment_objects(env))}
    used |= hosts_of_charts() | {IMAGES_OF_ADDONS}
    assert [each.host for each in REGISTRIES if not any(re.fullmatch(each.host, name) for name in used)] == []
    assert {source["chart"] for source in charts()} == IMAGES_OF_CHARTS.keys()
    (endpoint,) = (each for each in resources(dev_plan, "aws_vpc_endpoint") if each.name == "s3")
    opened = set(re.findall(r"arn:aws:s3:::([^/\"]+)/", endpoint.values["policy"]))
    assert opened == {each.bucket for each in REGISTRIES if each.bucket}


def test_other_accounts_buckets_stay_closed(plan: dict[str, Any]) -> None:
    assert not anyone_may_read(plan, f"{ACCOUNT_ID}-somebody-elses-bucket")
    assert not anyone_may_read(plan, "prod-registry-k8s-io-us-east-1")
