"""How soon a department's objects are there, and what 500 departments cost."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import quantiles

import psutil
import pytest
from tests.operator.world import KINDS, World, department, world

from local.kubernetes.kubectl import Object, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timed]

ONE_BY_ONE = 100
DEPARTMENTS = 500
MAX_SECONDS_P95 = 1.0
MAX_MEMORY_MIB = 256  # the limit of the operator's container
MAX_CALLS = 20
REST_SECONDS = 30
AUDIT = """
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  users: ["system:serviceaccount:file-processing:department-operator"]
- level: None
"""


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("audit")
    (folder / "policy.yaml").write_text(AUDIT)
    return folder


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, audit: Path) -> Iterator[World]:
    """A cluster of its own, which writes down what the operator asks of it."""
    arguments = [f"audit-policy-file={audit / 'policy.yaml'}", f"audit-log-path={audit / 'log'}"]
    with world(tmp_path_factory.mktemp("scale"), api_server_arguments=arguments) as running:
        yield running


def calls(audit: Path) -> Counter[str]:
    """What the operator has asked of the API server so far, by verb; an event of a watch is no call."""
    lines = (audit / "log").read_text().splitlines()
    return Counter(json.loads(line)["verb"] for line in lines)


def made(cluster: World, names: set[str]) -> list[Object]:
    kinds = ",".join(KINDS)
    found = cluster.kubectl.list(kinds, selector="fileprocessing.internal/department")
    return [each for each in found if each["metadata"]["labels"]["fileprocessing.internal/department"] in names]


def test_all_seven_objects_of_a_department_are_there_within_a_second(cluster: World, audit: Path) -> None:
    names = [f"single-{number}" for number in range(ONE_BY_ONE)]
    with cluster.operator() as operator:
        taken = []
        for name in names:
            cluster.kubectl.apply(department(name))
            taken.append(_seconds_until_made(cluster, name))
        p50, p95 = quantiles(taken, n=100)[49], quantiles(taken, n=100)[94]
        print(f"seven objects, one department after another: p50 {p50:.2f} s, p95 {p95:.2f} s, most {max(taken):.2f} s")
        assert p95 <= MAX_SECONDS_P95
        assert operator.process.poll() is None
        assert len(made(cluster, set(names))) == ONE_BY_ONE * len(KINDS)
        cluster.kubectl.delete("department", *names, wait=False)
        wait_for(lambda: not made(cluster, set(names)), 90, "they are gone again", every=1)


def _seconds_until_made(cluster: World, name: str) -> float:
    """From the moment that `kubectl apply` returns; looked at by one call for all kinds, which is part of the time."""
    started = time.monotonic()
    cluster.wait_for_objects(name, 10)
    return time.monotonic() - started


def test_500_departments_become_ready_and_then_nothing_is_asked(cluster: World, audit: Path) -> None:
    names = {f"many-{number:03}" for number in range(DEPARTMENTS)}
    with cluster.operator() as operator:
        process = psutil.Process(operator.process.pid)
        wait_for(lambda: operator.metric("department_operator_reconcile_seconds_count") > 0, 60, "it is at rest")
        before = calls(audit)
        started = time.monotonic()
        cluster.kubectl.apply(*(department(name) for name in sorted(names)))

        def ready() -> int:
            rows = cluster.kubectl.run("get", "departments", "--no-headers").splitlines()
            return sum(row.split()[:2] == [name, "True"] for row in rows for name in [row.split()[0]] if name in names)

        wait_for(lambda: ready() == DEPARTMENTS, 280, "all are ready", every=1, state=ready)
        seconds = time.monotonic() - started
        made_by = calls(audit)
        asked = sum(made_by.values()) - sum(before.values())
        memory = process.memory_info().rss / 2**20

        # What the HorizontalPodAutoscalers and the last roll-outs still do is over once nothing changes any more.
        wait_for(lambda: _still(audit), 60, "it is at rest", every=5)
        resting = calls(audit)
        time.sleep(REST_SECONDS)
        rest = calls(audit) - resting
        print(
            f"{DEPARTMENTS} departments: ready after {seconds:.0f} s, operator {memory:.0f} MiB, "
            f"{asked / DEPARTMENTS:.1f} API calls a department {dict(made_by - before)}; "
            f"at rest in {REST_SECONDS} s: {dict(rest)}"
        )
        assert len(made(cluster, names)) == DEPARTMENTS * len(KINDS)
        assert memory < MAX_MEMORY_MIB
        assert asked / DEPARTMENTS < MAX_CALLS
        assert set(rest) <= {"watch"}


def _still(audit: Path) -> bool:
    before = calls(audit)
    time.sleep(5)
    return set(calls(audit) - before) <= {"watch"}


def test_a_restart_with_500_departments_changes_nothing(cluster: World, audit: Path) -> None:
    before = {each["metadata"]["uid"]: _settled(each) for each in made(cluster, _names(cluster))}
    started = time.monotonic()
    with cluster.operator() as operator:
        departments = len(_names(cluster))
        looks = "department_operator_reconcile_seconds_count"
        wait_for(lambda: operator.metric(looks) >= departments, 120, "all are looked at")
        print(f"looked at {departments} departments {time.monotonic() - started:.0f} s after the start")
        wait_for(lambda: _still(audit), 60, "it is at rest", every=1)
    after = {each["metadata"]["uid"]: _settled(each) for each in made(cluster, _names(cluster))}
    assert after == before


def _names(cluster: World) -> set[str]:
    return {each["metadata"]["name"] for each in cluster.kubectl.list("departments")}


def _settled(document: Object) -> object:
    """What the operator wrote, and how often it was changed where that is counted."""
    return [document["metadata"].get("generation"), document.get("spec"), document.get("data")]
