"""The file-like source and sink, on a real server."""

import io
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from services.application.tests.support.fault_proxy import Fault, calls
from services.application.tests.support.stack import AWS, REGION, Platform

from application.aws.clients import make_clients
from application.aws.objects import PART_BYTES, Objects
from application.aws.sink import ObjectSink
from application.aws.source import ObjectSource
from application.errors import ObjectGone

pytestmark = pytest.mark.slow

CONTENT = b"".join(number.to_bytes(4, "big") for number in range(600_000))


@pytest.fixture
def objects(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Objects:
    for name, value in {**AWS, "AWS_ENDPOINT_URL": platform.proxy.url}.items():
        monkeypatch.setenv(name, value)
    client = make_clients(REGION, attempts=2).s3
    bucket = f"objects-{uuid.uuid4().hex}"
    client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    return Objects(client, bucket)


@pytest.fixture
def opened(objects: Objects) -> Iterator[ObjectSource]:
    objects.put("x", CONTENT)
    opened = ObjectSource(objects, "x", len(CONTENT), tries=4)
    yield opened
    opened.close()


OPERATIONS = st.lists(
    st.tuples(st.just("read"), st.integers(-1, 1_500_000))
    | st.tuples(st.sampled_from(["start", "here", "end"]), st.integers(-2_500_000, 2_500_000)),
    max_size=8,
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operations=OPERATIONS)
def test_a_source_reads_and_jumps_as_a_file_does(opened: ObjectSource, operations: list[tuple[str, int]]) -> None:
    expected = io.BytesIO(CONTENT)
    opened.seek(0)
    for operation, number in operations:
        if operation == "read":
            assert opened.read(number) == expected.read(number)
        else:
            whence = {"start": 0, "here": 1, "end": 2}[operation]
            base = {0: 0, 1: expected.tell(), 2: len(CONTENT)}[whence]
            if base + number < 0:
                with pytest.raises(ValueError, match="before the start"):
                    opened.seek(number, whence)
            else:
                assert opened.seek(number, whence) == expected.seek(number, whence)
        assert opened.tell() == expected.tell()


def test_reading_in_order_takes_few_requests(platform: Platform, objects: Objects) -> None:
    objects.put("large", bytes(30 << 20))
    asked = platform.proxy.add(Fault(calls("s3", "GetObject")))
    opened = ObjectSource(objects, "large", 30 << 20, tries=1)
    read = sum(len(opened.read(65536)) for _ in range(480))
    opened.close()
    assert read == 30 << 20
    assert asked.hits == 3


def test_a_source_whose_connection_breaks_reads_on(platform: Platform, opened: ObjectSource) -> None:
    platform.proxy.add(Fault(calls("s3", "GetObject"), times=2, cut_after=300_001))
    assert opened.read() == CONTENT


def test_a_source_that_does_not_answer_gives_up(platform: Platform, opened: ObjectSource) -> None:
    platform.proxy.add(Fault(calls("s3", "GetObject"), status=503))
    with pytest.raises(ClientError):
        opened.read(1)
    platform.proxy.clear()
    assert opened.read(4) == CONTENT[:4]


def test_a_source_that_vanished_says_so(objects: Objects, opened: ObjectSource) -> None:
    objects.delete("x")
    with pytest.raises(ObjectGone):
        opened.read(1)


@pytest.mark.parametrize("size", [0, 1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES + 5])
def test_a_sink_writes_what_it_was_given(objects: Objects, size: int) -> None:
    content = (CONTENT * 20)[:size]
    sink = ObjectSink(objects, "out")
    for start in range(0, size, 700_001):
        assert sink.write(content[start : start + 700_001]) == len(content[start : start + 700_001])
    assert list(objects.keys("out")) == []
    etag = sink.complete()
    assert sink.size == size
    assert etag.startswith('"')
    assert objects.head("out") == size
    opened = ObjectSource(objects, "out", size, tries=1)
    assert opened.read() == content
    opened.close()


def test_a_sink_that_is_given_up_leaves_nothing(objects: Objects) -> None:
    sink = ObjectSink(objects, "results/a/1")
    sink.write(bytes(2 * PART_BYTES + 1))
    sink.abort()
    assert list(objects.keys("results/")) == []
    objects.clean_results("a", 10)


def test_a_part_that_cannot_be_written_is_told_to_the_writer(platform: Platform, objects: Objects) -> None:
    platform.proxy.add(Fault(calls("s3", "UploadPart"), status=500))
    sink = ObjectSink(objects, "out")
    with pytest.raises(ClientError):
        sink.write(bytes(10 * PART_BYTES))
    platform.proxy.clear()
    sink.abort()


def test_cleaning_removes_older_attempts_and_no_others(objects: Objects) -> None:
    for attempt in (1, 2, 3, 10):
        objects.put(f"results/a/{attempt}", b"x")
    objects.put("results/ab/1", b"x")
    half = objects.start("results/a/2")
    newer = objects.start("results/a/4")
    objects.clean_results("a", below=3, keep=1)
    assert sorted(objects.keys("results/")) == ["results/a/1", "results/a/10", "results/a/3", "results/ab/1"]
    objects.abort("results/a/4", newer)
    objects.abort("results/a/2", half)


def test_many_threads_share_the_clients(objects: Objects) -> None:
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda number: objects.put(f"k/{number}", b"x"), range(50)))
    assert len(list(objects.keys("k/"))) == 50
