"""New data is served without a pause; a broken object leaves the last good one, and is told of everywhere."""

import asyncio
import io
from typing import TYPE_CHECKING, Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from moto.server import ThreadedMotoServer
from prometheus_client import REGISTRY

if TYPE_CHECKING:
    from conftest import Serve, Until

pytestmark = pytest.mark.slow

OFTEN: dict[str, Any] = {"refresh_seconds": 0.05}
RATES = "currency,rate_to_usd\n"


def failing(department: str, dataset: str) -> float | None:
    return REGISTRY.get_sample_value("mcp_dataset_refresh_failing", {"department": department, "dataset": dataset})


async def test_a_new_version_is_served_without_a_pause_and_never_mixed_with_the_old(
    own_finance: Any, until: "Until"
) -> None:
    async with own_finance(settings=OFTEN) as finance, finance.client("finance") as client:
        finance.put("rates.csv", RATES + "".join(f"C{number},1\n" for number in range(3000)))
        keys = [f"C{number}" for number in range(3000)]

        async def version_is(rate: str) -> bool:
            result = await client.call_tool("finance_lookup_rates", {"keys": keys})
            found = {
                row["values"]["rate_to_usd"] if row["matched"] else None for row in result.structured_content["rows"]
            }
            assert len(found) == 1
            return found == {rate}

        await until(lambda: version_is("1"))
        for rate in ("2", "3"):
            finance.put("rates.csv", RATES + "".join(f"C{number},{rate}\n" for number in range(3000)))
            await until(lambda rate=rate: version_is(rate))  # type: ignore[misc]


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (b"", "things.csv cannot be read as csv"),
        (b"id,size\n", "things.csv has no row with a key in id"),
        (b"code,size\n1,1\n", "things.csv lacks the column id"),
        (b"id,size\n1,1,2\n", "things.csv cannot be read as csv: ArrowInvalid"),
        (b"id,size\n1,\xff\n", "things.csv cannot be read as csv"),
        (b"id,id\n1,1\n", "things.csv has two columns of one name"),
        (b"PK\x03\x04\x00\x00", "things.csv"),
    ],
)
async def test_a_broken_object_leaves_the_last_good_one_and_shows_everywhere(
    serve: "Serve", until: "Until", broken: bytes, said: str
) -> None:
    async with serve(DEPARTMENT.replace("jsonl", "csv"), {"things.csv": "id,size\n1,2\n"}, settings=OFTEN) as running:
        (before,) = (await running.call("real_estate_describe_datasets", {}))["datasets"]
        running.put("things.csv", broken)

        async def noticed() -> bool:
            return await running.error_of("things") is not None

        await until(noticed)
        status, details = await running.readyz()
        assert (status, details["ready"]) == (200, True)
        assert said in details["datasets"]["things"]["error"]
        assert failing("real-estate", "things") == 1
        (after,) = (await running.call("real_estate_describe_datasets", {}))["datasets"]
        assert after == before | {"error": details["datasets"]["things"]["error"]}
        (row,) = (await running.call("real_estate_lookup_things", {"keys": ["1"]}))["rows"]
        assert row["values"] == {"size": "2"}

        running.put("things.csv", "id,size\n1,3\n")

        async def mended() -> bool:
            return await running.error_of("things") is None

        await until(mended)
        assert failing("real-estate", "things") == 0
        (row,) = (await running.call("real_estate_lookup_things", {"keys": ["1"]}))["rows"]
        assert row["values"] == {"size": "3"}


async def test_a_lacking_restricted_column_is_not_named(own_finance: Any, until: "Until") -> None:
    async with own_finance(settings=OFTEN) as finance:
        finance.put("vendors.csv", "vendor_id,name\nV-1,A\n")

        async def noticed() -> bool:
            return await finance.error_of("vendors") is not None

        await until(noticed)
        described = await finance.call("finance_describe_datasets", {})
        assert described["datasets"][0]["error"] == "vendors.csv lacks a column that is named in restrictedColumns"


