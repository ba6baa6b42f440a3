"""What the README files tell people to type works as it stands there."""

import os
import re
import signal
import subprocess
from pathlib import Path

import httpx2
import pytest
from tests.helpers.stack import ROOT, Stack
from tests.helpers.workspace import IMAGES

from local.stack import free_block
from local.supervision import wait_for

pytestmark = pytest.mark.slow

ALONE = re.compile(r'^(eval "\$\(tools/uv run local env \S+\)" && .* --port )\d+( --reload)$', re.MULTILINE)


def readme(service: str) -> str:
    return (ROOT / "services" / service / "README.md").read_text()


@pytest.mark.parametrize("service", [name for name in IMAGES if ALONE.search(readme(name))])
def test_each_service_runs_alone_by_the_line_of_its_readme(stack: Stack, service: str, tmp_path: Path) -> None:
    (line,) = ALONE.finditer(readme(service))
    port = free_block()
    # UV_NO_SYNC: the environment is the one that this test runs in.
    environment = os.environ | {"LOCAL_STATE": str(stack.state.path), "UV_NO_SYNC": "1"}
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["bash", "-c", f"{line[1]}{port}{line[2]}"],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            assert wait_for(lambda: process.poll() is not None or is_ready(port), seconds=60)
            assert process.poll() is None, log.read_text()
        finally:
            os.killpg(process.pid, signal.SIGINT)  # Ctrl-C
            process.wait(30)
    assert "reloader process" in log.read_text()


def is_ready(port: int) -> bool:
    try:
        return httpx2.get(f"http://127.0.0.1:{port}/readyz", timeout=5).is_success
    except httpx2.HTTPError:
        return False


def test_every_command_of_a_readme_needs_nothing_installed() -> None:
    # `tools/uv` installs uv where it is missing.
    files = [ROOT / "README.md", *ROOT.glob("services/*/README.md"), *ROOT.glob("tools/*/README.md")]
    bare = {str(file): found for file in files if (found := re.findall(r".*(?<!tools/)\buv run.*", file.read_text()))}
    assert not bare
