"""What an enrichment did: for people as text or HTML, for machines as JSON of a versioned schema."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Literal

from pydantic import BaseModel, ConfigDict

from common.causes import DESCRIPTIONS, within_sentence


class Proposal(BaseModel):
    """A key of the data set that may have been meant; ``score`` is 0 to 100."""

    model_config = ConfigDict(frozen=True)

    key: str
    score: float
    reason: str


class UnmatchedKey(BaseModel):
    """A key that its data set does not have, and the row (or line, paragraph, page) where it was first seen.

    ``cause`` is a ``common.causes.Cause``, or ``None`` where the key was not looked into; ``dataset`` is the other data
    set of the department that has the key.
    """

    model_config = ConfigDict(frozen=True)

    key: str
    row: int | None
    cause: str | None = None
    dataset: str | None = None
    proposals: tuple[Proposal, ...] = ()


class CauseCount(BaseModel):
    """Why some keys were not found: a word for programs, one for people, and how many different keys."""

    model_config = ConfigDict(frozen=True)

    cause: str
    description: str
    keys: int


class MappingReport(BaseModel):
    """What became of one input column and one data set; counts are of cells (identifiers found, for a document).

    ``repaired`` are the different keys for which another one was looked up, as somebody approved, and found.
    """

    model_config = ConfigDict(frozen=True)

    column: str
    dataset: str
    versions: tuple[str, ...]
    added: tuple[str, ...]
    evidence: tuple[str, ...]
    matched: int
    unmatched: int
    empty: int
    unmatched_distinct: int
    unmatched_distinct_is_exact: bool
    unmatched_sample: tuple[UnmatchedKey, ...]
    causes: tuple[CauseCount, ...] = ()
    repaired: int = 0


class Report(BaseModel):
    """The result of one enrichment; ``charset`` is the file\'s where it is text.

    ``model_dump_json()`` and ``model_validate_json()`` carry it as JSON.
    """

    model_config = ConfigDict(frozen=True)

    report_version: Literal[1] = 1
    format: str
    rows: int
    charset: str | None = None
    bytes_read: int
    bytes_written: int
    duration_seconds: float
    mappings: tuple[MappingReport, ...]
    columns_added: tuple[str, ...]
    warnings: tuple[str, ...]


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "none"


def _counts(mapping: MappingReport) -> list[tuple[str, str]]:
    looked_up = mapping.matched + mapping.unmatched
    distinct = (
        f"{mapping.unmatched_distinct:,}"
        if mapping.unmatched_distinct_is_exact
        else f"more than {mapping.unmatched_distinct:,}"
    )
    return [
        ("Matched", f"{mapping.matched:,} ({_share(mapping.matched, looked_up)} of the keys)"),
        ("Unmatched", f"{mapping.unmatched:,} ({distinct} different keys)"),
        ("Empty", f"{mapping.empty:,}"),
        *([("Repaired", f"{mapping.repaired:,} different keys")] if mapping.repaired else []),
        ("Data version", ", ".join(mapping.versions) or "not used"),
        ("Columns added", ", ".join(mapping.added)),
    ]


def _summary(report: Report) -> list[tuple[str, str]]:
    return [
        ("Format", report.format),
        ("Identifiers" if report.format in _PLACES else "Rows", f"{report.rows:,}"),
        ("Duration", f"{report.duration_seconds:.1f} s"),
    ]


_PLACES = {"txt": "line", "md": "line", "docx": "paragraph", "pdf": "page"}


def _where(key: UnmatchedKey, report: Report) -> str:
    return "" if key.row is None else f"{_PLACES.get(report.format, 'row')} {key.row:,}"


def _explained(key: UnmatchedKey) -> str:
    """What was probably meant."""
    if key.dataset is not None:
        return f"is in {key.dataset}"
    proposals = " or ".join(each.key for each in key.proposals)
    if not proposals:
        return ""
    return f"perhaps {proposals} ({within_sentence(DESCRIPTIONS.get(key.cause or '', ''))})"


def _causes(mapping: MappingReport) -> list[tuple[str, str]]:
    return [(each.description, f"{each.keys:,}") for each in mapping.causes]


def render_text(report: Report, file_name: str) -> str:
    """The report for a terminal or an e-mail."""
    lines = [f"Enrichment report: {_printable(file_name)}", ""]
    lines += [f"  {name + ':':<16}{value}" for name, value in _summary(report)]
    for mapping in report.mappings:
        lines += ["", f"{_printable(mapping.column)} -> {mapping.dataset}"]
        lines += [f"  because {_printable(sentence)}" for sentence in mapping.evidence]
        lines += [f"  {name + ':':<16}{_printable(value)}" for name, value in _counts(mapping)]
        if mapping.causes:
            lines.append("  Why keys have no match (different keys):")
            lines += [f"    {name + ':':<36}{keys:>8}" for name, keys in _causes(mapping)]
        if mapping.unmatched_sample:
            lines.append("  Keys without a match, and where they were first seen:")
            for key in mapping.unmatched_sample:
                parts = (_printable(key.key), _where(key, report), _printable(_explained(key)))
                lines.append("    " + "  ".join(part for part in parts if part))
    if report.warnings:
        lines += ["", "Warnings:", *(f"  {_printable(warning)}" for warning in report.warnings)]
    return "\n".join(lines) + "\n"


def _printable(text: str) -> str:
    """Without control characters, which a terminal would obey."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a}"
    "table{border-collapse:collapse;margin:.5rem 0}"
    "th,td{text-align:left;padding:.25rem .75rem;border-bottom:1px solid #ccc;"
    "vertical-align:top;overflow-wrap:anywhere}h2{margin-top:2rem}"
)


def _table(rows: Iterable[tuple[str, ...]]) -> str:
    cells = "".join(
        f'<tr><th scope="row">{escape(name)}</th>{"".join(f"<td>{escape(value)}</td>" for value in values)}</tr>'
        for name, *values in rows
    )
    return f"<table>{cells}</table>"


def _mapping_html(mapping: MappingReport, report: Report) -> str:
    parts = [f"<h2>{escape(mapping.column)} → {escape(mapping.dataset)}</h2>"]
    if mapping.evidence:
        parts.append("<ul>" + "".join(f"<li>{escape(sentence)}</li>" for sentence in mapping.evidence) + "</ul>")
    parts.append(_table(_counts(mapping)))
    if mapping.causes:
        parts.append("<h3>Why keys have no match</h3>" + _table(_causes(mapping)))
    if mapping.unmatched_sample:
        keys = [(key.key, _where(key, report), _explained(key)) for key in mapping.unmatched_sample]
        parts.append(
            "<details><summary>Keys without a match, and where they were first seen</summary>"
            + _table(keys)
            + "</details>"
        )
    return "".join(parts)


def render_html(report: Report, file_name: str) -> str:
    """The report as one page with no script and no outside resource; everything from the file is escaped."""
    warnings = ""
    if report.warnings:
        warnings = (
            "<h2>Warnings</h2><ul>" + "".join(f"<li>{escape(warning)}</li>" for warning in report.warnings) + "</ul>"
        )
    body = _table(_summary(report)) + "".join(_mapping_html(mapping, report) for mapping in report.mappings) + warnings
    title = f"Enrichment report: {escape(file_name)}"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head>"
        f"<body><h1>{title}</h1>{body}</body></html>\n"
    )
