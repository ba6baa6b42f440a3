"""What the API server's schema cannot say: whether the services can read a Department."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import yaml

from common.departments import Department, InvalidDepartment, name_conflict, parse_department


def invalidity(department: Mapping[str, Any], find: Callable[[str], Mapping[str, Any] | None]) -> str | None:
    """Why the services cannot serve this Department beside the others, which `find` finds by name; or None."""
    try:
        parsed = _parsed(department)
    except InvalidDepartment as error:
        return str(error)
    if (twice := _column_of_two(parsed)) is not None:
        return f"spec.datasets: the column {twice} would mean the key of two data sets; let it be an alias of one."
    parents: dict[str, Department] = {}
    for name in parsed.parents:
        if (parent := find(name)) is not None:
            # What is not valid is not served, and so in nobody's way.
            with suppress(InvalidDepartment):
                parents[name] = _parsed(parent)
    return name_conflict(parsed, parents)


def _column_of_two(department: Department) -> str | None:
    """A column that is the key or an alias of two data sets; the schema's rules cannot compare so many names."""
    seen = set[str]()
    for dataset in department.spec.datasets:
        names = {name.casefold(): name for name in (dataset.key, *dataset.aliases)}
        if both := names.keys() & seen:
            return names[min(both)]
        seen |= names.keys()
    return None


def _parsed(department: Mapping[str, Any]) -> Department:
    document = {key: department[key] for key in ("apiVersion", "kind", "spec")}
    return parse_department(yaml.safe_dump(document | {"metadata": {"name": department["metadata"]["name"]}}))
