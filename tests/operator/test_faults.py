"""Every call of the operator with everything that can go wrong with it: departments end as if nothing had happened."""

import asyncio
import os
import random
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from statistics import quantiles
from typing import Any

import aiohttp
import pytest
import yaml
from tests.operator.faults import CRASHES, FAULTS, Faulty, Plan, faulty
from tests.operator.world import OperatorProcess, World, conditions, content, department, world

from department_operator.names import MADE
from local.kubernetes.control_plane import NAMESPACE
from local.kubernetes.kubectl import Object

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]

RUNS = int(os.environ.get("FAULT_RUNS", "40"))
"""By hand or by night, many more: each fault at each call, then several at a time by seed."""
AT_ONCE = 40
POLL_SECONDS = 0.3
HELD_SECONDS = 0.3
"""A call that crashes the operator waits so long, so that other workers come to theirs: a start takes seconds."""
DEADLINE_SECONDS = 300
LABEL = "fileprocessing.internal/department"
CHANGED: dict[str, Any] = {
    "access": {"groups": ["audit"]},
    "server": {"replicas": {"min": 1, "max": 7}, "resources": {"requests": {"memory": "300Mi"}}},
}
DEPARTMENTS = f"/apis/fileprocessing.internal/v1alpha1/namespaces/{NAMESPACE}/departments"
PATHS = {
    kind: f"/{'apis/' + group if group else 'api'}/{version}/namespaces/{NAMESPACE}/{plural}"
    for kind, (group, version, plural) in MADE.items()
}
State = Mapping[str, object]
Case = tuple[int, dict[str, str]]
"""Its number, and what happens: at a call, a fault."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Without controllers: all that happens is the operator's doing."""
    arguments = ["service-cluster-ip-range=10.96.0.0/16"]
    with world(tmp_path_factory.mktemp("faults"), controllers=False, api_server_arguments=arguments) as running:
        yield running


