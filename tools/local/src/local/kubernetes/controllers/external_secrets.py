"""External Secrets: makes Secrets of what Secrets Manager holds.

Its chart is in its module, so that its rights and its arguments are what the values of apps/platform make of them.
"""

from typing import Final

from local.addresses import HOST
from local.kubernetes.control_plane import free_ports
from local.kubernetes.controllers.controller import Controller, Place, read
from local.kubernetes.helm import render, values
from local.kubernetes.kubectl import Object
from local.kubernetes.programs import Program
from local.kubernetes.tools import module_folder, tool

NAME: Final = "external-secrets"
MODULE: Final = "github.com/external-secrets/external-secrets"
NAMESPACE: Final = "external-secrets"
RULES: Final = (f"{NAME}-controller", f"{NAME}-leaderelection")


def rendered() -> list[Object]:
    """The chart with our values."""
    chart = module_folder(MODULE, NAME) / "deploy/charts" / NAME
    return render(chart, NAME, NAMESPACE, values(NAME))


def arguments(objects: list[Object]) -> list[str]:
    """The arguments of the controller in a rendered chart."""
    [deployment] = [each for each in objects if each["kind"] == "Deployment" and each["metadata"]["name"] == NAME]
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    given: list[str] = container["args"]
    return given


def build(place: Place) -> Controller:
    """Set it up without its webhook, which only checks objects, and without the keeper of the webhook's certificate."""
    [metrics] = free_ports(1)
    definitions = module_folder(MODULE, NAME) / "config/crds/bases"
    objects = rendered()
    return Controller(
        place=place,
        namespace=NAMESPACE,
        account=NAME,
        definitions=read(*sorted(definitions.glob("*external-secrets.io_*.yaml"))),
        rules=[
            each for each in objects if each["metadata"]["name"] in RULES and each["kind"] in {"ClusterRole", "Role"}
        ],
        programs=[
            Program(
                NAME,
                [str(tool(NAME)), *arguments(objects), f"--metrics-addr={HOST}:{metrics}"],
                metrics,
                environment={
                    **place.aws_environment,
                    "KUBECONFIG": str(place.kubeconfig),
                    # Version 0.16 has names of its own for the addresses of services.
                    "AWS_SECRETSMANAGER_ENDPOINT": place.aws_url,
                    "AWS_STS_ENDPOINT": place.aws_url,
                },
            )
        ],
    )
