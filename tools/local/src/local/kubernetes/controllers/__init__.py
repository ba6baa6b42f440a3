"""The platform's controllers as processes beside the control plane, each with the rights of its own ServiceAccount."""

from pathlib import Path
from typing import Final

from local.kubernetes.controllers import external_secrets, keda, load_balancer
from local.kubernetes.controllers.controller import Build, Controller, Place, install

BUILDS: Final[dict[str, Build]] = {each.NAME: each.build for each in (load_balancer, keda, external_secrets)}
"""How each controller is set up, by its name."""


def build_all(folder: Path, aws_url: str, region: str, cluster_name: str) -> list[Controller]:
    """Set up every controller; each keeps its files in a folder of its own.

    Raises:
        ToolError: A program or a module could not be had.
    """
    return [build(Place(folder / name, aws_url, region, cluster_name)) for name, build in BUILDS.items()]


__all__ = ["BUILDS", "Controller", "Place", "build_all", "install"]
