"""The state of one enrichment that every format's reader and writer shares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from application.engine.core.join import Joiner, Render
from application.engine.core.model import Format, Limits, Lookup, Mapping, Progress, Source
from application.engine.core.streams import CountingSink
from common.file_options import DETECT_ALL, FileOptions


@dataclass(slots=True)
class Run:
    """One file on its way through; ``rows`` counts what is done, without the header; ``charset`` is that of text."""

    source: Source
    file_format: Format
    mapping: Mapping
    lookup: Lookup
    sink: CountingSink
    progress: Callable[[Progress], None]
    limits: Limits
    options: FileOptions = DETECT_ALL
    rows: int = 0
    total_rows: int | None = None
    bytes_read: int = 0
    charset: str | None = None
    warnings: list[str] = field(default_factory=list)
    joiner: Joiner | None = None

    def joiner_for(self, render: Render) -> Joiner:
        """The join of this run, with values rendered for the format by ``render``."""
        self.joiner = Joiner(self.mapping, self.lookup, render, self.limits)
        return self.joiner

    def advance(self, rows: int, bytes_read: int) -> None:
        """Count ``rows`` more as written and tell how far the input is read; the caller may stop the run here."""
        self.rows += rows
        self.bytes_read = bytes_read
        self.progress(Progress(self.rows, bytes_read, self.source.size, self.total_rows))
