"""From a proposal to the mapping that is used."""

from __future__ import annotations

from application.engine.core.errors import InputError
from application.engine.core.model import DOCUMENT_COLUMN, Mapping, MappingProposal

_TOLD = 10


def decide(proposal: MappingProposal) -> Mapping:
    """The mapping to use. Raises ``InputError`` if nothing was found, or a question is open that has to be answered.

    A column that may be no key at all holds up no other one; see ``left_out``.
    """
    questions = [question for question in proposal.questions if not (question.doubtful and proposal.mapping)]
    if questions:
        first = questions[0]
        # A given mapping is the whole one: what was found must be in it.
        mapping: dict[str, list[str]] = {}
        for entry in proposal.mapping:
            mapping.setdefault(entry.column, []).append(str(entry.dataset.ref))
        without = f"; {mapping} if {first.column!r} is no key" if mapping else ""
        mapping.setdefault(first.column, []).append(first.candidates[0])
        raise InputError(
            "unclear-mapping",
            "It is not clear which columns to look up",
            " ".join(question.detail for question in questions),
            column=first.column,
            field="mapping",
            expected=f"a mapping, such as {mapping}{without}",
        )
    if not proposal.mapping:
        is_text = proposal.columns == (DOCUMENT_COLUMN,)
        names = ", ".join(proposal.columns[:50])
        raise InputError(
            "nothing-to-enrich",
            "Nothing to look up was found",
            "No identifier of a data set that you may use was found in the text. Of a long text, only the start is "
            "searched for them."
            if is_text
            else "The file has no rows, and nothing else says which columns its rows would have."
            if not names
            else f"No column's name or values fit a data set that you may use. Columns: {names}.",
            field="mapping",
            expected="a mapping from a column to a data set",
        )
    return proposal.mapping


def left_out(proposal: MappingProposal) -> tuple[str, ...]:
    """The columns that may be keys and were not decided to be, for the report."""
    doubtful = [question for question in proposal.questions if question.doubtful]
    told = [
        f"The column {question.column[:80]!r} was not looked up: it may be a key of "
        f"{' or of '.join(question.candidates[:5])}, but that is not certain. If it is one, say so by a mapping."
        for question in doubtful[:_TOLD]
    ]
    more = len(doubtful) - _TOLD
    return (*told, f"{more:,} more columns that may be keys were not looked up.") if more > 0 else tuple(told)