async def test_a_deleted_object_leaves_the_last_good_one(own_finance: Any, until: "Until") -> None:
    async with own_finance(settings=OFTEN) as finance:
        finance.s3.delete_object(Bucket=finance.bucket, Key="departments/mcp-finance/rates.csv")

        async def noticed() -> bool:
            error: str | None = await finance.error_of("rates")
            return error == "rates.csv is not in the department's folder"

        await until(noticed)
        assert (await finance.call("finance_lookup_rates", {"keys": ["EUR"]}))["rows"][0]["matched"]


async def test_a_department_without_data_waits_for_it(serve: "Serve", until: "Until") -> None:
    async with serve(DEPARTMENT, {}, ready=False) as running:

        async def noticed() -> bool:
            return await running.error_of("things") == "things.jsonl is not in the department's folder"

        await until(noticed)
        assert (await running.readyz())[0] == 503
        said = await running.refused("real_estate_lookup_things", {"keys": ["1"]})
        assert "its data has not been published yet" in said
        (described,) = (await running.call("real_estate_describe_datasets", {}))["datasets"]
        assert (described["rows"], described["columns"]) == (None, [])

        running.put("things.jsonl", '{"id": 1, "size": 2}\n')

        async def ready() -> bool:
            status, _ = await running.readyz()
            return status == 200

        await until(ready)
        assert (await running.call("real_estate_lookup_things", {"keys": ["1"]}))["rows"][0]["values"] == {"size": 2}


DEPARTMENT = """
apiVersion: fileprocessing.internal/v1alpha1
kind: Department
metadata: {name: real-estate}
spec: {displayName: R, access: {groups: [real-estate]}, datasets: [{name: things, object: things.jsonl, key: id}]}
"""


async def test_a_changed_department_counts_before_its_data_is_looked_at_again(own_finance: Any, until: "Until") -> None:
    async with own_finance() as finance:
        finance.put("prices.csv", "currency,rate_to_usd\nEUR,7\n")
        finance.change("object: rates.csv", "object: prices.csv")

        async def served() -> bool:
            async with finance.client("finance") as client:
                result = await client.call_tool("finance_lookup_rates", {"keys": ["EUR"]})
            return not result.is_error and bool(result.structured_content["rows"][0]["values"] == {"rate_to_usd": "7"})

        await until(served)


async def test_data_is_served_while_s3_is_away(
    own_finance: Any, until: "Until", monkeypatch: pytest.MonkeyPatch
) -> None:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    own = boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1")
    own.create_bucket(Bucket="own")
    for name, text in {"vendors.csv": "vendor_id,name,bank_account\nV-1,A,B\n", "rates.csv": RATES + "EUR,1\n"}.items():
        own.put_object(Bucket="own", Key=f"departments/mcp-finance/{name}", Body=text)
    own.close()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    async with own_finance(settings=OFTEN | {"department_data_bucket": "own"}) as finance:
        await asyncio.to_thread(server.stop)

        async def noticed() -> bool:
            error = await finance.error_of("rates")
            return error is not None and error.startswith("S3 cannot be reached")

        await until(noticed)
        assert (await finance.readyz())[0] == 200
        assert (await finance.call("finance_lookup_rates", {"keys": ["EUR"]}))["rows"][0]["matched"]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
async def test_data_sets_come_in_three_formats(serve: "Serve", ending: str) -> None:
    rows = [{"id": "1", "name": "Ä"}, {"id": "2", "name": None}]
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    objects: dict[str, bytes | str] = {
        "csv": "id,name\n1,Ä\n2,\n",
        "jsonl": '{"id": "1", "name": "Ä"}\n{"id": "2", "name": null}\n',
        "parquet": sink.getvalue(),
    }
    department = DEPARTMENT.replace("things.jsonl", f"things.{ending}")
    async with serve(department, {f"things.{ending}": objects[ending]}) as running:
        answer = await running.call("real_estate_lookup_things", {"keys": ["1", "2", "3"]})
    assert [row.get("values") for row in answer["rows"]] == [{"name": "Ä"}, {"name": None}, None]
