"""What happens in the cluster comes in here, and names of departments to work on come out."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import aiohttp
import structlog

from department_operator.errors import ApiError, TryAgain
from department_operator.kubernetes import Kubernetes, Object
from department_operator.metrics import REPAIRS
from department_operator.names import API_VERSION, DEPARTMENT_LABEL, MADE, POD_TEMPLATE
from department_operator.observed import DeploymentState, Observed, PodState, department_of, fingerprint, kept, version
from department_operator.pod_identity import PodIdentity
from department_operator.queue import WorkQueue
from department_operator.reconciler import Reconciler
from department_operator.rollout import turn
from department_operator.server_status import ask
from department_operator.settings import Settings
from department_operator.templates import Templates

log = structlog.get_logger()

TEMPLATE: Final = "/template"
SWEEP: Final = "/sweep"
SWEEP_SECONDS: Final = 1.0
"""From the first object that a watch lists to the sweep: the others are listed meanwhile."""
STATUS_CHECKS_AT_ONCE: Final = 16

Document = Mapping[str, Any]


class Operator:
    """Keeps `Observed` as the cluster is, and every department as its `Department` says.

    The cluster is the only memory: after a start everything is applied again, which changes nothing where all is right.
    """

    def __init__(
        self, settings: Settings, kubernetes: Kubernetes, pod_identity: PodIdentity, session: aiohttp.ClientSession
    ) -> None:
        """Nothing is known yet. `session` is for the departments' servers."""
        self._kubernetes = kubernetes
        self._pod_identity = pod_identity
        self._session = session
        self._observed = Observed()
        self._templates = Templates(kubernetes)
        self._reconciler = Reconciler(
            settings, kubernetes, pod_identity, self._observed, self._templates, self.deployment, self.made
        )
        self._queue = WorkQueue("departments", self._work, settings.workers)
        self._status_checks = WorkQueue("server-status", self._check_status, STATUS_CHECKS_AT_ONCE)
        self._sweeping: asyncio.TimerHandle | None = None
        self.started = False

    @property
    def departments(self) -> int:
        """How many there are."""
        return len(self._observed.departments)

    @property
    def revision(self) -> str | None:
        """Of the PodTemplate that new departments are built from."""
        return None if self._templates.current is None else self._templates.current.revision

    async def start(self) -> None:
        """Learn how the cluster is.

        All of it before anything is done: whose turn it is in a roll-out can be told only from all Deployments.

        Raises:
            ApiError: The API server refused or did not answer.
        """
        await self._templates.load()
        async for document in self._kubernetes.list("v1", "PodTemplate"):
            self.pod_template("ADDED", document)
        async for document in self._kubernetes.list("apps/v1", "Deployment", DEPARTMENT_LABEL):
            self.deployment(document)
        async for document in self._kubernetes.list("v1", "Pod", DEPARTMENT_LABEL):
            self.pod("ADDED", document)
        async for document in self._kubernetes.list(API_VERSION, "Department"):
            self.department("ADDED", document)
        self.started = True
        self._sweep_soon()

    def work(self) -> list[asyncio.Task[None]]:
        """The tasks that work until they are cancelled."""
        return [*self._queue.start(), *self._status_checks.start()]

    def department(self, change: str | None, document: Document) -> None:
        """A Department was found, made, changed or deleted."""
        name = document["metadata"]["name"]
        if change is None:
            self._sweep_soon()
        known = self._observed.document(name)
        if known is not None and version(document) < version(known):
            return
        if change == "DELETED":
            self._reconciler.gone(document)
            self._queue.add(name)
            self._check_names_below(name)
            return
        self._observed[name].document = kept(document)
        if known is None or any(known["metadata"][key] != document["metadata"][key] for key in ("uid", "generation")):
            self._reconciler.outdated(name)
            self._status_checks.add(name)
            self._check_names_below(name)
        self._queue.add(name)

    def _check_names_below(self, name: str) -> None:
        """Whether a department of a longer name may have that name depends on this department's tools."""
        for other in self._observed.departments:
            if other.startswith(f"{name}-"):
                self._reconciler.outdated(other)
                self._queue.add(other)

    def made(self, kind: str, change: str | None, document: Document) -> None:
        """One of the objects that are made for departments was found, made, changed or deleted."""
        name = department_of(document)
        if name is None:
            return
        if change is None:
            self._sweep_soon()
        state = self._observed.peek(name)
        if (meanwhile := state.in_flight.get(kind)) is not None:
            # It may be the operator's own change, which is known as such once it has been answered.
            meanwhile.append((change, document))
            return
        applied = state.applied.get(kind)
        if applied is not None and version(document) <= applied.version:
            return
        if kind == "Deployment":
            self.deployment(document, deleted=change == "DELETED")
        if applied is None:
            return
        if change == "DELETED":
            self._reconciler.vanished(kind, name)
        elif fingerprint(document) != applied.fingerprint:
            self._reconciler.drifted(kind, name)
        else:
            return
        REPAIRS.labels(kind).inc()
        log.info("object.changed_by_others", kind=kind, department=name, deleted=change == "DELETED")
        self._queue.add(name)

    def deployment(self, document: Document, *, deleted: bool = False) -> None:
        """A department's Deployment is as `document` says, or was so when it was deleted."""
        name = department_of(document)
        found = None if deleted else DeploymentState.of(document)
        if name is None or self._observed.peek(name).deployment == found:
            return
        self._observed[name].deployment = found
        self._queue.add(name)
        self._next_turn()

    def pod(self, change: str | None, document: Document) -> None:
        """A department's pod was found, made, changed or deleted."""
        name = department_of(document)
        if name is None:
            return
        pods = self._observed[name].pods
        pod = document["metadata"]["name"]
        if change == "DELETED" or document["metadata"].get("deletionTimestamp") is not None:
            if pods.pop(pod, None) is None:
                return
        else:
            state = PodState.of(document)
            if pods.get(pod) == state:
                return
            pods[pod] = state
        self._queue.add(name)
        self._status_checks.add(name)

    def pod_template(self, change: str | None, document: Document) -> None:
        """A PodTemplate was found, made, changed or deleted. Where it is gone, departments stay as they are."""
        if document["metadata"]["name"] == POD_TEMPLATE and change != "DELETED" and self._templates.see(document):
            self._queue.add(TEMPLATE)

    async def _work(self, name: str) -> None:
        try:
            if name == TEMPLATE:
                before = self.revision
                await self._templates.record({each.revision for each in self._observed.deployments.values()})
                if self.revision != before:
                    for department in self._observed.departments:
                        self._reconciler.outdated(department)
                        self._queue.add(department)
            elif name == SWEEP:
                await self._sweep()
            else:
                await self._reconciler.reconcile(name)
        except ApiError as error:
            raise TryAgain(str(error)) from error

    def _sweep_soon(self) -> None:
        """A watch that begins, or begins anew, lists what there is: what went before that, it never says."""
        if self._sweeping is None:
            self._sweeping = asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._queue.add, SWEEP)

    async def _sweep(self) -> None:
        """Find what went while nobody watched: Departments, objects of theirs, and Departments of associations."""
        self._sweeping = None
        known = {name: self._uid(name) for name in self._observed.departments}
        found = set[str]()
        async for document in self._kubernetes.list(API_VERSION, "Department"):
            found.add(document["metadata"]["name"])
            self.department("MODIFIED", document)
        for name, uid in known.items():
            gone = self._observed.document(name)
            if name not in found and gone is not None and self._uid(name) == uid:
                self.department("DELETED", gone)
        for department in await self._pod_identity.departments():
            if self._observed.document(department) is None and department not in found:
                self._reconciler.gone({"metadata": {"name": department, "uid": ""}})
                self._queue.add(department)
        for kind, (group, version_of_kind, _) in MADE.items():
            applied = {name: state.applied.get(kind) for name, state in self._observed.items()}
            api_version = f"{group}/{version_of_kind}".strip("/")
            there = {department_of(each) async for each in self._labelled(api_version, kind)}
            for name, before in applied.items():
                if before is not None and name not in there and self._observed.peek(name).applied.get(kind) is before:
                    self._reconciler.vanished(kind, name)
                    self._queue.add(name)
        pods = {name: list(state.pods) for name, state in self._observed.items()}
        running = {each["metadata"]["name"] async for each in self._labelled("v1", "Pod")}
        for name, names in pods.items():
            for pod in set(names) - running:
                self.pod("DELETED", {"metadata": {"name": pod, "labels": {DEPARTMENT_LABEL: name}}})

    def _labelled(self, api_version: str, kind: str) -> AsyncIterator[Object]:
        return self._kubernetes.list(api_version, kind, DEPARTMENT_LABEL, metadata_only=True)

    def _uid(self, name: str) -> str | None:
        document = self._observed.document(name)
        return None if document is None else document["metadata"]["uid"]

    def _next_turn(self) -> None:
        current = self._templates.current
        if current is None or not self.started:
            return
        now = turn(self._observed.deployments, current.revision)
        for name in now.next:
            self._reconciler.outdated(name)
            self._queue.add(name)
        if not now.outdated and self._templates.superfluous({current.revision}):
            self._queue.add(TEMPLATE)

    async def _check_status(self, name: str) -> None:
        state = self._observed.peek(name)
        pods = [pod for pod in state.pods.values() if pod.address is not None]
        department = state.document
        if department is None or not pods:
            return
        pod = next((pod for pod in pods if pod.ready), pods[0])
        answer = await ask(self._session, str(pod.address))
        if state.server != answer:
            state.server = answer
            self._queue.add(name)
        if not answer.ready or not answer.fits(department["spec"]):
            raise TryAgain("the server is not ready, or does not yet go by its Department as it is now")
