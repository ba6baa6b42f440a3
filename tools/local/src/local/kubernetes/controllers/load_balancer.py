"""The AWS Load Balancer Controller: registers pods with the target groups that TargetGroupBindings name."""

from typing import Final

from local.addresses import HOST
from local.kubernetes.certificate import write_certificate
from local.kubernetes.control_plane import free_ports
from local.kubernetes.controllers.controller import Controller, Place, read, webhooks_at
from local.kubernetes.kubectl import Object
from local.kubernetes.programs import Program
from local.kubernetes.tools import module_folder, tool

NAME: Final = "aws-load-balancer-controller"
MODULE: Final = "sigs.k8s.io/aws-load-balancer-controller"
NAMESPACE: Final = "kube-system"
KINDS: Final = ("ingressclassparams", "targetgroupbindings")
ENDPOINTS: Final = ("EC2", "Elastic Load Balancing v2")
"""The services that it calls for our objects, as the AWS SDK for Go calls them (`ServiceID`)."""
# Services of type LoadBalancer are none of ours: apps/platform leaves this webhook out too.
LEFT_OUT: Final = ("mservice.elbv2.k8s.aws", "vglobalaccelerator.aga.k8s.aws")


def build(place: Place) -> Controller:
    """Its settings are those of apps/platform, but for addresses of this machine."""
    module = module_folder(MODULE, NAME)
    webhook, health, metrics = free_ports(3)
    certificates = place.folder / "certificates"
    authority = write_certificate(certificates, HOST)
    arguments = [
        f"--kubeconfig={place.kubeconfig}",
        f"--cluster-name={place.cluster_name}",
        f"--aws-region={place.region}",
        f"--aws-vpc-tags=Name={place.cluster_name}",
        *(f"--aws-api-endpoints={service}={place.aws_url}" for service in ENDPOINTS),
        f"--webhook-bind-port={webhook}",
        f"--webhook-cert-dir={certificates}",
        f"--health-probe-bind-addr={HOST}:{health}",
        f"--metrics-bind-addr={HOST}:{metrics}",
        f"--leader-election-namespace={NAMESPACE}",
        "--ingress-class=alb",
    ]
    return Controller(
        place=place,
        namespace=NAMESPACE,
        account=NAME,
        definitions=read(*(module / "config/crd/bases" / f"elbv2.k8s.aws_{kind}.yaml" for kind in KINDS)),
        rules=read(module / "config/rbac/role.yaml", module / "config/rbac/leader_election_role.yaml"),
        objects=[webhooks_at(each, webhook, authority) for each in _webhooks()],
        programs=[
            Program(
                NAME,
                [str(tool(NAME)), *arguments],
                webhook,
                f"http://{HOST}:{health}/readyz",
                place.aws_environment,
            )
        ],
    )


def _webhooks() -> list[Object]:
    """Its webhooks, each for the objects that its release selects."""
    folder = module_folder(MODULE, NAME) / "config/webhook"
    selected = {
        each["name"]: each for file in folder.glob("*_patch.yaml") for whole in read(file) for each in whole["webhooks"]
    }
    found = read(folder / "manifests.yaml")
    for configuration in found:
        configuration["metadata"] = {"name": NAME}
        configuration["webhooks"] = [
            {**each, **selected.get(each["name"], {})}
            for each in configuration["webhooks"]
            if each["name"] not in LEFT_OUT
        ]
    return found
