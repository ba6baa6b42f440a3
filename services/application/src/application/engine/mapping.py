"""Which column of a file is a key into which data set: as the caller says, or found, with the evidence."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from collections.abc import Sequence

from application.engine.model import DEFAULT_LIMITS, DatasetInfo, Format, Limits, Mapping, MappingProposal, Source


def propose_mapping(
    source: Source,
    file_format: Format,
    datasets: Sequence[DatasetInfo],
    *,
    departments: Sequence[str] | None = None,
    given: Dict[str, Sequence[str]] | None = None,
    columns: Dict[str, Sequence[str]] | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> MappingProposal:
    """Find the mapping from names, aliases, key names and value patterns of the first rows, or check the one ``given``.

    ``departments`` narrows what is found (and must be among those of ``datasets``). ``given`` is ``{column: ["finance.vendors"]}``
    and, if present, is the whole mapping. ``columns`` is ``{"finance.vendors": ["name"]}``: what to add; without an entry all
    columns but the key are added. Raises ``InputError``.
    """
    raise NotImplementedError


def decide(proposal: MappingProposal) -> Mapping:
    """The mapping to use. Raises ``InputError`` if a question is open or nothing was found."""
    raise NotImplementedError
