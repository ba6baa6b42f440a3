"""KEDA: scales the worker by the length of its queue. Its operator, and the adapter that answers autoscalers."""

from pathlib import Path
from typing import Final

from local.addresses import HOST
from local.kubernetes.certificate import CERTIFICATE, KEY, write_certificate
from local.kubernetes.control_plane import free_ports
from local.kubernetes.controllers.controller import Controller, Place, read
from local.kubernetes.kubectl import Object
from local.kubernetes.programs import Program
from local.kubernetes.tools import module_folder, tool

NAME: Final = "keda"
OPERATOR: Final = "keda-operator"
ADAPTER: Final = "keda-metrics-adapter"
MODULE: Final = "github.com/kedacore/keda/v2"
NAMESPACE: Final = "keda"
# The first is what the chart sets: every namespace. The second is what a pod reads from its ServiceAccount's files.
NAMESPACES: Final = {"WATCH_NAMESPACE": "", "KEDA_CLUSTER_OBJECT_NAMESPACE": NAMESPACE, "POD_NAMESPACE": NAMESPACE}


def build(place: Place) -> Controller:
    """Set up both programs with the ServiceAccount and the rules of the release."""
    config = module_folder(MODULE, NAME) / "config"
    certificates = place.folder / "certificates"
    authority = write_certificate(certificates, HOST)
    (certificates / "ca.crt").write_bytes(authority)
    metrics, external = free_ports(2)
    return Controller(
        place=place,
        namespace=NAMESPACE,
        account=OPERATOR,
        definitions=read(*sorted((config / "crd/bases").glob("*.yaml"))),
        rules=[each for each in read(config / "rbac/role.yaml") if each["kind"] in {"Role", "ClusterRole"}],
        programs=[_operator(place, certificates, metrics), _adapter(place, certificates, metrics, external)],
        objects=_served_at(config / "metrics-server", external),
    )


def _operator(place: Place, certificates: Path, port: int) -> Program:
    """Reads the queues, and tells the adapter at `port`."""
    health, own_metrics = free_ports(2)
    return Program(
        OPERATOR,
        [
            str(tool(OPERATOR)),
            f"--kubeconfig={place.kubeconfig}",
            f"--cert-dir={certificates}",
            f"--metrics-service-bind-address={HOST}:{port}",
            f"--health-probe-bind-address={HOST}:{health}",
            f"--metrics-bind-address={HOST}:{own_metrics}",
        ],
        port,
        f"http://{HOST}:{health}/readyz",
        {**place.aws_environment, **NAMESPACES},
    )


def _adapter(place: Place, certificates: Path, operator: int, port: int) -> Program:
    """Answers the API server at `port` with what the operator tells it."""
    [own_metrics] = free_ports(1)
    return Program(
        ADAPTER,
        [
            str(tool(ADAPTER)),
            f"--lister-kubeconfig={place.kubeconfig}",
            f"--authentication-kubeconfig={place.kubeconfig}",
            f"--authorization-kubeconfig={place.kubeconfig}",
            f"--bind-address={HOST}",
            f"--secure-port={port}",
            f"--port={own_metrics}",
            f"--cert-dir={certificates}",
            f"--tls-cert-file={certificates / CERTIFICATE}",
            f"--tls-private-key-file={certificates / KEY}",
            f"--metrics-service-address={HOST}:{operator}",
        ],
        port,
        environment={**NAMESPACES, "KUBECONFIG": str(place.kubeconfig)},
    )


def _served_at(folder: Path, port: int) -> list[Object]:
    """The API of external metrics, answered by a process of this machine, and who may use it."""
    [api] = read(folder / "api_service.yaml")
    service = api["spec"]["service"]
    spec = {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": port}]}
    metadata = {"name": service["name"], "namespace": service["namespace"]}
    service["port"] = port
    # The operator of a real cluster writes the authority of its own certificates here.
    api["spec"]["insecureSkipTLSVerify"] = True
    return [
        *read(folder / "role.yaml", folder / "role_binding.yaml"),
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec},
        api,
    ]
