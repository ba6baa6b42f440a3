"""What can go wrong in a file or in a department's data, in words for the person who sent the file."""

from __future__ import annotations


class InputError(Exception):
    """The input cannot be used. Every field may be shown to the caller.

    ``slug`` is stable and machine-readable. ``unsupported-format`` and ``wrong-format`` are about the kind of file
    (HTTP 415), ``file-too-large`` and ``record-too-long`` are about size (413); every other slug is about content or
    mapping (422): ``empty-file``, ``no-header``, ``no-rows``, ``ragged-row``, ``broken-encoding``, ``nul-byte``,
    ``unclosed-quote``, ``encrypted-file``, ``corrupt-file``, ``column-names``, ``column-collision``, ``invalid-json``,
    ``json-shape``, ``nested-too-deep``, ``unknown-column``, ``unknown-dataset``, ``unknown-department``,
    ``invalid-mapping``, ``unclear-mapping``, ``nothing-to-enrich``.
    """

    def __init__(
        self,
        slug: str,
        title: str,
        detail: str,
        *,
        row: int | None = None,
        line: int | None = None,
        column: str | None = None,
        field: str | None = None,
        expected: str | None = None,
    ) -> None:
        """``row`` counts records from 1, a header being row 1; ``line`` is set where it differs from ``row``.

        ``column`` is a column of the file, ``field`` a field of the request (``mapping``), ``expected`` what would be
        right.
        """
        super().__init__(detail)
        self.slug = slug
        self.title = title
        self.detail = detail
        self.row = row
        self.line = line
        self.column = column
        self.field = field
        self.expected = expected

    def extra(self) -> dict[str, int | str]:
        """The place and the remedy, without what is not known: members of a problem document."""
        known = {
            "row": self.row,
            "line": self.line,
            "column": self.column,
            "field": self.field,
            "expected": self.expected,
        }
        return {name: value for name, value in known.items() if value is not None}


class DepartmentUnavailable(Exception):
    """A department did not answer, or answered what cannot be used. The job can be retried."""

    def __init__(self, department: str, detail: str) -> None:
        super().__init__(f"{department}: {detail}")
        self.department = department
        self.detail = detail


class Cancelled(Exception):
    """Raised by a progress callback to stop an enrichment; passes through ``enrich`` unchanged."""
