"""The four pictures."""

from typing import Final

from infrastructure.diagrams import deployment, infrastructure, topology, traffic
from infrastructure.diagrams.canvas import Picture
from infrastructure.diagrams.facts import Facts
from infrastructure.terraform import REPOSITORY

FOLDER: Final = REPOSITORY / "docs" / "diagrams"
ENVIRONMENT: Final = "prod"
"""The environment that is drawn: the other one has less of the same."""


def pictures(facts: Facts) -> list[Picture]:
    """All of them, not yet drawn."""
    return [module.draw(facts) for module in (infrastructure, topology, traffic, deployment)]
