"""Whole stacks, started and stopped by the command as people do."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import yaml

from local.addresses import HOST, Addresses
from local.stack import Stack, StackError, free_block

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

LOCAL = [sys.executable, "-m", "local.entry"]
PROCUREMENT = {
    "apiVersion": "fileprocessing.internal/v1alpha1",
    "kind": "Department",
    "metadata": {"name": "procurement"},
    "spec": {
        "displayName": "Procurement",
        "access": {"groups": ["buyers"], "restrictedGroups": ["buyer-leads"]},
        "datasets": [
            {"name": "offers", "object": "offers.csv", "key": "offer_id", "restrictedColumns": ["price"]},
        ],
    },
}


class Terminal:
    """Where somebody types `local …`."""

    def __init__(self, state: Path, port: int) -> None:
        self.state = state
        self.addresses = Addresses(port)
        self.environment = os.environ | {"LOCAL_STATE": str(state), "LOCAL_PORT": str(port), "COLUMNS": "200"}

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*LOCAL, *arguments], env=self.environment, capture_output=True, text=True, timeout=400, check=False
        )

    def begin(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen([*LOCAL, *arguments], env=self.environment, stdout=subprocess.PIPE, text=True)

    def members(self) -> list[psutil.Process]:
        return Stack(self.state, self.addresses.first_port).supervisor.members()


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(tmp_path / "state", free_block())
    yield terminal
    terminal.run("down")
    assert terminal.members() == []


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def until_said(process: "subprocess.Popen[str]", words: str) -> str:
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if words in line:
            return said
    raise AssertionError(f"it ended without saying '{words}':\n{said}")


def get(url: str, headers: dict[str, str]) -> dict[str, object]:
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as response:  # noqa: S310
        return dict(json.load(response))


def test_a_stack_in_the_background_from_up_to_down(terminal: Terminal, tmp_path: Path) -> None:
    (tmp_path / "own" / "procurement").mkdir(parents=True)
    (tmp_path / "own" / "procurement.yaml").write_text(yaml.safe_dump(PROCUREMENT))
    (tmp_path / "own" / "procurement" / "offers.csv").write_text("offer_id,title,price\nO-1,Paper,12\n")
    own = str(tmp_path / "own")

    up = terminal.run("up", "--background", "--wait", "--departments", own, "--data", own)
    assert up.returncode == 0, up.stdout + up.stderr
    for words in (terminal.addresses.app, f"{terminal.addresses.api}/mcp", "alice", "File-Processing-1"):
        assert words in up.stdout

    status = terminal.run("status")
    assert status.returncode == 0, status.stdout
    for name in ("gateway", "application", "worker", "aws", "cluster", "edge", "mcp-finance", "mcp-procurement"):
        assert re.search(rf"^{name} +running +\d+ .* yes ", status.stdout, re.M), status.stdout

    variables = dict(re.findall(r"^export (\w+)='?(.*?)'?$", terminal.run("env").stdout, re.M))
    assert variables["FILEPROC_URL"] == terminal.addresses.api
    assert variables["AWS_ENDPOINT_URL"] == terminal.addresses.aws

    alone = dict(re.findall(r"^export (\w+)='?(.*?)'?$", terminal.run("env", "mcp-procurement").stdout, re.M))
    assert (alone["DEPARTMENT"], alone["METRICS_PORT"], "PORT" in alone) == ("procurement", "0", False)
    assert "mcp-procurement" in terminal.run("env", "mcp-sales").stderr

    token = terminal.run("token", "dana").stdout.strip()
    answer = get(f"{terminal.addresses.api}/api/departments", {"authorization": f"Bearer {token}"})
    departments = answer["departments"]
    assert isinstance(departments, list)
    assert [each["name"] for each in departments] == ["finance", "hr", "legal", "procurement"]
    (offers,) = departments[3]["datasets"]
    assert [column["name"] for column in offers["columns"]] == ["offer_id", "title"]

    demo = terminal.run("demo")
    assert demo.returncode == 0, demo.stdout + demo.stderr
    for words in ("held back", "bank_account", "as three users", "Refused:", "finance_lookup_vendors as frank"):
        assert words in demo.stdout
    saved = sorted(file.name for file in (terminal.state / "demo").rglob("*.*"))
    assert saved.count("invoices.enriched.csv") == 3
    assert {"employees.enriched.jsonl", "contracts.enriched.parquet", "memo.enriched.docx"} <= set(saved)

    again = terminal.run("up", "--background")
    assert (again.returncode, "is up already" in again.stderr) == (1, True)
    wrong = terminal.run("token", "mallory")
    assert (wrong.returncode, "alice" in wrong.stderr, wrong.stdout) == (2, True, "")

    down = terminal.run("down")
    assert (down.returncode, terminal.members()) == (0, [])
    assert "Nothing was running" in terminal.run("down").stdout
    assert terminal.run("status").returncode == 1


# Ctrl-C is pressed in tests/system/test_demo.py.
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_everything(terminal: Terminal, number: signal.Signals) -> None:
    with terminal.begin("up") as up:
        until(lambda: len(terminal.members()) > 9)
        up.send_signal(number)
        until_said(up, "Stopped")
        assert up.wait(60) == 0
    assert terminal.members() == []


def test_down_finds_what_a_killed_runner_and_a_killed_supervisor_left(terminal: Terminal) -> None:
    with terminal.begin("up") as up:
        until(lambda: len(terminal.members()) > 9)
        up.kill()
        up.wait(10)
    for process in terminal.members():
        if "supervisor.supervisord" in process.cmdline():
            process.kill()
            process.wait(10)
    assert len(terminal.members()) > 5
    assert re.search(r"Stopped \d+ processes", terminal.run("down").stdout)
    assert terminal.members() == []


def test_a_port_that_is_taken_is_named(terminal: Terminal) -> None:
    taken = terminal.addresses.port(5)
    with socket.create_server((HOST, taken)):
        refused = terminal.run("up")
    assert refused.returncode == 1
    assert f"port {taken} is taken" in refused.stderr
    assert "LOCAL_PORT" in refused.stderr
    assert terminal.members() == []


def test_a_service_that_cannot_start_is_named_with_its_reason(tmp_path: Path) -> None:
    wrong = {"gateway": {"COGNITO_ISSUER": "nonsense"}}
    stack = Stack(tmp_path / "state", settings=wrong, restart=True)
    with pytest.raises(StackError, match=r"gateway ended(.|\n)*COGNITO_ISSUER"), stack:
        raise AssertionError("it must not be ready")
    assert stack.supervisor.members() == []


def test_a_service_that_is_killed_stays_down_until_it_is_started(tmp_path: Path) -> None:
    broken = {"worker": {"JOBS_AT_ONCE": "1"}}
    with Stack(tmp_path / "state", settings=broken) as stack:
        before = stack.pid("worker")
        assert psutil.Process(before).environ()["JOBS_AT_ONCE"] == "1"
        stack.kill("worker")
        assert not psutil.pid_exists(before)
        assert stack.pid("worker") == 0
        stack.start_service("worker")
        assert stack.pid("worker") not in (0, before)
        stack.stop_service("mcp-hr")
        assert stack.pid("mcp-hr") == 0
    assert stack.supervisor.members() == []
