"""What the pictures show: the plan of one environment, and the Kubernetes objects of its overlays."""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import yaml

from infrastructure.network import Network
from infrastructure.policies import roles
from infrastructure.resources import Plan, Resource, resources
from infrastructure.terraform import REPOSITORY

Manifest = Mapping[str, Any]


@dataclass(frozen=True)
class Facts:
    """One environment."""

    environment: str
    plan: Plan
    manifests: tuple[Manifest, ...]

    @cached_property
    def network(self) -> Network:
        """Subnets, and what stands in them."""
        return Network(self.plan)

    @property
    def zones(self) -> list[str]:
        """Availability zones, in order."""
        return sorted({subnet.zone for subnet in self.network.subnets.values()})

    def planned(self, kind: str) -> list[Resource]:
        """The plan's resources of one type."""
        return resources(self.plan, kind)

    def cidr(self, tier: str, zone: str) -> str:
        """The addresses of one subnet."""
        return next(str(one.cidr) for one in self.network.subnets.values() if (one.tier, one.zone) == (tier, zone))

    def objects(self, kind: str) -> list[Manifest]:
        """The overlays' objects of one kind."""
        return [manifest for manifest in self.manifests if manifest["kind"] == kind]

    def replicas(self, deployment: str) -> str:
        """How many pods: `3 to 12 pods`, or `1 pod`."""
        for scaler in (*self.objects("HorizontalPodAutoscaler"), *self.objects("ScaledObject")):
            spec = scaler["spec"]
            if spec["scaleTargetRef"]["name"] == deployment:
                least = spec.get("minReplicas", spec.get("minReplicaCount"))
                return f"{least} to {spec.get('maxReplicas', spec.get('maxReplicaCount'))} pods"
        (found,) = [one for one in self.objects("Deployment") if one["metadata"]["name"] == deployment]
        count = found["spec"].get("replicas", 1)
        return f"{count} pod{'s' if count > 1 else ''}"

    def uses(self, role: str) -> list[str]:
        """The AWS services that a role may call, such as `s3`."""
        policies = roles(self.plan)[f"{self.environment}-{role}"].policies.values()
        statements = [statement for policy in policies for statement in policy["Statement"]]
        actions = [
            action
            for statement in statements
            for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
        ]
        return sorted({action.partition(":")[0] for action in actions})


def overlays(environment: str, kustomize: str) -> tuple[Manifest, ...]:
    """All objects that the environment's overlays make, and the departments."""
    departments = sorted((REPOSITORY / "base" / "departments").iterdir())
    made: list[Manifest] = [yaml.safe_load(file.read_text()) for file in departments]
    for folder in sorted((REPOSITORY / "overlays" / environment).iterdir()):
        if (folder / "kustomization.yaml").is_file():
            command = [kustomize, "build", str(folder)]
            done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
            made += [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]
    return tuple(made)


def kustomize() -> str:
    """The pinned command, built where it is not in the cache yet."""
    command = [str(REPOSITORY / "tools" / "build"), "kustomize"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=900).stdout.split()[-1]
