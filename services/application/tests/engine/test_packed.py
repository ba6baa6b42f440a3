"""Compressed tables: what comes back is what the plain table would be, compressed, as gzip and polars read it."""

from __future__ import annotations

import gzip
import io
import random
import subprocess
from dataclasses import replace
from typing import Any

import polars as pl
import pytest
from services.application.tests.engine.support import enrich, preview, refusal

from application.engine import DEFAULT_LIMITS, Report

CSV = b"vendor_id;note\r\n" + b"".join(b'V-0000%d;"%d; x"\r\n' % (1 + n % 4, n) for n in range(2000))
TABLES = {
    "x.csv": CSV,
    "x.tsv": b"vendor_id\tv\nV-00001\t1\n",
    "x.json": b'{"errors": [], "data": [{"vendor_id": "V-00001"}, {"vendor_id": "V-9"}]}\n',
    "x.jsonl": b'{"vendor_id":"V-00001"}\n{"vendor_id":"V-00002"}\n',
    "x.ndjson": b'{"vendor_id":"V-00001"}',
}


@pytest.mark.parametrize("name", TABLES)
def test_a_compressed_table_comes_back_compressed(name: str) -> None:
    plain = TABLES[name]
    result = enrich(gzip.compress(plain), f"{name}.GZ")
    unzipped = subprocess.run(["gzip", "-dc"], input=result.data, capture_output=True, check=True).stdout
    expected = enrich(plain, name)
    assert unzipped == expected.data
    assert without_sizes(result.report) == without_sizes(expected.report)
    assert preview(gzip.compress(plain), f"{name}.gz") == preview(plain, name)


def without_sizes(report: Report) -> dict[str, Any]:
    return report.model_dump(exclude={"bytes_read", "bytes_written", "duration_seconds"})


def test_polars_reads_the_result() -> None:
    result = pl.read_csv(io.BytesIO(enrich(gzip.compress(CSV), "x.csv.gz").data), separator=";")
    assert result["vendor_id.finance.country"].to_list()[:4] == ["DE", "GB", "FR", None]
    assert result["note"].to_list() == [f"{n}; x" for n in range(2000)]


@pytest.mark.parametrize("between", [b"", b"\0" * 512])
def test_the_members_of_an_archive_are_one_file(between: bytes) -> None:
    """RFC 1952, section 2.2; programs that compress in parallel write many."""
    data = between.join(gzip.compress(part) for part in (b"", CSV[:10], CSV[10:], b""))
    assert gzip.decompress(enrich(data, "x.csv.gz").data) == enrich(CSV, "x.csv").data


def test_an_encoding_that_shows_late_is_found() -> None:
    plain = b"vendor_id;n\n" + b"V-00001;x\n" * 200_000 + b"V-00001;\xfc\n"
    result = enrich(gzip.compress(plain), "x.csv.gz", add_only=("vendor_id.finance.name",))
    assert result.report.charset == "windows-1252"
    assert gzip.decompress(result.data).endswith(b"V-00001;\xfc;Acme GmbH\n")


def test_progress_is_in_bytes_of_the_file() -> None:
    data = gzip.compress(random.Random(1).randbytes(1 << 20).hex().encode().join([b"vendor_id,x\nV-00001,", b"\n"]))
    assert {each.total_bytes for each in enrich(data, "x.csv.gz").progress} == {len(data)}
    assert [each.bytes for each in enrich(data, "x.csv.gz").progress][-1] == len(data)


@pytest.mark.parametrize("damage", ["cut", "checksum", "garbage", "inside"])
def test_a_damaged_archive_is_refused(damage: str) -> None:
    whole = gzip.compress(CSV)
    data = {
        "cut": whole[:-10],
        "checksum": whole[:-8] + bytes(4) + whole[-4:],
        "garbage": whole + b"garbage",
        "inside": whole[:600] + b"\xff\xff\xff\xff" + whole[604:],
    }[damage]
    assert refusal(data, "x.csv.gz").slug == "corrupt-file"


@pytest.mark.parametrize(
    ("name", "data", "slug"),
    [
        pytest.param("x.csv.gz", b"a,b\n1,2\n", "wrong-format", id="not compressed"),
        pytest.param("x.csv", gzip.compress(b"a,b\n1,2\n"), "wrong-format", id="compressed, by another name"),
        pytest.param("x.csv.gz", gzip.compress(gzip.compress(b"a,b\n1,2\n")), "wrong-format", id="compressed twice"),
        pytest.param("x.csv.gz", gzip.compress(b'[{"a": 1}]'), "wrong-format", id="another format inside"),
        pytest.param("x.csv.gz", gzip.compress(b""), "empty-file", id="nothing inside"),
        pytest.param("x.csv.gz", b"\x1f\x8b", "corrupt-file", id="two bytes"),
        pytest.param("x.csv.gz", b"\x1f\x8b\x08\x00\xff\xff", "corrupt-file", id="six bytes"),
        pytest.param("x.xlsx.gz", gzip.compress(b"PK\x03\x04"), "unsupported-format", id="a workbook inside"),
        pytest.param("x.gz", gzip.compress(b"a,b\n1,2\n"), "unsupported-format", id="no format in the name"),
        pytest.param(".gz", gzip.compress(b"a,b\n1,2\n"), "unsupported-format", id="an ending alone"),
        pytest.param("gz", gzip.compress(b"a,b\n1,2\n"), "unsupported-format", id="no ending"),
    ],
)
def test_an_archive_that_is_not_what_its_name_says(name: str, data: bytes, slug: str) -> None:
    assert refusal(data, name).slug == slug


@pytest.mark.parametrize("filler", [b"V-00001,1\n", b"x", b'"', b"\n"])
def test_a_bomb_is_refused_by_its_ratio(filler: bytes) -> None:
    bomb = gzip.compress(b"vendor_id,a\nV-00001,2\n" + filler * ((64 << 20) // len(filler)), 9)
    limits = replace(DEFAULT_LIMITS, unpacked=1 << 20, record=1 << 20)
    error = refusal(bomb, "x.csv.gz", limits=limits, given={"vendor_id": ["finance.vendors"]})
    assert error.slug in {"file-too-large", "record-too-long"}


def test_a_table_of_any_ratio_is_read_up_to_the_least_limit() -> None:
    plain = b"vendor_id,a\n" + b"V-00001,1\n" * 300_000
    assert len(plain) > 200 * len(gzip.compress(plain))
    assert gzip.decompress(enrich(gzip.compress(plain), "x.csv.gz").data) == enrich(plain, "x.csv").data
    limits = replace(DEFAULT_LIMITS, unpacked_stream=1 << 20)
    assert refusal(gzip.compress(plain), "x.csv.gz", limits=limits).slug == "file-too-large"
