"""What a controller needs of a cluster: definitions, rights, webhooks, and credentials of its own."""

import base64
import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from local.addresses import HOST
from local.kubernetes.kubectl import Kubectl, Object
from local.kubernetes.programs import Program

TOKEN_DURATION = "8760h"  # noqa: S105 - how long a token is valid


@dataclass(frozen=True, slots=True)
class Place:
    """Where one controller runs.

    Attributes:
        folder: For what it reads and writes: its kubeconfig, its certificate.
        aws_url: Where it reaches the stand-in for AWS.
        region: The region that it is told.
        cluster_name: The cluster's name in AWS.
    """

    folder: Path
    aws_url: str
    region: str
    cluster_name: str

    @property
    def kubeconfig(self) -> Path:
        """Has a token of the controller's ServiceAccount; written by `install`."""
        return self.folder / "kubeconfig.yaml"

    @property
    def aws_environment(self) -> dict[str, str]:
        """How an AWS SDK finds the stand-in, which looks at no credentials here."""
        return {
            "AWS_ENDPOINT_URL": self.aws_url,
            "AWS_REGION": self.region,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_EC2_METADATA_DISABLED": "true",
        }


@dataclass(frozen=True, slots=True)
class Controller:
    """One controller.

    Attributes:
        place: Where it runs.
        namespace: Where its ServiceAccount and leases are.
        account: The name of its ServiceAccount.
        definitions: CustomResourceDefinitions, applied before all else.
        rules: ClusterRoles and Roles as its release has them; `install` binds each to its ServiceAccount.
        objects: What else it needs: webhooks, APIServices.
        programs: Its processes.
    """

    place: Place
    namespace: str
    account: str
    definitions: Sequence[Object]
    rules: Sequence[Object]
    programs: Sequence[Program]
    objects: Sequence[Object] = field(default_factory=tuple)


Build = Callable[[Place], Controller]


def install(kubectl: Kubectl, controllers: Sequence[Controller]) -> None:
    """Apply what the controllers need, and write each one's kubeconfig.

    Raises:
        KubectlError: The API server refused an object.
    """
    if not controllers:
        return
    kubectl.apply(*(each for controller in controllers for each in (*controller.definitions, *_identity(controller))))
    for controller in controllers:
        _write_kubeconfig(kubectl, controller)
    # A webhook that nobody answers yet refuses its objects, as in production.
    if late := [each for controller in controllers for each in controller.objects]:
        kubectl.apply(*late)


def _identity(controller: Controller) -> Iterable[Object]:
    account = {"name": controller.account, "namespace": controller.namespace}
    yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": controller.namespace}}
    yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account}
    for rule in controller.rules:
        bound = rule["metadata"]
        scope = {"namespace": bound.get("namespace", controller.namespace)} if rule["kind"] == "Role" else {}
        yield {**rule, "metadata": {"name": bound["name"], **scope}}
        yield {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": f"{rule['kind']}Binding",
            "metadata": {"name": f"{controller.account}-{bound['name']}", **scope},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": rule["kind"], "name": bound["name"]},
            "subjects": [{"kind": "ServiceAccount", **account}],
        }


def _write_kubeconfig(kubectl: Kubectl, controller: Controller) -> None:
    token = kubectl.run(
        "create", "token", controller.account, f"--namespace={controller.namespace}", f"--duration={TOKEN_DURATION}"
    ).strip()
    configuration = yaml.safe_load(kubectl.kubeconfig.read_text())
    configuration["users"] = [{"name": each["name"], "user": {"token": token}} for each in configuration["users"]]
    for context in configuration["contexts"]:
        context["context"]["namespace"] = controller.namespace
    file = controller.place.kubeconfig
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(mode=0o600)
    file.write_text(yaml.safe_dump(configuration))


def read(*files: Path) -> list[Object]:
    """The objects of YAML files."""
    return [each for file in files for each in yaml.load_all(file.read_text(), yaml.CSafeLoader) if each]


def webhooks_at(configuration: Object, port: int, authority: bytes) -> Object:
    """A webhook configuration whose Service is a process of this machine.

    Args:
        configuration: A MutatingWebhookConfiguration or ValidatingWebhookConfiguration.
        port: Where the process listens.
        authority: The certificate (PEM) that the API server trusts for it.
    """
    changed: dict[str, Any] = copy.deepcopy(dict(configuration))
    for webhook in changed["webhooks"]:
        path = webhook["clientConfig"].pop("service")["path"]
        webhook["clientConfig"] = {
            "url": f"https://{HOST}:{port}{path}",
            "caBundle": base64.b64encode(authority).decode(),
        }
    return changed
