"""The bill beside the brief's budget: for a person, and as JSON."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from infrastructure.cost.bill import OTHER, Line
from infrastructure.cost.tables import Prices, Usage

BUYS: Final = {
    "nodes": "Singapore's list price, which is more than the brief reckons with, and the nodes' disks.",
    "NAT": "A gateway in each zone that has nodes: one zone's loss leaves the others' way out. Singapore's prices.",
    "ALB": "A second, internal load balancer: on-premises and pods reach the gateway without the internet.",
    "S3": "Singapore's prices, and each request.",
    "CloudWatch": "Container Insights of every pod, the services' own metrics, and in prod the API server's audit log.",
    "VPC endpoints": "Each service in each zone: AWS's own services are reached without the internet, under policies.",
    OTHER: "What the brief's figures leave out: WAF, public IPv4 addresses, data to the internet, tables, keys, DNS; "
    "in prod also a database with a standby, VPN and DNS to on-premises.",
}
"""What it buys where ours costs more."""


@dataclass(frozen=True, slots=True)
class Item:
    """One item of the budget, and its lines. `budget` is None for what the brief does not name."""

    name: str
    budget: float | None
    usd: float
    lines: tuple[Line, ...]

    @property
    def buys(self) -> str | None:
        """What the rest buys, where ours costs more than the budget."""
        return BUYS.get(self.name) if self.usd > (self.budget or 0) else None


@dataclass(frozen=True, slots=True)
class Report:
    """An environment's month."""

    environment: str
    budget: float
    usd: float
    items: tuple[Item, ...]


def report(environment: str, lines: Sequence[Line], usage: Usage) -> Report:
    """Group the lines by the budget's items."""
    names = [*usage.budget, *sorted({line.item for line in lines} - set(usage.budget) - {OTHER}), OTHER]
    items = []
    for name in names:
        of_item = tuple(line for line in lines if line.item == name)
        items.append(Item(name, usage.budget.get(name), sum(line.usd for line in of_item), of_item))
    return Report(environment, sum(usage.budget.values()), sum(line.usd for line in lines), tuple(items))


def as_text(month: Report, prices: Prices) -> str:
    """A table: item, ours, the brief's; under each item its lines."""
    rows = [
        f"{month.environment}: {month.usd:,.0f} {prices.currency} a month; the brief's budget is {month.budget:,.0f}",
        "",
        f"{'':52}{'ours':>10}{'budget':>10}",
    ]
    for item in month.items:
        budget = "-" if item.budget is None else f"{item.budget:,.0f}"
        rows.append(f"{item.name:52}{item.usd:10,.2f}{budget:>10}")
        rows += [_row(line) for line in item.lines]
        if item.buys:
            rows.append(f"  → {item.buys}")
    rows.append(f"{'total':52}{month.usd:10,.2f}{month.budget:10,.0f}")
    nodes = [line for item in month.items for line in item.lines if item.name == "nodes" and line.unit == "hour"]
    spot = sum(line.usd for line in nodes if line.note)
    if spot:
        more = spot / prices.reckoned["spot-share"] - spot
        rows.append(f"Nodes on demand instead of Spot would cost {more:,.0f} more.")
    if month.usd > month.budget:
        discount = prices.reckoned["savings-plan-discount"]
        less = discount * sum(line.usd for line in nodes)
        rows.append(f"A year's Savings Plan for the nodes would take {less:,.0f} off (reckoned at {discount:.0%}).")
    return "\n".join(rows)


def _row(line: Line) -> str:
    note = f"  {line.note}" if line.note else ""
    return f"  {line.what:26}{line.quantity:10,.6g} {line.unit:9}at {line.usd_a_unit:<10.4g}{line.usd:4,.2f}{note}"


def as_json(months: Sequence[Report], prices: Prices) -> dict[str, Any]:
    """The same for a program, with the prices' date and sources."""
    return {
        "region": prices.region,
        "currency": prices.currency,
        "prices_as_of": prices.as_of,
        "environments": [
            {**asdict(month), "items": [{**asdict(item), "buys": item.buys} for item in month.items]}
            for month in months
        ],
        "sources": {name: price.source for name, price in prices.prices.items()},
    }
