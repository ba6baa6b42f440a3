"""What the API server's schema cannot say: whether the services can read a Department."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import yaml

from common.departments import Department, InvalidDepartment, name_conflict, parse_department


def invalidity(department: Mapping[str, Any], others: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Why the services cannot serve this Department beside `others` (by name), or None."""
    try:
        parsed = _parsed(department)
    except InvalidDepartment as error:
        return str(error)
    parents: dict[str, Department] = {}
    for name in parsed.parents:
        if name in others:
            # What is not valid is not served, and so in nobody's way.
            with suppress(InvalidDepartment):
                parents[name] = _parsed(others[name])
    return name_conflict(parsed, parents)


def _parsed(department: Mapping[str, Any]) -> Department:
    document = {key: department[key] for key in ("apiVersion", "kind", "spec")}
    return parse_department(yaml.safe_dump(document | {"metadata": {"name": department["metadata"]["name"]}}))
