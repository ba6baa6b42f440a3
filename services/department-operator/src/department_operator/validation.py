"""What the API server's schema cannot say: whether the services can read a Department."""

from collections.abc import Mapping
from typing import Any

import yaml

from common.departments import InvalidDepartment, parse_department


def invalidity(department: Mapping[str, Any]) -> str | None:
    """Why the services cannot serve this Department, or None."""
    document = {key: department[key] for key in ("apiVersion", "kind", "spec")}
    try:
        parse_department(yaml.safe_dump(document | {"metadata": {"name": department["metadata"]["name"]}}))
    except InvalidDepartment as error:
        return str(error)
    return None
