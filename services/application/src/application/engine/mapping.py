"""Which column of a file is a key into which data set: as the caller says, or found, with the evidence."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from collections.abc import Sequence

from application.engine.evidence import CERTAIN, POSSIBLE, Evidence, weigh
from application.engine.given import Choice, check_departments, given_mapping
from application.engine.heads import read_head
from application.engine.model import (
    DEFAULT_LIMITS,
    ColumnMapping,
    DatasetInfo,
    Format,
    Limits,
    Mapping,
    MappingProposal,
    Question,
    Source,
)
from application.engine.table import Head

SAMPLED_ROWS = 1000
_CLOSE = 0.1


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

    ``departments`` narrows what is found (and must be among those of ``datasets``). ``given`` is
    ``{column: ["finance.vendors"]}`` and, if it has an entry, is the whole mapping. ``columns`` is
    ``{"finance.vendors": ["name"]}``: what to add; without an entry all columns but the key are added.
    Raises ``InputError``.
    """
    head = read_head(source, file_format, datasets, limits, SAMPLED_ROWS)
    return propose_from_head(head, file_format, datasets, departments, given, columns)


def propose_from_head(
    head: Head,
    file_format: Format,
    datasets: Sequence[DatasetInfo],
    departments: Sequence[str] | None,
    given: Dict[str, Sequence[str]] | None,
    columns: Dict[str, Sequence[str]] | None,
) -> MappingProposal:
    """As ``propose_mapping``, from rows that have been read."""
    usable = check_departments(datasets, departments)
    choice = Choice(datasets, columns or {})
    if given:
        mapping = given_mapping(head.columns, given, usable, choice, several=file_format.is_document)
        questions: tuple[Question, ...] = ()
    elif file_format.is_document:
        mapping, questions = _found_in_text(head, usable, choice), ()
    else:
        mapping, questions = _found(head, usable, choice)
    mapped = {entry.column for entry in mapping} | {question.column for question in questions}
    unmapped = tuple(column for column in head.columns if column not in mapped)
    return MappingProposal(head.columns, mapping, unmapped, questions)


def _samples(head: Head) -> dict[str, list[str]]:
    return {
        column: [value.strip() for row in head.rows if (value := row[index]) is not None and value.strip()]
        for index, column in enumerate(head.columns)
    }


def _found_in_text(head: Head, datasets: Sequence[DatasetInfo], choice: Choice) -> Mapping:
    (column, values), *_ = _samples(head).items()
    found = []
    for dataset in datasets:
        evidence = _weigh_text(values, dataset)
        if evidence.score and choice.of(dataset):
            found.append(ColumnMapping(column, dataset, choice.of(dataset), evidence.sentences, evidence.score))
    return tuple(found)


def _weigh_text(values: Sequence[str], dataset: DatasetInfo) -> Evidence:
    fitting = [value for value in values if weigh("", [value], dataset).score >= CERTAIN]
    if not fitting:
        return Evidence(0.0, ())
    plural = "s look" if len(fitting) > 1 else " looks"
    return Evidence(
        0.85, (f"{len(fitting):,} identifier{plural} like keys of {dataset.ref}, for example {fitting[0][:80]}",)
    )


def _found(head: Head, datasets: Sequence[DatasetInfo], choice: Choice) -> tuple[Mapping, tuple[Question, ...]]:
    mapping: list[ColumnMapping] = []
    questions: list[Question] = []
    doubtful: dict[str, list[Question]] = {}
    samples = _samples(head)
    for column in head.columns:
        for department in dict.fromkeys(dataset.ref.department for dataset in datasets):
            weighed = [(weigh(column, samples[column], dataset), dataset) for dataset in datasets
                       if dataset.ref.department == department]  # fmt: skip
            ranked = sorted((pair for pair in weighed if pair[0].score >= POSSIBLE), key=lambda pair: -pair[0].score)
            if not ranked:
                continue
            best, dataset = ranked[0]
            rivals = [pair for pair in ranked if best.score - pair[0].score < _CLOSE]
            if best.score < CERTAIN:
                doubtful.setdefault(department, []).append(_question(column, ranked))
            elif len(rivals) > 1:
                questions.append(_question(column, rivals))
            else:
                mapping.append(ColumnMapping(column, dataset, choice.of(dataset), best.sentences, round(best.score, 2)))
    settled = {entry.dataset.ref.department for entry in mapping}
    for department, open_questions in doubtful.items():
        if department not in settled:
            questions.extend(open_questions)
    return tuple(mapping), tuple(questions)


def _question(column: str, ranked: Sequence[tuple[Evidence, DatasetInfo]]) -> Question:
    candidates = tuple(str(dataset.ref) for _, dataset in ranked)
    reasons = "; ".join(f"{dataset.ref}: {', '.join(evidence.sentences)}" for evidence, dataset in ranked)
    asked = "Is it a key of " + " or of ".join(candidates) + "?"
    return Question(column, candidates, f"Column {column!r} may be a key ({reasons}). {asked}")
