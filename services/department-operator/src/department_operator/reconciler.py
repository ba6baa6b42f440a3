"""Makes one department as its `Department` says, and tells how it is."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

import structlog

from department_operator.conditions import Condition, Situation, conditions, status
from department_operator.errors import ApiError, TryAgain
from department_operator.kubernetes import Kubernetes
from department_operator.metrics import RECONCILE_SECONDS
from department_operator.names import API_VERSION, server_name
from department_operator.objects import Object, Template, UnusableTemplate, beside_deployment, deployment
from department_operator.observed import Applied, Observed, digest, fingerprint, version
from department_operator.pod_identity import PodIdentity
from department_operator.rollout import turn
from department_operator.settings import Settings
from department_operator.strays import has_strays, without_strays
from department_operator.templates import Templates
from department_operator.validation import invalidity

log = structlog.get_logger()

WARNINGS: Final = {"Invalid", "DataMissing", "RolloutStopped", "NotMade"}
TOLD: Final = WARNINGS | {"Serving"}
"""Reasons of conditions that become an event when they come up."""


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
        self._kubernetes = kubernetes
        self._pod_identity = pod_identity
        self._observed = observed
        self._templates = templates
        self._deployed = deployed
        self._made = made
        self._outdated: set[str] = set()
        self._vanished: set[str] = set()
        self._repaired: dict[str, set[str]] = {}
        self._gone: dict[str, Mapping[str, Any]] = {}
        self._invalid: dict[str, str] = {}
        self._failed: dict[str, dict[str, str]] = {}
        self._parted: set[str] = set()

    def outdated(self, name: str) -> None:
        """What the department should be may have changed."""
        self._outdated.add(name)

    def drifted(self, kind: str, name: str) -> None:
        """Somebody changed an object."""
        self._observed.applied.pop((kind, name), None)
        self._repaired.setdefault(name, set()).add(kind)
        self._outdated.add(name)

    def vanished(self, kind: str, name: str) -> None:
        """Somebody deleted an object; or its Department was, of which nothing was heard yet."""
        self._vanished.add(name)
        self.drifted(kind, name)

    def gone(self, department: Mapping[str, Any]) -> None:
        """The Department was deleted, now or while no operator ran."""
        name = department["metadata"]["name"]
        self._observed.departments.pop(name, None)
        self._gone[name] = department
        self._parted.discard(name)

    async def reconcile(self, name: str) -> None:
        """Bring the department to what it should be.

        Raises:
            ApiError: The API server refused or did not answer.
            TryAgain: Something could not be made.
        """
        if name in self._vanished:
            await self._look_for(name)
        department = self._observed.departments.get(name)
        if department is None:
            await self._forget(name)
            return
        self._gone.pop(name, None)
        if department["metadata"].get("deletionTimestamp") is not None:
            return
        with RECONCILE_SECONDS.time():
            if name in self._outdated:
                self._outdated.discard(name)
                try:
                    await self._make(department)
                except BaseException:
                    self._outdated.add(name)
                    raise
            await self._tell(department)
        if name in self._failed:
            self._outdated.add(name)
            raise TryAgain("; ".join(self._failed[name].values()))

    async def _make(self, department: Mapping[str, Any]) -> None:
        name = department["metadata"]["name"]
        self._failed.pop(name, None)
        self._invalid.pop(name, None)
        if (invalid := invalidity(department, self._observed.departments)) is not None:
            self._invalid[name] = invalid
            return
        problems = await self._apply_changed(name, beside_deployment(department))
        try:
            # Last, so that its pods find what they mount, and are closed off from their first moment.
            if (last := self._deployment(department)) is not None:
                problems |= await self._apply_changed(name, [last])
        except UnusableTemplate as error:
            problems["PodTemplate"] = str(error)
        try:
            await self._pod_identity.ensure(name)
        except TryAgain as error:
            problems["PodIdentityAssociation"] = str(error)
        if problems:
            self._failed[name] = problems
            log.warning("department.not_made", department=name, problems=list(problems.values()))

    async def _apply_changed(self, name: str, documents: list[Object]) -> dict[str, str]:
        """Apply those that differ from what was applied; what went wrong, by kind."""
        known = self._observed.applied
        changed: list[tuple[Object, str]] = []
        for document in documents:
            desired = digest(document)
            applied = known.get((document["kind"], name))
            if applied is None or applied.desired != desired:
                changed.append((document, desired))
        answers = await asyncio.gather(*(self._apply(name, *each) for each in changed), return_exceptions=True)
        problems: dict[str, str] = {}
        for (document, _), answer in zip(changed, answers, strict=True):
            if isinstance(answer, ApiError):
                problems[document["kind"]] = f"{document['kind']} {document['metadata']['name']}: {answer}"
            elif isinstance(answer, BaseException):
                raise answer
        return problems

    async def _apply(self, name: str, document: Object, desired: str) -> None:
        kind = document["kind"]
        meanwhile = self._observed.in_flight.setdefault((kind, name), [])
        try:
            answer = await self._kubernetes.apply(document)
            if has_strays(answer):
                answer = await self._kubernetes.replace(without_strays(answer, document))
            self._observed.applied[kind, name] = Applied(desired, fingerprint(answer), version(answer))
            if kind == "Deployment":
                self._deployed(answer)
        finally:
            del self._observed.in_flight[kind, name]
            for change, found in meanwhile:
                self._made(kind, change, found)

    def _deployment(self, department: Mapping[str, Any]) -> Object | None:
        """The Deployment, from the template whose turn it is; None where there is nothing to build it from."""
        current = self._templates.current
        if current is None:
            return None
        name = department["metadata"]["name"]
        state = self._observed.deployments.get(name)
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

    async def _tell(self, department: Mapping[str, Any]) -> None:
        name = department["metadata"]["name"]
        current = self._templates.current
        answer = self._observed.answers.get(name)
        found = conditions(
            Situation(
                invalid=self._invalid.get(name),
                failures=self._failed.get(name, {}),
                revision=None if current is None else current.revision,
                deployment=self._observed.deployments.get(name),
                pods=self._observed.pods.get(name, {}).values(),
                answer=answer,
            )
        )
        known = department.get("status", {})
        endpoint = self._endpoint.replace("{department}", name)
        wanted = status(found, known, department["metadata"]["generation"], endpoint, answer)
        if wanted != known:
            # By its uid, so that another Department of the same name is not meant.
            metadata = {"name": name, "uid": department["metadata"]["uid"]}
            document = {"apiVersion": API_VERSION, "kind": "Department", "metadata": metadata, "status": wanted}
            try:
                after = await self._kubernetes.apply(document, "status")
            except ApiError as error:
                if error.status in {404, 409}:
                    self._vanished.add(name)
                raise
            latest = self._observed.departments.get(name)
            if latest is not None and version(latest) < version(after):
                # All else stays as the watch brought it: a change of the specification is noticed when it brings that.
                self._observed.departments[name] = latest | {"status": after["status"]}
        await self._report(department, found, known)

    async def _report(self, department: Mapping[str, Any], found: list[Condition], known: Mapping[str, Any]) -> None:
        before = {(line["type"], line["reason"]) for line in known.get("conditions", [])}
        told: set[str] = set()
        for line in found:
            if line.reason in TOLD - told and (line.type, line.reason) not in before:
                told.add(line.reason)
                await self._kubernetes.report(department, line.reason, line.message, warning=line.reason in WARNINGS)
        if kinds := self._repaired.pop(department["metadata"]["name"], None):
            message = f"Somebody changed or deleted what the operator made; put right: {', '.join(sorted(kinds))}."
            await self._kubernetes.report(department, "Repaired", message)

    async def _look_for(self, name: str) -> None:
        """See whether a Department whose object was deleted is still there: nothing is made for one that is not."""
        known = self._observed.departments.get(name)
        if known is not None:
            found = await self._kubernetes.get(API_VERSION, "Department", name)
            if found is None or found["metadata"]["uid"] != known["metadata"]["uid"]:
                self.gone(known)
        self._vanished.discard(name)

    async def _forget(self, name: str) -> None:
        department = self._gone.get(name)
        if department is None:
            return
        observed = self._observed
        if name not in self._parted:
            # First: an operator that is stopped in between finds the association, and says it again.
            message = (
                f"The department's data stays in the data bucket, under departments/{server_name(name)}/. Delete it "
                "there if it is no longer wanted; a department of the same name would serve it again."
            )
            await self._kubernetes.report(department, "DataKept", message)
            self._parted.add(name)
        await self._pod_identity.remove(name)
        log.info("department.deleted", department=name)
        if name in observed.departments:
            return  # made again meanwhile
        self._gone.pop(name, None)
        self._parted.discard(name)
        for known in (self._invalid, self._failed, self._repaired, observed.answers, observed.deployments):
            known.pop(name, None)
        for key in [key for key in observed.applied if key[1] == name]:
            del observed.applied[key]
        self._outdated.discard(name)
