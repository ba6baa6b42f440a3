"""Files that other projects ship as their test data: each is enriched and nothing else, or refused in words."""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import dataclass

import pytest
from services.application.tests.corpus.judges import FOUND, JUDGES, Key
from services.application.tests.corpus.packages import files
from services.application.tests.engine.support import Dataset, Departments, dataset, enrich, preview

from application.engine import InputError

pytestmark = pytest.mark.slow
DELIMITED = ("csv", "tsv", "tab")


@dataclass(frozen=True)
class Outcome:
    """What became of one file.

    ``reason`` is why it was refused, ``faults`` what another reader says is wrong. ``has_key`` tells whether another
    reader finds a column, or a word, to enrich.
    """

    name: str
    reason: str = ""
    faults: tuple[str, ...] = ()
    has_key: bool = True

    @property
    def format(self) -> str:
        """The extension."""
        return self.name.rpartition(".")[2].lower()


def keys_of(key: Key) -> Dataset:
    """A data set that has every key of a file."""
    name = key.column or "word"
    pattern = None if key.column else f"^{''.join(key.values)}$"
    rows = {value: {"n": FOUND} for value in key.values}
    return dataset("d.t", name, {name: "string", "n": "string"}, rows, pattern=pattern)


def outcome(name: str, data: bytes) -> Outcome:
    """Enrich one file; one without a key is only looked into."""
    file_format = name.rpartition(".")[2].lower()
    judge = JUDGES[file_format]
    key = judge.key(data)
    try:
        if key is None:
            preview(data, f"x.{file_format}")
            return Outcome(name, has_key=False)
        known = keys_of(key)
        given = {key.column: ["d.t"]} if key.column else None
        after = enrich(data, f"x.{file_format}", Departments([known]), given=given).data
    except InputError as error:
        return Outcome(name, error.slug, has_key=key is not None)
    except Exception as error:  # noqa: BLE001 - that there is none is what is tested
        return Outcome(name, faults=(f"internal error {error!r}",), has_key=key is not None)
    return Outcome(name, faults=tuple(judge.faults(data, after, key, f"{known.info.key}.d.n"))[:3])


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    """Of each file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # openpyxl's, about what it does not know
        return [outcome(name, data) for name, data in files()]


def test_no_file_is_changed_and_none_fails(outcomes: list[Outcome]) -> None:
    assert sum(outcome.has_key for outcome in outcomes) >= 500
    assert {outcome.name: outcome.faults for outcome in outcomes if outcome.faults} == {}


def test_each_refused_file_has_its_reason(outcomes: list[Outcome]) -> None:
    refused: dict[str, set[str]] = {}
    for found in outcomes:
        if found.reason and found.has_key:
            refused.setdefault(found.reason, set()).add(found.name)
    assert refused == REFUSED


def test_nearly_all_delimited_files_are_enriched(outcomes: list[Outcome], capsys: pytest.CaptureFixture[str]) -> None:
    every = Counter(outcome.format for outcome in outcomes if outcome.has_key)
    enriched = Counter(outcome.format for outcome in outcomes if outcome.has_key and not outcome.reason)
    shares = ", ".join(f"{name} {enriched[name]} of {every[name]}" for name in sorted(every))
    without = sum(not outcome.has_key for outcome in outcomes)
    with capsys.disabled():
        print(f"\nEnriched: {shares}; {without} more have no column of texts or whole numbers.")
    assert sum(enriched[name] for name in DELIMITED) >= 0.95 * sum(every[name] for name in DELIMITED)
    assert {name for name in every if enriched[name] < every[name]} <= {"csv", "json"}


REFUSED = {
    # Documents about data: no list of records, or several.
    "json-shape": {
        "agate/examples/test_tableset.json",
        "frictionless/data/ckan.package.json",
        "frictionless/data/countries.json",
        "frictionless/data/detailed-with-schema.package.json",
        "frictionless/data/detailed.package.json",
        "frictionless/data/geopoint/datapackage.json",
        "frictionless/data/issue-1478/resource.json",
        "frictionless/data/issue-494.package.json",
        "frictionless/data/issue-869.json",
        "frictionless/data/issue-991.resource.json",
        "frictionless/data/package/zenodo.packagepartialmeta.json",
        "frictionless/data/package/zenodo.packagewithmeta.json",
        "frictionless/data/resource-with-missingvalues-993.json",
        "frictionless/data/schema-invalid-fk-array-string-ref.json",
        "frictionless/data/schema-invalid-fk-array-string.json",
        "frictionless/data/schema-invalid-fk-array-wrong-number.json",
        "frictionless/data/schema-invalid-fk-array.json",
        "frictionless/data/schema-invalid-fk-no-reference.json",
        "frictionless/data/schema-invalid-fk-string-array-ref.json",
        "frictionless/data/schema-invalid-fk-string.json",
        "frictionless/data/schema-invalid-multiple-errors.json",
        "frictionless/data/schema-valid-fk-array.json",
        "frictionless/data/schema-valid-full.json",
        "frictionless/data/zenodo/data.metadata.json",
        "frictionless/data/zenodo/deposition.metadata.json",
        "frictionless/data/zenodo/depositionurl.metadata.json",
        "frictionless/data/zenodo/jsonl.metadata.json",
        "frictionless/data/zenodo/metadata.json",
        "frictionless/data/zenodo/ndjson.metadata.json",
        "frictionless/data/zenodo/ods.metadata.json",
        "frictionless/data/zenodo/publish.metadata.json",
        "frictionless/data/zenodo/remote.metadata.json",
        "frictionless/data/zipped-resources/datapackage.json",
        "vega/data/londonBoroughs.json",
        "vega/data/miserables.json",
    },
    "nul-byte": {
        "csvkit/examples/null_byte.csv",
    },
    # Rows with cells that no header names: made so on purpose, or below lines that are wider than a title.
    "ragged-row": {
        "csvkit/examples/bad.csv",
        "csvkit/examples/bad_skip_lines.csv",
        "frictionless/data/capital-invalid.csv",
        "frictionless/data/countries.csv",
        "frictionless/data/defective-rows.csv",
        "frictionless/data/dialect.csv",
        "frictionless/data/invalid.csv",
        "frictionless/data/issue-1004-data1.csv",
        "frictionless/data/issue-1004-data2.csv",
        "frictionless/data/schema-errors.csv",
        "frictionless/data/structure-errors.csv",
        "frictionless/data/without-headers-extra.csv",
        "pyexcel/tests/fixtures/bug_01.csv",
        "statsmodels/statsmodels/datasets/scotland/src/scotland_population.csv",
        "xlsx2csv/test/sheets_order.csv",
    },
    # Facts about the data above the table, which are read as its header.
    "unknown-column": {
        "statsmodels/statsmodels/datasets/macrodata/src/unemp.csv",
    },
    # A ZIP archive.
    "wrong-format": {
        "frictionless/data/compression/implicit-zip.csv",
    },
}
"""The files that are refused, by reason. Python's csv reads those that are ragged, but says nothing of their cells."""
