"""Makes one department as its `Department` says, and tells how it is."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

import structlog

from department_operator.conditions import Condition, conditions, status
from department_operator.errors import ApiError, TryAgain
from department_operator.foreign_fields import has_foreign_fields, without_foreign_fields
from department_operator.kubernetes import Kubernetes
from department_operator.metrics import RECONCILE_SECONDS
from department_operator.names import API_VERSION, server_name
from department_operator.objects import Object, Template, UnusableTemplate, beside_deployment, deployment, role_binding
from department_operator.observed import Applied, DepartmentState, Observed, digest, fingerprint, version
from department_operator.pod_identity import PodIdentity
from department_operator.rollout import turn
from department_operator.settings import Settings
from department_operator.templates import Templates
from department_operator.validation import invalidity

log = structlog.get_logger()

WARNINGS: Final = {"Invalid", "DataMissing", "RolloutStopped", "NotMade"}
TOLD: Final = WARNINGS | {"Serving"}
"""Reasons of conditions that become an event when they come up."""


def advice(error: ApiError) -> str:
    """What to change in the Department, where the API server's words speak of what was made of it."""
    if "must be less than or equal to memory limit" in str(error):
        return (
            " Set both requests.memory and limits.memory in server.resources: the rest is as the PodTemplate"
            " mcp-server has it."
        )
    return ""


