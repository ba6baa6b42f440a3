"""What the platform's add-ons bring as CustomResourceDefinitions: from the release's Go module, where it has one."""

from pathlib import Path
from typing import Any

import yaml
from tests.helpers.kustomize import ROOT, argocd_module

from local.kubernetes.tools import module_folder

# The newest release whose Go module can be had; later ones serve the same external-secrets.io/v1.
EXTERNAL_SECRETS = "v1.3.2"
# The controller's v2 and v3 are in no Go module: the fields that we use, as release 3.4.2 defines them.
TARGET_GROUP_BINDING: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "targetgroupbindings.elbv2.k8s.aws"},
    "spec": {
        "group": "elbv2.k8s.aws",
        "scope": "Namespaced",
        "names": {"kind": "TargetGroupBinding", "plural": "targetgroupbindings"},
        "versions": [
            {
                "name": "v1beta1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "required": ["serviceRef"],
                                "properties": {
                                    "targetGroupName": {"type": "string"},
                                    "targetType": {"type": "string", "enum": ["instance", "ip"]},
                                    "serviceRef": {
                                        "type": "object",
                                        "required": ["name", "port"],
                                        "properties": {
                                            "name": {"type": "string"},
                                            "port": {"x-kubernetes-int-or-string": True},
                                        },
                                    },
                                },
                            },
                            "status": {
                                "type": "object",
                                "properties": {"observedGeneration": {"type": "integer", "format": "int64"}},
                            },
                        },
                    }
                },
            }
        ],
    },
}


def chart_version(application: str) -> str:
    """The version of a chart that apps/platform pins."""
    document = yaml.safe_load((ROOT / "apps/platform" / f"{application}.yaml").read_text())
    return str(document["spec"]["source"]["targetRevision"])


def definitions() -> list[Path | dict[str, Any]]:
    """Files and objects to apply before what is in overlays/, apps/ and clusters/."""
    keda = module_folder(f"github.com/kedacore/keda/v2@v{chart_version('keda')}") / "config/crd/bases"
    secrets = module_folder(f"github.com/external-secrets/external-secrets@{EXTERNAL_SECRETS}") / "config/crds/bases"
    argocd = argocd_module()[0] / "manifests/crds"
    return [
        *(keda / f"keda.sh_{kind}.yaml" for kind in ("scaledobjects", "triggerauthentications")),
        *(secrets / f"external-secrets.io_{kind}.yaml" for kind in ("externalsecrets", "secretstores")),
        *(argocd / f"{kind}-crd.yaml" for kind in ("application", "applicationset", "appproject")),
        TARGET_GROUP_BINDING,
    ]
