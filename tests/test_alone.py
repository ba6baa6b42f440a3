"""Each service runs alone, with reload, by the one command in its README."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import httpx2
import pytest
from tests.helpers.stack import Stack, free_port

ROOT = Path(__file__).parent.parent
COMMAND = re.compile(r'^(eval "\$\(uv run local env .*) --port \d+ --reload$', re.M)
SECONDS = 60


@pytest.mark.slow
@pytest.mark.parametrize("service", ["agentgateway", "application", "mcp-server"])
def test_a_service_runs_alone_with_reload_by_the_command_in_its_readme(stack: Stack, service: str) -> None:
    (command,) = COMMAND.findall((ROOT / "services" / service / "README.md").read_text())
    port = free_port()
    line = f"{command} --port {port} --reload".replace("uv run", f"{ROOT / 'tools' / 'uv'} run --no-sync")
    alone = subprocess.Popen(["bash", "-c", line], cwd=ROOT, env=stack.shell_environment, start_new_session=True)
    try:
        deadline = time.monotonic() + SECONDS
        while not is_ready(port):
            assert alone.poll() is None, "it ended"
            assert time.monotonic() < deadline, f"not ready after {SECONDS} s"
            time.sleep(0.2)
    finally:
        os.killpg(alone.pid, signal.SIGTERM)
        alone.wait(30)


def is_ready(port: int) -> bool:
    try:
        return httpx2.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
    except httpx2.TransportError:
        return False
