"""The enrichment engine: reads a file, adds what departments know about its keys, writes a file of the same format.

Pure and synchronous: it knows neither AWS nor HTTP. Order of use:

1. ``detect_format(name, head)`` with the first 64 KiB (or all of a shorter file) tells the format or raises
   ``InputError``.
2. ``mapping.propose_mapping(source, format, datasets, …)`` finds or checks the mapping; ``decide(proposal)`` turns it
   into a ``Mapping`` or raises ``InputError`` (``unclear-mapping``, ``nothing-to-enrich``).
3. ``enrich.enrich(…)`` writes the whole result to ``sink`` (only ``write`` is called) and returns a ``Report``; or
   ``preview.preview(…)`` returns the first rows enriched.

``source`` is rewound by each of them. Any exception from ``enrich`` means that what is in ``sink`` must be thrown away.

What parses a file is imported by the processes of ``application.sandbox`` alone, which bound what it may take. This
module has the rest, and none of the libraries: a service that imports it stays small.
"""

from application.engine.core.decision import decide, left_out
from application.engine.core.errors import Cancelled, DepartmentUnavailable, InputError
from application.engine.core.formats import detect_format
from application.engine.core.model import (
    DEFAULT_LIMITS,
    DOCUMENT_COLUMN,
    MAX_KEYS_PER_LOOKUP,
    ColumnInfo,
    ColumnMapping,
    DatasetInfo,
    DatasetRef,
    Detected,
    Detection,
    FileSource,
    Format,
    Limits,
    Lookup,
    LookupBatch,
    Mapping,
    MappingProposal,
    Preview,
    PreviewMapping,
    Progress,
    Question,
    Scalar,
    Source,
)
from application.engine.core.report import (
    CauseCount,
    MappingReport,
    Proposal,
    Report,
    UnmatchedKey,
    render_html,
    render_text,
)

__all__ = [
    "DEFAULT_LIMITS",
    "DOCUMENT_COLUMN",
    "MAX_KEYS_PER_LOOKUP",
    "Cancelled",
    "CauseCount",
    "ColumnInfo",
    "ColumnMapping",
    "DatasetInfo",
    "DatasetRef",
    "DepartmentUnavailable",
    "Detected",
    "Detection",
    "FileSource",
    "Format",
    "InputError",
    "Limits",
    "Lookup",
    "LookupBatch",
    "Mapping",
    "MappingProposal",
    "MappingReport",
    "Preview",
    "PreviewMapping",
    "Progress",
    "Proposal",
    "Question",
    "Report",
    "Scalar",
    "Source",
    "UnmatchedKey",
    "decide",
    "detect_format",
    "left_out",
    "render_html",
    "render_text",
]
