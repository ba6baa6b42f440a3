"""Stands in for the platform add-ons that do not run here: their kinds exist, and say that they are well.

Nothing acts on these objects. Their specs are not looked at: the manifests' own tests do that.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from local.kubernetes.kubectl import Object

READY = {"conditions": [{"type": "Ready", "status": "True", "reason": "NotSimulated"}]}


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind that an add-on brings.

    Attributes:
        status: What each object of it says from the beginning.
        spec: Strings that the add-on's webhook would add to its specification.
    """

    group: str
    kind: str
    plural: str
    versions: tuple[str, ...]
    status: dict[str, Any]
    spec: Mapping[str, str] = field(default_factory=dict)

    def definition(self) -> Object:
        """Its CustomResourceDefinition."""
        anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        added = {name: {"type": "string", "default": value} for name, value in self.spec.items()}
        spec, status = {**anything, "properties": added}, {**anything, "default": self.status}
        schema = {"type": "object", "properties": {"spec": spec, "status": status}}
        return {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{self.plural}.{self.group}"},
            "spec": {
                "group": self.group,
                "scope": "Namespaced",
                "names": {"kind": self.kind, "listKind": f"{self.kind}List", "plural": self.plural},
                "versions": [
                    {
                        "name": version,
                        "served": True,
                        "storage": version == self.versions[-1],
                        "schema": {"openAPIV3Schema": schema},
                    }
                    for version in self.versions
                ],
            },
        }


KINDS = (
    Kind(
        "elbv2.k8s.aws",
        "TargetGroupBinding",
        "targetgroupbindings",
        ("v1beta1",),
        {"observedGeneration": 1},
        {"targetGroupARN": "arn:aws:elasticloadbalancing:::targetgroup/not-simulated/0"},
    ),
    Kind("external-secrets.io", "ExternalSecret", "externalsecrets", ("v1",), READY),
    Kind("external-secrets.io", "SecretStore", "secretstores", ("v1",), READY),
    Kind("keda.sh", "ScaledObject", "scaledobjects", ("v1alpha1",), READY),
    Kind("keda.sh", "TriggerAuthentication", "triggerauthentications", ("v1alpha1",), {}),
)


def definitions(defined: Iterable[Object] = ()) -> list[Object]:
    """The CustomResourceDefinitions of all of them, but for those that a controller brings itself."""
    names = {each["metadata"]["name"] for each in defined}
    return [each for each in (kind.definition() for kind in KINDS) if each["metadata"]["name"] not in names]
