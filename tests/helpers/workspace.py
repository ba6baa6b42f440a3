"""What services there are, and what each process is told: by the folders, the images and the programs' own settings."""

import ast
import importlib.util
import re
import tomllib
from functools import cache
from typing import Any

from pydantic_settings import BaseSettings
from tests.helpers.kustomize import ROOT
from tests.helpers.overlays import environment_objects, pod_templates

WORKSPACE = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["workspace"]
IMAGES = sorted(file.parent.name for file in ROOT.glob("services/*/Dockerfile"))
"""The services that run in a cluster: what has a Dockerfile."""
COMMAND = re.compile(r'^CMD \["-m", "([\w.]+)"\]$', re.MULTILINE)
MEMBERS = sorted(
    file.parent
    for member in WORKSPACE["members"]
    for file in ROOT.glob(f"{member}/pyproject.toml")
    if str(file.parent.relative_to(ROOT)) not in WORKSPACE["exclude"]
)
"""The folders whose packages are in this environment: Langflow's are in another one."""


def module_of(template: dict[str, Any]) -> str:
    """The Python module that a pod runs: its container's arguments, or else what its image says."""
    [container] = template["spec"]["containers"]
    if "args" in container:
        _, module = container["args"]
        return str(module)
    service = re.split("[:@]", container["image"].rpartition("/")[2])[0]
    [module] = COMMAND.findall((ROOT / "services" / service / "Dockerfile").read_text())
    return str(module)


@cache
def settings_of(module: str) -> type[BaseSettings] | None:
    """The settings that a service's module loads when it starts; None if it is not in this environment."""
    if importlib.util.find_spec(module.partition(".")[0]) is None:
        return None
    main = importlib.import_module(f"{module}.main")
    [loaded] = [each for each in vars(main).values() if isinstance(each, type) and issubclass(each, BaseSettings)]
    return loaded


def defaults(module: str) -> dict[str, Any]:
    """The settings of a service's module with what they are where nothing sets them, where that is a plain value."""
    if settings := settings_of(module):
        return {name: field.default for name, field in settings.model_fields.items()}
    [source] = ROOT.glob(f"services/*/src/{module}/settings.py")
    [settings_class] = (
        each
        for each in ast.parse(source.read_text()).body
        if isinstance(each, ast.ClassDef) and each.name == "Settings"
    )
    found = {}
    for each in settings_class.body:
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name) and isinstance(each.value, ast.Call):
            given = {keyword.arg: keyword.value for keyword in each.value.keywords}.get("default")
            found[each.target.id] = given.value if isinstance(given, ast.Constant) else None
    return found


@cache
def settings_of_pods() -> dict[str, dict[str, Any]]:
    """The settings of each pod by its name, with what they are where nothing sets them."""
    return {name: defaults(module_of(template)) for name, template in pod_templates(environment_objects("prod"))}
