"""Versions of the PodTemplate, kept as ControllerRevisions for as long as a department is built from them."""

from collections.abc import Mapping
from typing import Any, Final

import structlog

from department_operator.kubernetes import Kubernetes
from department_operator.names import FIELD_MANAGER, POD_TEMPLATE
from department_operator.objects import Template
from department_operator.observed import digest

log = structlog.get_logger()

LABELS: Final = {
    "app.kubernetes.io/name": POD_TEMPLATE,
    "app.kubernetes.io/part-of": "file-processing",
    "app.kubernetes.io/managed-by": FIELD_MANAGER,
}


class Templates:
    """A department that waits for its turn can be made again as it was, though the PodTemplate has changed since."""

    def __init__(self, kubernetes: Kubernetes) -> None:
        self._kubernetes = kubernetes
        self._kept: dict[str, Template] = {}
        self._newest = 0
        self._seen: Template | None = None
        self.current: Template | None = None

    async def load(self) -> None:
        """Learn what was kept before.

        Raises:
            ApiError: The API server refused or did not answer.
        """
        selector = ",".join(f"{name}={value}" for name, value in LABELS.items())
        async for document in self._kubernetes.list("apps/v1", "ControllerRevision", selector):
            revision = document["metadata"]["name"].removeprefix(f"{POD_TEMPLATE}-")
            self._kept[revision] = Template(revision, document["data"])
            self._newest = max(self._newest, document["revision"])

    def see(self, document: Mapping[str, Any]) -> bool:
        """Take note of the PodTemplate as it is; says whether it is another than the current one."""
        content = document["template"]
        self._seen = Template(digest(content), content)
        return self.current is None or self.current.revision != self._seen.revision

    def kept(self, revision: str) -> Template | None:
        """That version, if it is kept."""
        return self._kept.get(revision)

    def superfluous(self, used: set[str]) -> bool:
        """Whether versions are kept that nothing is built from."""
        return bool(self._unused(used))

    async def record(self, used: set[str]) -> None:
        """Keep what was seen, make it the current one, and drop versions that nothing is built from.

        Raises:
            ApiError: The API server refused or did not answer.
        """
        seen = self._seen
        if seen is None:
            return
        if seen.revision not in self._kept:
            self._newest += 1
            await self._kubernetes.apply(
                {
                    "apiVersion": "apps/v1",
                    "kind": "ControllerRevision",
                    "metadata": {"name": f"{POD_TEMPLATE}-{seen.revision}", "labels": LABELS},
                    "revision": self._newest,
                    "data": seen.content,
                }
            )
            self._kept[seen.revision] = seen
            log.info("pod_template.recorded", revision=seen.revision)
        self.current = seen
        for revision in self._unused(used):
            await self._kubernetes.delete("apps/v1", "ControllerRevision", f"{POD_TEMPLATE}-{revision}")
            del self._kept[revision]

    def _unused(self, used: set[str]) -> set[str]:
        current = {template.revision for template in (self.current, self._seen) if template is not None}
        return set(self._kept) - used - current
