"""The first rows of a file, enriched at once, with why each column was taken for a key."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from collections.abc import Sequence
from dataclasses import replace

import orjson
import pyarrow as pa

from application.engine.core.cells import with_points
from application.engine.core.head import Head, check_mapping
from application.engine.core.identifiers import Finder
from application.engine.core.join import Joiner, Rows, clean_keys
from application.engine.core.model import (
    DEFAULT_LIMITS,
    ColumnMapping,
    Detected,
    Format,
    Limits,
    Lookup,
    Mapping,
    Preview,
    PreviewMapping,
    Scalar,
    Source,
)
from application.engine.mapping import SAMPLED_ROWS, propose_from_head, with_given
from application.engine.registry import read_head
from common.file_options import DETECT_ALL, FileOptions


def preview(
    source: Source,
    file_format: Format,
    lookup: Lookup,
    *,
    departments: Sequence[str] | None = None,
    given: Dict[str, Sequence[str]] | None = None,
    columns: Dict[str, Sequence[str]] | None = None,
    options: FileOptions = DETECT_ALL,
    rows: int = 10,
    limits: Limits = DEFAULT_LIMITS,
) -> Preview:
    """Enrich the first ``rows`` rows. Open questions are in the answer, not raised.

    Raises ``InputError`` and ``DepartmentUnavailable``.
    """
    datasets = lookup.datasets()
    head = with_given(read_head(source, file_format, datasets, given, options, limits, SAMPLED_ROWS), given)
    proposal = propose_from_head(head, file_format, datasets, departments, given, columns, options)
    if not file_format.is_document:
        check_mapping(head.columns, proposal.mapping)
    keys = _keys(head, proposal.mapping, options, is_document=file_format.is_document)
    if file_format.is_document and proposal.mapping:
        # An identifier of a data set that is not used is no row.
        head, keys = _used(head, keys)
    shown = Head(head.columns, head.rows[:rows])
    added, mappings = _enriched(shown, [column.slice(0, rows) for column in keys], proposal.mapping, lookup, limits)
    return Preview(
        columns=(*head.columns, *(name for entry in proposal.mapping for name in entry.added)),
        rows=tuple(
            (*row, *(value for part in parts for value in part)) for row, *parts in zip(shown.rows, *added, strict=True)
        ),
        mapping=mappings,
        unmapped=proposal.unmapped,
        questions=proposal.questions,
        detected=head.detected or Detected(file_format.value),
    )


def _keys(head: Head, mapping: Mapping, options: FileOptions, *, is_document: bool) -> list[pa.Array]:
    """The keys of each mapping; an identifier in a text is one only of the data sets that it fits."""
    finder = Finder([entry.dataset for entry in mapping]) if is_document else None
    keys = []
    for index, entry in enumerate(mapping):
        place = head.columns.index(entry.column)
        values = [row[place] for row in head.rows]
        if finder is not None:
            values = [value if value and index in finder.fits(value) else None for value in values]
        keys.append(with_points(clean_keys(pa.array(values, pa.string())), options.decimal))
    return keys


def _used(head: Head, keys: Sequence[pa.Array]) -> tuple[Head, list[pa.Array]]:
    rows = [index for index in range(len(head.rows)) if any(column[index].as_py() for column in keys)]
    taken = [column.take(pa.array(rows, pa.int64())) for column in keys]
    return replace(head, rows=tuple(head.rows[index] for index in rows)), taken


def _enriched(
    head: Head, keys: Sequence[pa.Array], mapping: Mapping, lookup: Lookup, limits: Limits
) -> tuple[list[list[list[Scalar]]], tuple[PreviewMapping, ...]]:
    """What is added to each row, for each mapping; and what became of its keys."""
    with Joiner(mapping, lookup, _render, limits) as joiner:
        added = (
            [
                [orjson.loads(row) for row in part.to_pylist()]
                for part in joiner.join(keys, range(2, 2 + len(head.rows)))
            ]
            if head.rows
            else []
        )
        mappings = tuple(
            PreviewMapping(
                entry.column,
                str(entry.dataset.ref),
                entry.evidence,
                tally.matched,
                tally.matched + tally.unmatched,
                tally.sample,
            )
            for entry, tally in zip(mapping, joiner.tallies, strict=True)
        )
    return added, mappings


def _render(entry: ColumnMapping, rows: Rows) -> pa.Array:
    nothing = orjson.dumps([None] * len(entry.columns))
    return pa.array([nothing if row is None else orjson.dumps(list(row)) for row in rows], pa.large_binary())
