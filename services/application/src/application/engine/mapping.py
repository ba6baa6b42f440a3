"""Which column of a file is a key into which data set: as the caller says, or found, with the evidence."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from collections.abc import Sequence
from dataclasses import replace

from application.engine.core.errors import InputError
from application.engine.core.evidence import CERTAIN, POSSIBLE, Evidence, weigh
from application.engine.core.head import Head
from application.engine.core.model import (
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
from application.engine.core.requested import Choice, check_departments, given_mapping, only_added
from application.engine.registry import read_head
from common.file_options import DETECT_ALL, FileOptions

SAMPLED_ROWS = 1000
_HEADED = {Format.CSV, Format.TSV, Format.XLSX}
_CLOSE = 0.1


def propose_mapping(
    source: Source,
    file_format: Format,
    datasets: Sequence[DatasetInfo],
    *,
    departments: Sequence[str] | None = None,
    given: Dict[str, Sequence[str]] | None = None,
    columns: Dict[str, Sequence[str]] | None = None,
    options: FileOptions = DETECT_ALL,
    limits: Limits = DEFAULT_LIMITS,
) -> MappingProposal:
    """Find the mapping from names, aliases, key names and value patterns of the first rows, or check the one ``given``.

    ``departments`` narrows what is found (and must be among those of ``datasets``). ``given`` is
    ``{column: ["finance.vendors"]}`` and, if it has an entry, is the whole mapping. ``columns`` is
    ``{"finance.vendors": ["name"]}``: what to add; without an entry all columns but the key are added.
    Raises ``InputError``.
    """
    head = with_given(read_head(source, file_format, datasets, given, options, limits, SAMPLED_ROWS), given)
    return propose_from_head(head, file_format, datasets, departments, given, columns, options)


def with_given(head: Head, given: Dict[str, Sequence[str]] | None) -> Head:
    """``head``; of a file without rows that names no columns, with those that the caller names."""
    return head if head.columns or not given else replace(head, columns=tuple(given), rows=())


def propose_from_head(
    head: Head,
    file_format: Format,
    datasets: Sequence[DatasetInfo],
    departments: Sequence[str] | None,
    given: Dict[str, Sequence[str]] | None,
    columns: Dict[str, Sequence[str]] | None,
    options: FileOptions,
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
        if file_format in _HEADED and not options.no_header and options.header_row is None:
            _check_header(mapping)
    if options.add_only is not None:
        mapping = only_added(mapping, options.add_only, head.columns, usable)
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
    named: dict[str, list[Question]] = {}
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
                # Of a department that has a key, a column is not asked about for its values alone.
                open_questions = doubtful if best.score <= POSSIBLE else named
                open_questions.setdefault(department, []).append(_question(column, ranked, doubtful=True))
            elif len(rivals) > 1:
                questions.append(_question(column, rivals))
            else:
                mapping.append(ColumnMapping(column, dataset, choice.of(dataset), best.sentences, round(best.score, 2)))
    settled = {entry.dataset.ref.department for entry in mapping}
    questions += [question for each in named.values() for question in each]
    questions += [question for name, each in doubtful.items() if name not in settled for question in each]
    return tuple(mapping), tuple(questions)


def _check_header(mapping: Mapping) -> None:
    """Refuse a file whose first record would be taken for names: it would be lost, and nothing found for it."""
    for entry in mapping:
        named = weigh(entry.column, (), entry.dataset).score
        if not named and weigh("", [entry.column], entry.dataset).score >= CERTAIN:
            raise InputError(
                "no-header",
                "The file has no column names",
                f"The first row looks like data: {entry.column[:80]!r} looks like a key of {entry.dataset.ref}, as do "
                "the values below it.",
                row=1,
                column=entry.column,
                expected="a first row with the names of the columns; or the option no_header, to enrich it as it is",
            )


def _question(column: str, ranked: Sequence[tuple[Evidence, DatasetInfo]], *, doubtful: bool = False) -> Question:
    candidates = tuple(str(dataset.ref) for _, dataset in ranked)
    reasons = "; ".join(f"{dataset.ref}: {', '.join(evidence.sentences)}" for evidence, dataset in ranked)
    asked = "Is it a key of " + " or of ".join(candidates) + "?"
    return Question(column, candidates, f"Column {column!r} may be a key ({reasons}). {asked}", doubtful)
