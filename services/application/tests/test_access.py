"""What a job shows of a data set whose rules have changed since, and a recipe of one that is searched."""

import time
from pathlib import Path

import pytest
from services.application.tests.support.departments import FakeDataset, FakeDepartment

from application.departments.access import Access
from application.engine import ColumnInfo, DatasetInfo, DatasetRef, Format
from application.jobs.requests import Choices
from application.recipes.rights import part_for
from application.records import Job, JobProgress, MappedDataset
from common.caller import Caller
from common.departments import DepartmentDirectory

VENDORS = DatasetInfo(DatasetRef("finance", "vendors"), "vendor_id", (), ())
NAME = MappedDataset(column="vendor", dataset=VENDORS, columns=(ColumnInfo("name"),), evidence=(), confidence=1)
MEMBER = Caller("1", "alice", frozenset({"finance"}), "cognito")
LEAD = Caller("2", "frank", frozenset({"finance", "finance-leads"}), "cognito")


def job() -> Job:
    return Job(
        id="0" * 32,
        owner="1",
        caller="",
        caller_until=0,
        file_id="0" * 32,
        file_name="a.csv",
        file_size=1,
        file_format=Format.CSV,
        departments=("finance",),
        mapping=(NAME,),
        heartbeat=0,
        progress=JobProgress(total_bytes=1),
        created_at="",
        updated_at="",
        expires_at=int(time.time()) + 60,
    )


@pytest.mark.parametrize(("restricted", "is_shown"), [((), True), (("bank",), True), (("vendor_id",), False)])
async def test_without_its_key_nothing_of_a_data_set_is_shown(
    tmp_path: Path, restricted: tuple[str, ...], is_shown: bool
) -> None:
    vendors = FakeDataset("vendor_id", ("name", "bank"), {}, restricted=restricted)
    finance = FakeDepartment("finance", frozenset({"finance"}), {"vendors": vendors}, frozenset({"finance-leads"}))
    (tmp_path / "finance.yaml").write_text(finance.yaml())
    async with DepartmentDirectory(tmp_path) as directory:
        access = Access(directory)
        assert access.to_all_of(job(), MEMBER) is is_shown
        assert access.redacted(job(), MEMBER).mapping == ((NAME,) if is_shown else ())
        assert access.to_all_of(job(), LEAD)


async def test_pairs_that_a_hidden_column_may_have_led_to_are_not_shown(tmp_path: Path) -> None:
    vendors = FakeDataset("vendor_id", ("name", "bank"), {}, restricted=("bank",), search=("name", "bank"))
    finance = FakeDepartment("finance", frozenset({"finance"}), {"vendors": vendors}, frozenset({"finance-leads"}))
    (tmp_path / "finance.yaml").write_text(finance.yaml())
    choices = Choices(mapping={"vendor": ["finance.vendors"]}, keys={"finance.vendors": {"NL01": "V-00001"}})
    async with DepartmentDirectory(tmp_path) as directory:
        access = Access(directory)
        seen = part_for(choices, MEMBER, access)
        assert (seen.choices.keys, seen.choices.mapping, seen.is_whole) == ({}, choices.mapping, False)
        assert part_for(choices, LEAD, access).is_whole
