"""A measured figure, the bound that is promised for it, and how a run's figures are shown."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Figure:
    """One figure.

    Attributes:
        bound: What `value` must not pass, or None where it is only told.
        at_least: Whether the bound is a lower one.
        detail: What the figure was worked out from.
    """

    name: str
    value: float
    unit: str
    bound: float | None = None
    at_least: bool = False
    detail: str = ""

    @property
    def holds(self) -> bool:
        """Whether the bound is kept."""
        if self.bound is None:
            return True
        return self.value >= self.bound if self.at_least else self.value <= self.bound


def show(title: str, figures: Sequence[Figure], json_file: Path | None) -> bool:
    """Print a table, write JSON where asked for, and tell whether every bound is kept."""
    table = Table(title=title, title_justify="left")
    for heading in ("figure", "measured", "promised", ""):
        table.add_column(heading, justify="right" if heading in {"measured", "promised"} else "left")
    for figure in figures:
        mark = "" if figure.bound is None else "[green]holds[/]" if figure.holds else "[red]missed[/]"
        bound = "" if figure.bound is None else f"{'≥' if figure.at_least else '≤'} {figure.bound:g} {figure.unit}"
        table.add_row(figure.name, f"{figure.value:,.4g} {figure.unit}", bound, mark)
        if figure.detail:
            table.add_row(f"[dim]  {figure.detail}[/]", "", "", "")
    Console().print(table)
    if json_file is not None:
        document = [{**asdict(figure), "holds": figure.holds} for figure in figures]
        json_file.write_text(json.dumps(document, indent=2) + "\n")
    return all(figure.holds for figure in figures)
