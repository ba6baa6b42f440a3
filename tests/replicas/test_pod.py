"""What production's pods allow, and what three replicas do within that; last, when all else has been done in them."""

import os
import re
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.helpers.overlays import ENVIRONMENTS, containers, environment_objects, pod_templates
from tests.helpers.stack import ROOT, Stack
from tests.replicas.conftest import confines, witness
from tests.replicas.replica import REPLICAS, replica

from local.services import FRONTEND_PYTHON

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

UPLOAD_BYTES = 100_000_000
MIB = 2**20


@pytest.fixture(scope="module")
def deployed() -> list[dict[str, Any]]:
    """The container of each environment's pods."""
    found = [dict(pod_templates(environment_objects(environment)))["frontend"] for environment in ENVIRONMENTS]
    return [only for template in found for only in containers(template)]


def memory(site: Stack) -> dict[str, float]:
    """MiB that each replica has in memory, what it shares with others included, as its pod is charged."""
    return {name: psutil.Process(site.pid(name)).memory_info().rss / MIB for name in REPLICAS}


def quantity(text: str) -> float:
    """MiB of a Kubernetes quantity."""
    return float(text.removesuffix("Gi")) * 1024


def test_a_replica_takes_the_memory_that_is_requested_at_rest_and_under_uploads(
    site: Stack, deployed: list[dict[str, Any]]
) -> None:
    rest = max(memory(site).values())
    with replica(site, REPLICAS[0], "alice") as client:
        flow = client.get("/api/v1/flows/", params={"get_all": True}).json()[0]["id"]

        def attach(number: int) -> int:
            body = {"file": (f"large-{number}.csv", b"vendor_id\n" + b"V-00017\n" * (UPLOAD_BYTES // 8))}
            return client.post(f"/api/v1/files/upload/{flow}", files=body).status_code

        with ThreadPoolExecutor(3) as threads:
            assert set(threads.map(attach, range(3))) == {201}
    after = max(memory(site).values())
    print(f"a replica has {rest:.0f} MiB after all tests, {after:.0f} MiB after three uploads of 100 MB at once")
    assert after < rest + 100
    for container in deployed:
        requested, limit = (quantity(container["resources"][kind]["memory"]) for kind in ("requests", "limits"))
        assert after < requested < limit


def test_it_starts_in_the_time_of_the_startup_probe_with_the_processor_that_is_requested(
    seconds_of_start: Mapping[str, float], deployed: list[dict[str, Any]]
) -> None:
    most = max(seconds_of_start.values())
    for container in deployed:
        requested = float(container["resources"]["requests"]["cpu"].removesuffix("m")) / 1000
        probe = container["startupProbe"]
        given = probe["periodSeconds"] * probe["failureThreshold"]
        print(f"starting takes {most:.0f} s of a processor, of which {requested} is requested; {given} s are given")
        assert most / requested < given


def test_it_keeps_an_idle_connection_for_longer_than_the_load_balancer_does() -> None:
    balancer = (ROOT / "infra-terraform/modules/load-balancers/main.tf").read_text()
    page = (ROOT / "services/frontend/src/frontend/main.py").read_text()
    [given] = re.findall(r"idle_timeout\s+= ([0-9]+)", balancer)
    [kept] = re.findall(r"KEEP_ALIVE_SECONDS: Final = ([0-9]+)", page)
    assert int(kept) > int(given)


def test_all_that_it_writes_is_in_the_folders_that_are_writable(
    site: Stack, deployed: list[dict[str, Any]], tmp_path: Path
) -> None:
    assert all(container["securityContext"]["readOnlyRootFilesystem"] for container in deployed)
    writable, other = tmp_path / "writable", tmp_path / "other"
    writable.mkdir()
    other.mkdir()
    program = "import sys; [open(folder + '/file', 'w').close() for folder in sys.argv[1:]]"
    environment = os.environ | confines([writable], tmp_path / "witness")
    command = [str(FRONTEND_PYTHON), "-c", program, str(writable), str(other)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert (writable / "file").exists()
    assert "PermissionError" in done.stderr
    for name in REPLICAS:
        log = site.log(name).read_text()
        assert "Permission denied" not in log
        assert "PermissionError" not in log


def test_it_connects_to_its_peers_and_to_nobody_outside(site: Stack) -> None:
    for name in REPLICAS:
        hosts = set(witness(site.state.path.parent, name).read_text().split())
        assert "127.0.0.1" in hosts
        assert hosts <= {"127.0.0.1", "localhost", "::1"}