@dataclass
class Rig:
    """An operator behind faulty proxies, and an administrator who sees the cluster as it is."""

    cluster: World
    session: aiohttp.ClientSession
    server: str
    proxy: Faulty = field(init=False)
    kubeconfig: Path = field(init=False)
    operator: OperatorProcess | None = None
    restarts: int = 0
    _restarting: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def call(self, method: str, path: str, document: object = None) -> Object:
        """One call as administrator; an object that is not there is empty."""
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        async with self.session.request(
            method, self.server + path, json=document, headers={"Content-Type": kind}
        ) as answer:
            found: Object = await answer.json()
            assert answer.status < 400 or answer.status == 404, f"{method} {path}: {found}"
            return {} if answer.status == 404 else found

    async def start(self) -> None:
        """Start an operator, and do not wait for it."""
        log = self.cluster.folder / f"faulty-{self.restarts}.log"
        self.operator = OperatorProcess(self.kubeconfig, self.proxy.urls[1], log)

    async def crash(self) -> None:
        """Kill it as it is, and start another; it dies once for all calls that it is held at by then."""
        before = self.restarts
        await asyncio.sleep(HELD_SECONDS)
        async with self._restarting:
            if self.restarts > before:
                return
            assert self.operator is not None
            self.operator.kill()
            self.restarts += 1
            await self.start()

    async def remove(self, name: str) -> None:
        """Delete a Department while its objects are made, and make it again."""
        found = await self.call("GET", f"{DEPARTMENTS}/{name}")
        if found:
            await self.call("DELETE", f"{DEPARTMENTS}/{name}")
            await self.call("POST", DEPARTMENTS, department(name) | {"spec": found["spec"]})

    async def states(self, names: Sequence[str]) -> Mapping[str, State]:
        """All that the operator decides of each department."""
        lists = await asyncio.gather(
            self.call("GET", DEPARTMENTS),
            *(self.call("GET", f"{path}?labelSelector={LABEL}") for path in PATHS.values()),
        )
        documents = {each["metadata"]["name"]: each for each in lists[0]["items"]}
        found: dict[str, dict[str, object]] = {name: {} for name in names}
        for kind, listed in zip(PATHS, lists[1:], strict=True):
            for each in listed["items"]:
                name = each["metadata"]["labels"][LABEL]
                if name in found and name in documents:
                    uid = documents[name]["metadata"]["uid"]
                    owned = [owner["uid"] == uid for owner in each["metadata"]["ownerReferences"]]
                    found[name][kind] = content(each, name), owned
        accounts = await asyncio.to_thread(self.cluster.accounts)
        for name in names:
            document = documents.get(name, {})
            current = document.get("status", {}).get("observedGeneration") == document.get("metadata", {}).get(
                "generation"
            )
            found[name] |= {
                "conditions": conditions(document),
                "current": current,
                "association": f"mcp-{name}" in accounts,
            }
        return found

    async def wait(self, plans: Mapping[str, Plan], expected: State | None, what: str) -> dict[str, float]:
        """Wait until all are as expected, or gone; the moment at which each was."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        done: dict[str, float] = {}
        while True:
            if expected is None:
                accounts = await asyncio.to_thread(self.cluster.accounts)
                told = {
                    each["involvedObject"]["name"]
                    for each in (await self.call("GET", f"/api/v1/namespaces/{NAMESPACE}/events"))["items"]
                    if each["reason"] == "DataKept"
                }
                right = {name for name in plans if f"mcp-{name}" not in accounts and name in told}
                wrong: Mapping[str, object] = dict.fromkeys(
                    plans.keys() - right, "still has an association, or no event"
                )
            else:
                now = await self.states(list(plans))
                right = {name for name, state in now.items() if state == expected}
                wrong = {
                    name: {key: found for key, found in state.items() if found != expected.get(key)}
                    for name, state in now.items()
                    if name not in right
                }
            for name in right:
                done.setdefault(name, time.monotonic())
            if not wrong:
                return done
            if time.monotonic() > deadline:
                pytest.fail(f"{what}: {[(name, plans[name].fired, state) for name, state in wrong.items()][:3]}")
            await asyncio.sleep(POLL_SECONDS)


def _is_current(document: Object) -> bool:
    found = document.get("status", {}).get("observedGeneration") == document["metadata"]["generation"]
    return bool(found)


@asynccontextmanager
async def rig(cluster: World) -> AsyncIterator[Rig]:
    config = yaml.safe_load(await asyncio.to_thread(cluster.plane.kubeconfig.read_text))
    server, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    context = ssl.create_default_context(cafile=server["certificate-authority"])
    context.load_cert_chain(user["client-certificate"], user["client-key"])
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
        made = Rig(cluster, session, server["server"])
        made.proxy = Faulty("", cluster.eks, made.crash, made.remove)
        async with faulty(cluster.operator_kubeconfig, cluster.folder, made.proxy) as made.kubeconfig:
            await made.start()
            try:
                yield made
            finally:
                assert made.operator is not None
                made.operator.kill()


async def live(rig: Rig, plans: Mapping[str, Plan], expected: Sequence[State | None]) -> list[tuple[str, float]]:
    """Departments are made, changed, disturbed, deleted; each fault that came, and the seconds until all was right."""
    rig.proxy.plans = dict(plans)
    taken: list[tuple[str, float]] = []

    def note(done: Mapping[str, float]) -> None:
        for name, plan in plans.items():
            for fault, fired in plan.fired.items():
                taken.append((fault, max(0.0, done[name] - fired)))
            plan.fired.clear()

    await asyncio.gather(*(rig.call("POST", DEPARTMENTS, department(name)) for name in plans))
    note(await rig.wait(plans, expected[0], "made"))
    await asyncio.gather(*(rig.call("PATCH", f"{DEPARTMENTS}/{name}", {"spec": CHANGED}) for name in plans))
    note(await rig.wait(plans, expected[1], "changed"))
    await asyncio.gather(
        *(rig.call("DELETE", f"{PATHS['Service']}/mcp-{name}") for name in plans),
        *(rig.call("PATCH", f"{PATHS['NetworkPolicy']}/mcp-{name}", {"spec": {"ingress": [{}]}}) for name in plans),
    )
    note(await rig.wait(plans, expected[1], "repaired"))
    await asyncio.gather(*(rig.call("DELETE", f"{DEPARTMENTS}/{name}") for name in plans))
    note(await rig.wait(plans, None, "gone"))
    for path in PATHS.values():
        await rig.call("DELETE", f"{path}?labelSelector={LABEL}")
    return taken


async def undisturbed(rig: Rig) -> tuple[State, State]:
    """What becomes of a department that nothing happens to, as it is made and once it has changed."""
    found: list[State] = []
    rig.proxy.plans = {"calm": Plan({})}
    await rig.call("POST", DEPARTMENTS, department("calm"))
    for change in ({}, CHANGED):
        await rig.call("PATCH", f"{DEPARTMENTS}/calm", {"spec": change})
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not _whole(state := (await rig.states(["calm"]))["calm"]) or state in found:
            assert time.monotonic() < deadline, (PATHS.keys() - state.keys(), state["conditions"], state["current"])
            await asyncio.sleep(POLL_SECONDS)
        found.append(state)
    await rig.call("DELETE", f"{PATHS['Service']}/mcp-calm")
    await rig.wait(rig.proxy.plans, found[1], "repaired")
    await rig.call("DELETE", f"{DEPARTMENTS}/calm")
    await rig.wait(rig.proxy.plans, None, "gone")
    for path in PATHS.values():
        await rig.call("DELETE", f"{path}?labelSelector={LABEL}")
    return found[0], found[1]


def _whole(state: State) -> bool:
    return bool(state.keys() >= PATHS.keys() and state["current"] and state["association"])


def cases(keys: Sequence[str], runs: int) -> Iterator[dict[str, str]]:
    """Each fault at each call, in an order that is random and always the same; then up to three at once."""
    chance = random.Random(1)
    # A Department that is made again while it is being deleted is another case, which its own test has.
    single = [
        (key, fault)
        for key, fault in product(sorted(keys), FAULTS)
        if not (fault == "owner removed" and key.startswith(("DELETE association", "POST events")))
        and not (fault == "old read" and not key.startswith("GET"))
    ]
    chance.shuffle(single)
    # In turn, so that a few runs have each fault.
    turns = Counter[str]()
    single.sort(key=lambda case: (turns.update([case[1]]), turns[case[1]])[1])
    for number in range(runs):
        if number < len(single):
            yield dict(single[number : number + 1])
        else:
            yield dict(chance.sample(single, chance.randint(2, 3)))


def batches(planned: Sequence[Case]) -> Iterator[Sequence[Case]]:
    """Those that crash the operator by themselves: until another has started, it serves no other department either."""
    crashing = [case for case in planned if not set(CRASHES).isdisjoint(case[1].values())]
    others = [case for case in planned if case not in crashing]
    for kind in (others, crashing):
        for start in range(0, len(kind), AT_ONCE):
            yield kind[start : start + AT_ONCE]


async def test_whatever_goes_wrong_with_a_call_departments_end_as_if_nothing_had(
    cluster: World, report_figure: Callable[[str], None]
) -> None:
    taken: list[tuple[str, float]] = []
    async with rig(cluster) as running:
        expected = await undisturbed(running)
        planned = list(enumerate(cases(list(running.proxy.seen), RUNS)))
        for some in batches(planned):
            plans = {f"run-{number}": Plan(faults) for number, faults in some}
            taken += await live(running, plans, expected)
    assert {fault.partition(" at ")[0] for fault, _ in taken} >= {*FAULTS} - {"old read"}
    for fault in FAULTS:
        times = [seconds for name, seconds in taken if name.startswith(f"{fault} at ")]
        if len(times) > 1:
            report_figure(
                f"operator, {fault}: {len(times)} times, right again after {quantiles(times, n=20)[-1]:.1f} s (p95)"
            )
    report_figure(
        f"operator: {len(planned)} departments with faults, {len(taken)} of which came, {running.restarts} restarts"
    )
