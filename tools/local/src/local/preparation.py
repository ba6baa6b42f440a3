"""Makes a state folder anew: departments with their addresses, data, keys and tokens, before any process starts."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from common.departments import Department, InvalidDepartment, parse_department
from local import data
from local.addresses import MOST_DEPARTMENTS, Addresses
from local.cluster import write_identities
from local.services import declared
from local.state import InvalidInput, StateFolder
from mcp_server.building import check
from mcp_server.errors import BrokenObject

BASE = Path(__file__).parents[4] / "base"
OWN_DEPARTMENTS = BASE / "departments"


def prepare(state: StateFolder, addresses: Addresses, departments: Path | None, data_dir: Path | None) -> list[str]:
    """Write all that the processes need before they start; returns the departments' names.

    Raises:
        InvalidInput: A department or its data cannot be used.
    """
    found = read_departments(OWN_DEPARTMENTS)
    own = read_departments(departments) if departments is not None else {}
    check_data(own, data_dir)
    found |= own
    if len(found) > (most := MOST_DEPARTMENTS - len(declared())):
        raise InvalidInput(f"there are {len(found)} departments; one stack has ports for {most}")
    made_anew = (state.departments, state.data, state.tables, state.logs, state.temporary, state.frontend)
    for folder in (*made_anew, state.path / "tokens"):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    data.write(state.data)
    for name, (department, _) in own.items():
        place_data(department, state.data / name, data_dir)
    for index, (name, (_, document)) in enumerate(sorted(found.items())):
        local_copy = {**document, "status": {"endpoint": addresses.department(index)}}
        (state.departments / f"{name}.yaml").write_text(yaml.safe_dump(local_copy, sort_keys=False))
    services = [yaml.safe_load(file.read_text())["metadata"]["name"] for file in BASE.rglob("service-account.yaml")]
    write_identities(state.cluster_key, state.path / "tokens", [*services, *(f"mcp-{name}" for name in found)])
    return sorted(found)


def read_departments(folder: Path) -> dict[str, tuple[Department, dict[str, Any]]]:
    """The departments of a folder by name, each with the document that it was read from.

    Raises:
        InvalidInput: There is no such folder, no department in it, or one that is not valid.
    """
    files = sorted(file for file in folder.glob("*.yaml") if file.name != "kustomization.yaml")
    if not files:
        raise InvalidInput(f"{folder} has no Department objects (*.yaml)")
    found: dict[str, tuple[Department, dict[str, Any]]] = {}
    for file in files:
        try:
            text = file.read_text(encoding="utf-8")
            department = parse_department(text)
        except UnicodeDecodeError as error:
            raise InvalidInput(f"{file} is not UTF-8: its byte {error.start + 1:,} is no character") from error
        except OSError as error:
            raise InvalidInput(f"{file} cannot be read: {error.strerror}") from error
        except InvalidDepartment as error:
            raise InvalidInput(f"{file} is not a valid Department: {error}") from error
        if department.name in found:
            raise InvalidInput(f"{file} names its department '{department.name}', as another file of {folder} does")
        found[department.name] = (department, yaml.safe_load(text))
    return found


def check_data(own: Mapping[str, tuple[Department, Any]], data_dir: Path | None) -> None:
    """See that each data set of one's own departments is there, and is what its department can serve.

    Raises:
        InvalidInput: Names the file, and what is wrong with it.
    """
    for name, (department, _) in own.items():
        if data_dir is None:
            raise InvalidInput(f"department '{name}' needs its data: --data DIR with DIR/{name}/<object>")
        for dataset in department.spec.datasets:
            file = data_dir / name / dataset.object
            if not file.is_file():
                raise InvalidInput(f"data set '{dataset.name}' of department '{name}' is missing: {file}")
            try:
                check(dataset, file)
            except BrokenObject as error:
                raise InvalidInput(f"data set '{dataset.name}' of department '{name}': {error} ({file})") from error


def place_data(department: Department, folder: Path, data_dir: Path | None) -> None:
    """Link one's own data into the state folder, in the place of ours if the department has the same name."""
    assert data_dir is not None  # noqa: S101 - check_data has seen to it
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for dataset in department.spec.datasets:
        (folder / dataset.object).symlink_to((data_dir / department.name / dataset.object).resolve())
