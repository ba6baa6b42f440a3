"""Adds to each row of a file what departments know about its keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

from application.engine.model import DEFAULT_LIMITS, Format, Limits, Lookup, Mapping, Progress, Source
from application.engine.report import Report


def enrich(
    source: Source,
    file_format: Format,
    mapping: Mapping,
    lookup: Lookup,
    sink: BinaryIO,
    *,
    progress: Callable[[Progress], None],
    limits: Limits = DEFAULT_LIMITS,
) -> Report:
    """Write the enriched file to ``sink``; every input row once, in order, unaltered.

    ``progress`` is called after each block and may raise (``Cancelled``) to stop. Raises ``InputError`` and
    ``DepartmentUnavailable``.
    """
    raise NotImplementedError
