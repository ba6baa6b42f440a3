"""The price table, and what a month is reckoned with: `prices.yaml` and `usage.yaml` beside this module."""

from functools import cache
from pathlib import Path
from typing import Final

import yaml
from pydantic import BaseModel, ConfigDict, Field

FOLDER: Final = Path(__file__).parent
HOURS: Final = 730
"""A month, in hours."""


class UnknownPrice(Exception):
    """The price table lacks something that the plan has."""


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Price(_Table):
    """USD for one unit; the first `free` units of a month cost nothing. `source` is the page that says so."""

    usd: float = Field(ge=0)
    free: float = Field(default=0, ge=0)
    source: str = Field(pattern=r"^https://aws\.amazon\.com/")


class Prices(_Table):
    """List prices of one region, as of a month (`YYYY-MM`)."""

    region: str
    as_of: str = Field(pattern=r"^\d{4}-\d{2}$")
    currency: str
    prices: dict[str, Price]
    reckoned: dict[str, float]

    def of(self, name: str) -> Price:
        """The price called `name`.

        Raises:
            UnknownPrice: There is none.
        """
        if name not in self.prices:
            raise UnknownPrice(f"{FOLDER / 'prices.yaml'} has no price '{name}': add it, with its source")
        return self.prices[name]


class Usage(_Table):
    """What a month is reckoned with, and the budgets of the brief by their items, in USD."""

    users: float
    files_gb: float
    nat_gb: float
    internet_gb: float
    endpoint_gb: float
    lcus_a_load_balancer: float
    million_requests: float
    million_messages: float
    million_table_writes: float
    million_table_reads: float
    table_gb: float
    thousand_object_writes: float
    thousand_object_reads: float
    log_gb_a_node: float
    control_plane_log_gb: dict[str, float]
    pods_a_node: float
    departments: int
    budget: dict[str, float]


@cache
def prices() -> Prices:
    """The price table."""
    return Prices.model_validate(yaml.safe_load((FOLDER / "prices.yaml").read_text()))


@cache
def usage(environment: str) -> Usage:
    """What a month of an environment is reckoned with."""
    return Usage.model_validate(yaml.safe_load((FOLDER / "usage.yaml").read_text())[environment])
