"""What a plan makes: its resources, of the root and of all modules, with the values that are known beforehand."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Plan = Mapping[str, Any]
"""What `terraform show -json` writes of a plan."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One planned resource. `module` is the address of its module, `key` its place in `for_each` or `count`."""

    address: str
    module: str
    type: str
    name: str
    key: str | int | None
    values: Mapping[str, Any]


def resources(plan: Plan, *types: str) -> list[Resource]:
    """The managed resources of these types, or all of them, in the order of their addresses."""
    found = [
        Resource(
            address=item["address"],
            module=module,
            type=item["type"],
            name=item["name"],
            key=item.get("index"),
            values=item["values"],
        )
        for module, item in _walk(plan["planned_values"]["root_module"])
        if item["mode"] == "managed" and (not types or item["type"] in types)
    ]
    return sorted(found, key=lambda resource: resource.address)


def _walk(module: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for item in module.get("resources", []):
        yield module.get("address", ""), item
    for child in module.get("child_modules", []):
        yield from _walk(child)
