"""Charts of the platform's controllers, rendered by helm with the values that apps/platform gives them."""

import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from shutil import copytree
from typing import Any

import yaml

from local.kubernetes.kubectl import Object
from local.kubernetes.tools import REPOSITORY, ToolError, tool


def application(name: str) -> dict[str, Any]:
    """The `spec` of an Argo CD Application in apps/platform, with its chart, its version and its values."""
    document: dict[str, Any] = yaml.safe_load((REPOSITORY / "apps/platform" / f"{name}.yaml").read_text())
    spec: dict[str, Any] = document["spec"]
    return spec


def values(name: str) -> dict[str, Any]:
    """The values that apps/platform gives to a chart."""
    given: dict[str, Any] = application(name)["source"]["helm"]["valuesObject"]
    return given


def render(chart: Path, release: str, namespace: str, given: Mapping[str, Any]) -> list[Object]:
    """Render a chart that needs no other chart with our values.

    Args:
        chart: Its folder. Optional dependencies are left out, since they are no part of a Go module.

    Raises:
        ToolError: helm refused the chart or the values; the message is helm's.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / chart.name
        copytree(chart, folder, copy_function=lambda source, to: Path(to).write_bytes(Path(source).read_bytes()))
        for each in (folder, *folder.rglob("*")):
            each.chmod(0o755 if each.is_dir() else 0o644)
        metadata = yaml.safe_load((folder / "Chart.yaml").read_text())
        metadata.pop("dependencies", None)
        (folder / "Chart.yaml").write_text(yaml.safe_dump(metadata))
        (folder / "Chart.lock").unlink(missing_ok=True)
        done = subprocess.run(
            [tool("helm"), "template", release, folder, f"--namespace={namespace}", "--values=-"],
            input=yaml.safe_dump(dict(given)),
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise ToolError(f"helm cannot render {chart.name}: {done.stderr.strip()}")
    return [each for each in yaml.load_all(done.stdout, yaml.CSafeLoader) if each]