class Reconciler:
    """Works on one department at a time, and only where something may differ from what was applied last."""

    def __init__(
        self,
        settings: Settings,
        kubernetes: Kubernetes,
        pod_identity: PodIdentity,
        observed: Observed,
        templates: Templates,
        deployed: Callable[[Object], None],
        made: Callable[[str, str | None, Mapping[str, Any]], None],
    ) -> None:
        """Nothing is worked on yet.

        Args:
            deployed: Is told of each Deployment as it was after it was applied.
            made: Is told what was said of an object while it was applied.
        """
        self._endpoint = settings.endpoint
        self._zones = settings.zones
        self._kubernetes = kubernetes
        self._pod_identity = pod_identity
        self._observed = observed
        self._templates = templates
        self._deployed = deployed
        self._made = made

    def outdated(self, name: str) -> None:
        """What the department should be may have changed."""
        self._observed[name].outdated = True

    def drifted(self, kind: str, name: str) -> None:
        """Somebody changed an object."""
        state = self._observed[name]
        state.applied.pop(kind, None)
        state.repaired.add(kind)
        state.outdated = True

    def vanished(self, kind: str, name: str) -> None:
        """Somebody deleted an object; or its Department was, of which nothing was heard yet."""
        self._observed[name].vanished = True
        self.drifted(kind, name)

    def gone(self, department: Mapping[str, Any]) -> None:
        """The Department was deleted, now or while no operator ran."""
        state = self._observed[department["metadata"]["name"]]
        state.document = None
        state.gone = department
        state.data_reported = False

    async def reconcile(self, name: str) -> None:
        """Bring the department to what it should be.

        Raises:
            ApiError: The API server refused or did not answer.
            TryAgain: Something could not be made.
        """
        state = self._observed[name]
        if state.vanished:
            await self._look_for(name)
        department = state.document
        if department is None:
            await self._forget(name)
            return
        state.gone = None
        if department["metadata"].get("deletionTimestamp") is not None:
            return
        with RECONCILE_SECONDS.time():
            if state.outdated:
                state.outdated = False
                try:
                    await self._make(department, state)
                except BaseException:
                    state.outdated = True
                    raise
            await self._tell(department, state)
        if state.failures:
            state.outdated = True
            raise TryAgain("; ".join(state.failures.values()))

    async def _make(self, department: Mapping[str, Any], state: DepartmentState) -> None:
        name = department["metadata"]["name"]
        state.failures = {}
        state.invalid = invalidity(department, self._observed.document)
        if state.invalid is not None:
            return
        problems = await self._apply_changed(name, beside_deployment(department, self._zones))
        last = [role_binding(department)]
        try:
            # Last, so that its pods find what they mount, and are closed off from their first moment.
            if (made := self._deployment(department)) is not None:
                last.append(made)
        except UnusableTemplate as error:
            problems["PodTemplate"] = str(error)
        problems |= await self._apply_changed(name, last)
        try:
            await self._pod_identity.ensure(name)
        except TryAgain as error:
            problems["PodIdentityAssociation"] = str(error)
        if problems:
            state.failures = problems
            log.warning("department.not_made", department=name, problems=list(problems.values()))

    async def _apply_changed(self, name: str, documents: list[Object]) -> dict[str, str]:
        """Apply those that differ from what was applied; what went wrong, by kind."""
        known = self._observed[name].applied
        changed: list[tuple[Object, str]] = []
        for document in documents:
            desired = digest(document)
            applied = known.get(document["kind"])
            if applied is None or applied.desired != desired:
                changed.append((document, desired))
        answers = await asyncio.gather(*(self._apply(name, *each) for each in changed), return_exceptions=True)
        problems: dict[str, str] = {}
        for (document, _), answer in zip(changed, answers, strict=True):
            if isinstance(answer, ApiError):
                problems[document["kind"]] = (
                    f"{document['kind']} {document['metadata']['name']}: {answer}{advice(answer)}"
                )
            elif isinstance(answer, BaseException):
                raise answer
        return problems

    async def _apply(self, name: str, document: Object, desired: str) -> None:
        kind = document["kind"]
        state = self._observed[name]
        meanwhile = state.in_flight.setdefault(kind, [])
        try:
            answer = await self._kubernetes.apply(document)
            if has_foreign_fields(answer):
                answer = await self._kubernetes.replace(without_foreign_fields(answer, document))
            state.applied[kind] = Applied(desired, fingerprint(answer), version(answer))
            if kind == "Deployment":
                self._deployed(answer)
        finally:
            del state.in_flight[kind]
            for change, found in meanwhile:
                self._made(kind, change, found)

    def _deployment(self, department: Mapping[str, Any]) -> Object | None:
        """The Deployment, from the template whose turn it is; None where there is nothing to build it from."""
        current = self._templates.current
        if current is None:
            return None
        name = department["metadata"]["name"]
        state = self._observed[name].deployment
        if state is None:
            return deployment(department, current, proves=None)
        template: Template | None = current
        proves = state.proves
        if state.revision != current.revision:
            if name in turn(self._observed.deployments, current.revision).next:
                proves = current.revision if state.available > 0 else None
            else:
                template = self._templates.kept(state.revision)
        return None if template is None else deployment(department, template, proves=proves)

    async def _tell(self, department: Mapping[str, Any], state: DepartmentState) -> None:
        name = department["metadata"]["name"]
        current = self._templates.current
        found = conditions(state, None if current is None else current.revision)
        known = department.get("status", {})
        endpoint = self._endpoint.replace("{department}", name)
        wanted = status(found, known, department["metadata"]["generation"], endpoint, state.server)
        if wanted != known:
            # By its uid, so that another Department of the same name is not meant.
            metadata = {"name": name, "uid": department["metadata"]["uid"]}
            document = {"apiVersion": API_VERSION, "kind": "Department", "metadata": metadata, "status": wanted}
            try:
                after = await self._kubernetes.apply(document, "status")
            except ApiError as error:
                if error.status in {404, 409}:
                    state.vanished = True
                raise
            latest = state.document
            if latest is not None and version(latest) < version(after):
                # All else stays as the watch brought it: a change of the specification is noticed when it brings that.
                state.document = latest | {"status": after["status"]}
        await self._report(department, state, found, known)

    async def _report(
        self, department: Mapping[str, Any], state: DepartmentState, found: list[Condition], known: Mapping[str, Any]
    ) -> None:
        before = {(line["type"], line["reason"]) for line in known.get("conditions", [])}
        told: set[str] = set()
        for line in found:
            if line.reason in TOLD - told and (line.type, line.reason) not in before:
                told.add(line.reason)
                await self._kubernetes.report(department, line.reason, line.message, warning=line.reason in WARNINGS)
        if state.repaired:
            kinds, state.repaired = state.repaired, set()
            message = f"Somebody changed or deleted what the operator made; put right: {', '.join(sorted(kinds))}."
            await self._kubernetes.report(department, "Repaired", message)

    async def _look_for(self, name: str) -> None:
        """See whether a Department whose object was deleted is still there: nothing is made for one that is not."""
        state = self._observed[name]
        known = state.document
        if known is not None:
            uid = known["metadata"]["uid"]
            found = await self._kubernetes.get(API_VERSION, "Department", name)
            is_gone = found is None or found["metadata"]["uid"] != uid
            # One that was made again meanwhile, and is known already, stays.
            if is_gone and state.document is not None and state.document["metadata"]["uid"] == uid:
                self.gone(known)
        state.vanished = False

    async def _forget(self, name: str) -> None:
        state = self._observed[name]
        if state.gone is None:
            if state == DepartmentState():
                self._observed.forget(name)
            return
        if not state.data_reported:
            # First: an operator that is stopped in between finds the association, and says it again.
            message = (
                f"The department's data stays in the data bucket, under departments/{server_name(name)}/. Delete it "
                "there if it is no longer wanted; a department of the same name would serve it again."
            )
            await self._kubernetes.report(state.gone, "DataKept", message)
            state.data_reported = True
        await self._pod_identity.remove(name)
        log.info("department.deleted", department=name)
        if state.document is None:  # else it was made again meanwhile
            self._observed.forget(name)
