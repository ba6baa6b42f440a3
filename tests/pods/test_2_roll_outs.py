"""All services are rolled out at once, while each of them is used all the time: nobody notices."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import aiohttp
import pytest
import pytest_asyncio
from tests.helpers.data import DataSet
from tests.helpers.jobs import MAPPING, Task
from tests.helpers.rest import bearer
from tests.pods.load import Load, asking, load, visitor
from tests.pods.world import DEPARTMENTS, DEPLOYMENTS, NAMESPACE, World, department, selector

from local.kubernetes.kubectl import Object

pytestmark = [pytest.mark.slow, pytest.mark.timed, pytest.mark.timeout(900)]

JOB_SECONDS = 240
OPERATOR = "department-operator"
# What the operator makes of a Department, and nobody else writes to.
MADE = ("serviceaccount", "configmap", "service", "networkpolicy")
AUDIT: Object = {
    "apiVersion": "fileprocessing.internal/v1alpha1",
    "kind": "Department",
    "metadata": {"name": "audit", "namespace": NAMESPACE},
    "spec": {
        "displayName": "Audit",
        "access": {"groups": ["audit"]},
        "datasets": [{"name": "findings", "object": "findings.csv", "key": "finding_id"}],
    },
}
Client = Callable[[], Awaitable[None]]


@dataclass
class RollOut:
    """What was seen of it.

    Attributes:
        before: The uids of the pods of each Deployment; `after` as well.
        loads: By what was done.
        operators: How many of the operator's pods there were at the same time.
        versions: Of what the operator made, before and after.
        audit: The Department that was changed all the while, in the end.
    """

    before: dict[str, set[str]]
    after: dict[str, set[str]]
    loads: dict[str, Load]
    operators: set[int] = field(default_factory=set)
    versions: list[dict[str, str]] = field(default_factory=list)
    audit: Object = field(default_factory=dict)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def roll_out(world: World, data_sets: dict[str, DataSet]) -> AsyncIterator[RollOut]:
    """One roll-out of everything, as a new version would be."""
    seen = RollOut(before=uids(world), after={}, loads={}, versions=[versions(world)])
    dana = bearer(world.tokens["dana"])
    jobs = jobs_of(world.api, dana, data_sets)
    doing: dict[str, tuple[list[Client], float]] = {
        "requests": ([asking(world.api, dana, "/api/departments", "/api/jobs")] * 3, 0.2),
        "jobs": ([jobs, jobs], 0.5),
        "visits of the page": ([visits_of(world, "alice"), visits_of(world, "bob")], 0.5),
        "changes of a department": ([changes(world, seen)], 0.5),
    }
    with department(world, AUDIT, {"findings.csv": b"finding_id,severity\nF-1,low\n"}):
        async with AsyncExitStack() as stack:
            for name, (clients, every) in doing.items():
                seen.loads[name] = await stack.enter_async_context(load(*clients, every=every))
            await all_are_used(world, seen)
            await asyncio.to_thread(world.roll, *DEPLOYMENTS)
            await asyncio.to_thread(world.wait_until_ready)
            # The old ones serve until nobody sends there any more.
            old = set().union(*seen.before.values())
            await asyncio.to_thread(world.wait, lambda: not old & all_uids(world), "the old pods are gone")
            await all_are_used(world, seen)
        seen.after = uids(world)
        seen.versions.append(versions(world))
        world.wait_until_ready("mcp-audit")
        await asyncio.to_thread(world.wait, lambda: is_ready(audit(world)), "the changed department is ready")
        seen.audit = audit(world)
        yield seen


async def all_are_used(world: World, seen: RollOut) -> None:
    """Once more each."""
    done = {name: each.done for name, each in seen.loads.items()}
    used = lambda: all(each.done > done[name] for name, each in seen.loads.items())  # noqa: E731
    await asyncio.to_thread(world.wait, used, "everything is used")


def uids(world: World) -> dict[str, set[str]]:
    return {name: {pod["metadata"]["uid"] for pod in world.pods(name)} for name in DEPLOYMENTS}


def all_uids(world: World) -> set[str]:
    return {pod["metadata"]["uid"] for pod in world.kubectl.list("pods", namespace=NAMESPACE)}


def versions(world: World) -> dict[str, str]:
    """Of what the operator made, so that one sees whether it was written to."""
    return {
        f"{kind} {name}": world.kubectl.get(kind, name, namespace=NAMESPACE)["metadata"]["resourceVersion"]  # type: ignore[index]
        for kind in MADE
        for name in DEPARTMENTS
    }


def audit(world: World) -> Object:
    return world.kubectl.get("department", "audit", namespace=NAMESPACE) or {}


def is_ready(found: Object) -> bool:
    status = found.get("status", {})
    current = status.get("observedGeneration") == found["metadata"]["generation"]
    conditions = {each["type"]: each["status"] for each in status.get("conditions", ())}
    return current and set(conditions.values()) == {"True"} and bool(status.get("tools"))


def jobs_of(url: str, headers: dict[str, str], data_sets: Mapping[str, DataSet]) -> Client:
    """A client with a job of a second or two, which the worker always has, and another as soon as it is done."""
    task = Task.of_size("csv", 20_000)
    right: list[bytes] = []

    async def job() -> None:
        async with visitor(url, headers) as rest:
            job = await rest.submit(await rest.upload("invoices.csv", task.content()), mapping=MAPPING)
            state = await rest.finished(job, JOB_SECONDS, every=0.25)
            assert state["status"] == "succeeded", state
            result = (await rest.good("GET", f"/api/jobs/{job}/result")).body
        if not right:
            assert task.is_fulfilled_by(result, "dana", data_sets)
            right.append(result)
        assert result == right[0], f"another result of the same file: job {job}"

    return job


def visits_of(world: World, user: str) -> Client:
    """A client that is logged in once: looks at the first page, then attaches a file in the chat.

    What belongs to the chat goes by one connection, and so to one pod: here each has a database of its own.
    """
    headers = {"x-amzn-oidc-accesstoken": world.page_token(user), "Origin": world.cluster.app_url}
    url = world.url("frontend", 7860)

    async def visit() -> None:
        async with visitor(url, headers) as rest:
            assert b"<html" in (await rest.good("GET", "/")).body
            assert (await rest.good("GET", "/fileproc/session")).json["expires"]
        async with visitor(url, headers, keep=True) as rest:
            chat = await rest.good("GET", "/fileproc/playground")
            flow = chat.headers["location"].removeprefix("/flow/").partition("#")[0]
            form = aiohttp.FormData()
            form.add_field("file", b"vendor_id\nV-00017\n", filename="invoices.csv")
            attached = await rest.good("POST", f"/fileproc/attachments/{flow}", data=form)
            assert attached.status == 201

    return visit


def changes(world: World, seen: RollOut) -> Client:
    """A client that changes a Department, and sees the change arrive at what is made of it."""

    def change() -> None:
        pods = world.kubectl.list("pods", namespace=NAMESPACE, selector=selector(OPERATOR))
        seen.operators.add(len(pods))
        name = f"Audit {seen.loads['changes of a department'].done}"
        world.kubectl.patch("department", "audit", {"spec": {"displayName": name}}, namespace=NAMESPACE)
        world.wait(
            lambda: name in str(world.kubectl.get("configmap", "mcp-audit", namespace=NAMESPACE)), f"{name!r} is made"
        )

    return lambda: asyncio.to_thread(change)


@pytest.mark.parametrize(
    ("name", "doing", "least"),
    [
        ("agentgateway", "requests", 50),
        ("application", "requests", 50),
        *((name, "requests", 50) for name in DEPARTMENTS),
        ("application-worker", "jobs", 5),
        ("frontend", "visits of the page", 5),
        (OPERATOR, "changes of a department", 5),
    ],
)
def test_a_roll_out_of_each_service_under_load_fails_nothing(
    roll_out: RollOut, name: str, doing: str, least: int, report_figure: Callable[[str], None]
) -> None:
    done = roll_out.loads[doing]
    report_figure(f"roll-out of {len(DEPLOYMENTS)} services: {done.done} {doing}, slowest {done.slowest:.1f} s")
    assert roll_out.before[name]
    assert roll_out.after[name]
    assert not roll_out.before[name] & roll_out.after[name]
    assert done.failures == []
    assert done.done >= least


def test_a_department_that_was_changed_while_the_operator_was_rolled_out_is_what_was_said_last(
    world: World, roll_out: RollOut
) -> None:
    assert is_ready(roll_out.audit)
    last = roll_out.loads["changes of a department"].done - 1
    assert roll_out.audit["spec"]["displayName"] == f"Audit {last}"
    events = world.kubectl.list("events", namespace=NAMESPACE)
    said = {each["reason"] for each in events if each["involvedObject"]["name"] == "audit"}
    assert "Serving" in said, said


def test_no_two_operators_work_at_once_and_what_is_right_is_not_written_again(roll_out: RollOut) -> None:
    assert roll_out.operators <= {0, 1}
    before, after = roll_out.versions
    assert before == after
