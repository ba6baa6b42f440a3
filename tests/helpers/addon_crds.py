"""What the platform's add-ons bring as CustomResourceDefinitions, from Go modules of their releases."""

from pathlib import Path

from tests.helpers.kustomize import argocd_module

from local.kubernetes.tools import module_folder

# The newest release whose Go module can be had; later ones serve the same external-secrets.io/v1.
EXTERNAL_SECRETS = "v1.3.2"


def definitions() -> list[Path]:
    """Files to apply before what is in overlays/, apps/ and clusters/."""
    keda = module_folder("github.com/kedacore/keda/v2", "keda") / "config/crd/bases"
    secrets = module_folder(f"github.com/external-secrets/external-secrets@{EXTERNAL_SECRETS}") / "config/crds/bases"
    load_balancers = module_folder("sigs.k8s.io/aws-load-balancer-controller", "aws-load-balancer-controller")
    argocd = argocd_module()[0] / "manifests/crds"
    return [
        *(keda / f"keda.sh_{kind}.yaml" for kind in ("scaledobjects", "triggerauthentications")),
        *(secrets / f"external-secrets.io_{kind}.yaml" for kind in ("externalsecrets", "secretstores")),
        *(argocd / f"{kind}-crd.yaml" for kind in ("application", "applicationset", "appproject")),
        load_balancers / "config/crd/bases/elbv2.k8s.aws_targetgroupbindings.yaml",
    ]
