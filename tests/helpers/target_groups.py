"""The target groups that Terraform makes in each environment, from its text."""

import re
from dataclasses import dataclass

from tests.helpers.kustomize import ROOT


@dataclass(frozen=True, slots=True)
class TargetGroup:
    """Where a load balancer sends what it gets."""

    port: int
    load_balancer: str


TARGET_GROUPS = {
    found["name"]: TargetGroup(int(found["port"]), found["load_balancer"])
    for found in re.finditer(
        r'(?P<name>[a-z-]+) += \{ port = (?P<port>\d+),.* load_balancer = "(?P<load_balancer>\w+)" \}',
        (ROOT / "infra-terraform/modules/load-balancers/main.tf").read_text(),
    )
}
"""By their names without the environment's."""
