"""The first rows of a file, enriched at once, with why each column was taken for a key."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from collections.abc import Sequence
from dataclasses import dataclass

from application.engine.model import DEFAULT_LIMITS, Format, Limits, Lookup, Question, Scalar, Source


@dataclass(frozen=True, slots=True)
class PreviewMapping:
    """One mapping with its evidence; ``matched`` of ``values`` non-empty cells of the preview were found."""

    column: str
    dataset: str
    evidence: tuple[str, ...]
    matched: int
    values: int


@dataclass(frozen=True, slots=True)
class Preview:
    """``columns`` are the input's, then the added ones; a document has one row for each identifier found."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Scalar, ...], ...]
    mapping: tuple[PreviewMapping, ...]
    unmapped: tuple[str, ...]
    questions: tuple[Question, ...]


def preview(
    source: Source,
    file_format: Format,
    lookup: Lookup,
    *,
    departments: Sequence[str] | None = None,
    given: Dict[str, Sequence[str]] | None = None,
    columns: Dict[str, Sequence[str]] | None = None,
    rows: int = 10,
    limits: Limits = DEFAULT_LIMITS,
) -> Preview:
    """Enrich the first ``rows`` rows. Open questions are in the answer, not raised. Raises ``InputError``, ``DepartmentUnavailable``."""
    raise NotImplementedError
