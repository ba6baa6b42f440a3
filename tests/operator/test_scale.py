"""How soon a department's objects are there, and what many departments cost."""

import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

import psutil
import pytest
from tests.operator.world import KINDS, OperatorProcess, World, department, world

from local.kubernetes.kubectl import Object, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timed]

ONE_BY_ONE = 100
DEPARTMENTS = int(os.environ.get("SCALE_DEPARTMENTS", "500"))
"""By night, 2,000."""
PATIENCE = max(1.0, DEPARTMENTS / 500)
MAX_SECONDS_P95 = 1.0
MAX_MEMORY_MIB = 256  # the limit of the operator's container
MAX_START_MIB = 165 + 0.04 * DEPARTMENTS
"""What an operator needs at most while it starts: itself, a page of each list, and what it keeps of each department."""
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
    arguments = [
        f"audit-policy-file={audit / 'policy.yaml'}",
        f"audit-log-path={audit / 'log'}",
        "service-cluster-ip-range=10.96.0.0/16",  # a Service each: the default has 254 addresses
    ]
    with world(tmp_path_factory.mktemp("scale"), node_memory="1Ti", api_server_arguments=arguments) as running:
        yield running


def calls(audit: Path) -> Counter[str]:
    """What the operator has asked of the API server so far, by verb; an event of a watch is no call."""
    lines = (audit / "log").read_text().splitlines()
    return Counter(json.loads(line)["verb"] for line in lines)


def made(cluster: World, names: set[str]) -> list[Object]:
    kinds = ",".join(KINDS)
    found = cluster.kubectl.list(kinds, selector="fileprocessing.internal/department")
    return [each for each in found if each["metadata"]["labels"]["fileprocessing.internal/department"] in names]


def test_all_nine_objects_of_a_department_are_there_within_a_second(cluster: World, audit: Path) -> None:
    names = [f"single-{number}" for number in range(ONE_BY_ONE)]
    with cluster.operator() as operator:
        taken = []
        for name in names:
            cluster.kubectl.apply(department(name))
            taken.append(_seconds_until_made(cluster, name))
        p50, p95 = quantiles(taken, n=100)[49], quantiles(taken, n=100)[94]
        print(f"nine objects, one department after another: p50 {p50:.2f} s, p95 {p95:.2f} s, most {max(taken):.2f} s")
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


@dataclass(frozen=True)
class Many:
    """What it took to make all departments at once."""

    names: frozenset[str]
    operator: OperatorProcess
    seconds: float
    memory: float
    asked: Counter[str]


@pytest.fixture(scope="module")
def many(cluster: World, audit: Path) -> Iterator[Many]:
    """Many departments, made by an operator that goes on running."""
    names = sorted(f"many-{number:03}" for number in range(DEPARTMENTS))
    with cluster.operator() as operator:
        before = calls(audit)
        started = time.monotonic()
        for some in range(0, DEPARTMENTS, 50):
            cluster.kubectl.apply(*(department(name) for name in names[some : some + 50]))
        wait_for(
            lambda: _ready(cluster) == set(names),
            400 * PATIENCE,
            "all are ready",
            every=1,
            state=lambda: len(_ready(cluster)),
        )
        seconds = time.monotonic() - started
        memory = psutil.Process(operator.process.pid).memory_info().rss / 2**20
        yield Many(frozenset(names), operator, seconds, memory, calls(audit) - before)


def _ready(cluster: World) -> set[str]:
    """Departments that are, by the second column of `kubectl get`."""
    rows = [row.split() for row in cluster.kubectl.run("get", "departments", "--no-headers").splitlines()]
    return {row[0] for row in rows if row[1] == "True"}


@pytest.mark.timeout(600 * PATIENCE)
def test_many_departments_become_ready(cluster: World, many: Many) -> None:
    each = many.asked.total() / DEPARTMENTS
    print(
        f"{DEPARTMENTS} departments: ready after {many.seconds:.0f} s, operator {many.memory:.0f} MiB, "
        f"{each:.1f} API calls a department {dict(many.asked)}"
    )
    assert len(made(cluster, set(many.names))) == DEPARTMENTS * len(KINDS)
    assert many.memory < MAX_MEMORY_MIB
    assert each < MAX_CALLS


def test_at_rest_nothing_is_asked_of_the_api_server_but_watches(many: Many, audit: Path) -> None:
    wait_for(lambda: _still(audit), 60 * PATIENCE, "it is at rest")
    before = calls(audit)
    time.sleep(REST_SECONDS)
    rest = calls(audit) - before
    print(f"at rest with {DEPARTMENTS} departments, API calls in {REST_SECONDS} s: {dict(rest)}")
    assert set(rest) <= {"watch"}


def _still(audit: Path) -> bool:
    before = calls(audit)
    time.sleep(5)
    return set(calls(audit) - before) <= {"watch"}


def test_a_restart_with_many_departments_changes_nothing(cluster: World, many: Many, audit: Path) -> None:
    names = set(many.names)
    before = {each["metadata"]["uid"]: _settled(each) for each in made(cluster, names)}
    many.operator.kill()
    started = time.monotonic()
    with cluster.operator() as operator:
        looks = "department_operator_reconcile_seconds_count"
        wait_for(lambda: operator.metric(looks) >= DEPARTMENTS, 120 * PATIENCE, "all are looked at")
        print(f"looked at {DEPARTMENTS} departments {time.monotonic() - started:.0f} s after the start")
        wait_for(lambda: _still(audit), 60 * PATIENCE, "it is at rest")
        memory = _peak_memory(operator)
    print(f"an operator that starts with {DEPARTMENTS} departments needs {memory:.0f} MiB at most")
    assert memory < MAX_START_MIB
    assert {each["metadata"]["uid"]: _settled(each) for each in made(cluster, names)} == before


def _peak_memory(operator: OperatorProcess) -> float:
    """The most that the process has had in memory, in MiB."""
    status = Path(f"/proc/{operator.process.pid}/status").read_text()
    (kib,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(kib) / 1024


def _settled(document: Object) -> object:
    """What the operator wrote, and how often it was changed where that is counted."""
    return [document["metadata"].get("generation"), document.get("spec"), document.get("data")]
