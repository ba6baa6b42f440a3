import re
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from application.files.names import checked_name, content_disposition, result_name
from common.problem import Problem

HEADER = re.compile(r"attachment; filename=\"([ !#-&(-\[\]-~']*)\"(?:; filename\*=UTF-8''([A-Za-z0-9._~%-]+))?")


@given(st.text())
def test_a_name_is_refused_or_can_be_written_into_a_header(name: str) -> None:
    try:
        clean = checked_name(name)
    except Problem:
        return
    assert "/" not in clean
    assert "\\" not in clean
    header = content_disposition(clean)
    match = HEADER.fullmatch(header)
    assert match is not None, header
    assert (unquote(match[2]) if match[2] else match[1]) == clean
    assert checked_name(clean) == clean


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("invoices.csv", "invoices.enriched.csv"),
        ("a.b.csv", "a.b.enriched.csv"),
        ("Q3 2026.XLSX", "Q3 2026.enriched.XLSX"),
        ("invoices.csv.gz", "invoices.enriched.csv.gz"),
        ("A.JSONL.GZ", "A.enriched.JSONL.GZ"),
        ("Old.XLS", "Old.enriched.xlsx"),
        ("a.ods", "a.enriched.xlsx"),
        ("a.xlsb", "a.enriched.xlsx"),
    ],
)
def test_a_result_is_called_after_its_file(name: str, result: str) -> None:
    assert result_name(name) == result
