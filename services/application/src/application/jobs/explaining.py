"""Says of keys that were not found why that is, and which ones were probably meant."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

import structlog

from application.departments.lookup import MAX_KEYS_PER_EXPLANATION, DepartmentLookup, ExplainedKey
from application.engine import (
    CauseCount,
    DatasetRef,
    DepartmentUnavailable,
    MappingReport,
    Preview,
    Report,
    UnmatchedKey,
)
from application.errors import DepartmentRefused
from common.causes import DESCRIPTIONS

log = structlog.get_logger()

EXPLAINED_KEYS = 10_000
"""Different keys of one column that are looked into; each costs a department as much as a search."""

LISTED_KEYS = 100
"""That a report keeps; a review has them all."""

_SECONDS = 60.0
_PREVIEW_SECONDS = 3.0


def explained(report: Report, lookup: DepartmentLookup) -> Report:
    """The report with causes and proposals for all the keys that it lists.

    A department that cannot say leaves its keys without: the file is enriched all the same.

    Raises:
        Cancelled: The look-up was stopped.
    """
    until = time.monotonic() + _SECONDS
    return report.model_copy(update={"mappings": tuple(_mapping(each, lookup, until) for each in report.mappings)})


def explained_preview(preview: Preview, lookup: DepartmentLookup) -> Preview:
    """The preview with causes and proposals for the keys that its rows did not find, as far as they come at once.

    Raises:
        Cancelled: The look-up was stopped.
    """
    until = time.monotonic() + _PREVIEW_SECONDS
    mapping = (
        replace(each, missed=tuple(_explained(each.missed, DatasetRef.parse(each.dataset), lookup, until)))
        for each in preview.mapping
    )
    return replace(preview, mapping=tuple(mapping))


def shortened(report: Report) -> Report:
    """The report with as many keys as it keeps."""
    return report.model_copy(
        update={
            "mappings": tuple(
                each.model_copy(update={"unmatched_sample": each.unmatched_sample[:LISTED_KEYS]})
                for each in report.mappings
            )
        }
    )


def _mapping(mapping: MappingReport, lookup: DepartmentLookup, until: float) -> MappingReport:
    keys = _explained(mapping.unmatched_sample, DatasetRef.parse(mapping.dataset), lookup, until)
    counted = Counter(key.cause for key in keys)
    causes = (
        CauseCount(cause=cause, description=description, keys=counted[cause])
        for cause, description in DESCRIPTIONS.items()
        if counted[cause]
    )
    ordered = tuple(sorted(causes, key=lambda cause: -cause.keys))
    return mapping.model_copy(update={"unmatched_sample": tuple(keys), "causes": ordered})


def _explained(
    misses: Sequence[UnmatchedKey], dataset: DatasetRef, lookup: DepartmentLookup, until: float
) -> list[UnmatchedKey]:
    found = list(_answers(dataset, [each.key for each in misses], lookup, until))
    keys = [_key(miss, answer, dataset.department) for miss, answer in zip(misses, found, strict=False)]
    return [*keys, *misses[len(found) :]]


def _answers(
    dataset: DatasetRef, keys: Sequence[str], lookup: DepartmentLookup, until: float
) -> Iterator[ExplainedKey]:
    for start in range(0, len(keys), MAX_KEYS_PER_EXPLANATION):
        if time.monotonic() > until:
            log.warning(
                "job.keys_not_explained", dataset=str(dataset), keys=len(keys) - start, error="it takes too long"
            )
            return
        try:
            yield from lookup.explain(dataset, keys[start : start + MAX_KEYS_PER_EXPLANATION], until - time.monotonic())
        except (DepartmentRefused, DepartmentUnavailable) as error:
            log.warning("job.keys_not_explained", dataset=str(dataset), keys=len(keys) - start, error=error.detail)
            return


def _key(miss: UnmatchedKey, answer: ExplainedKey, department: str) -> UnmatchedKey:
    dataset = None if answer.dataset is None else f"{department}.{answer.dataset}"
    return miss.model_copy(update={"cause": answer.cause, "dataset": dataset, "proposals": answer.proposals})
