import os
from hashlib import md5

import psutil
import pytest
from botocore.exceptions import ClientError
from tools.local.tests.conftest import Aws

from local.names import FILES_BUCKET

pytestmark = pytest.mark.slow

MIB = 1 << 20


def upload(aws: Aws, key: str, parts: list[bytes]) -> str:
    s3 = aws.client("s3")
    number = s3.create_multipart_upload(Bucket=FILES_BUCKET, Key=key)["UploadId"]
    done = [
        {
            "PartNumber": index,
            "ETag": s3.upload_part(Bucket=FILES_BUCKET, Key=key, UploadId=number, PartNumber=index, Body=part)["ETag"],
        }
        for index, part in enumerate(parts, 1)
    ]
    finished = s3.complete_multipart_upload(
        Bucket=FILES_BUCKET, Key=key, UploadId=number, MultipartUpload={"Parts": done}
    )
    return str(finished["ETag"]).strip('"')


def test_parts_become_one_object_whose_etag_is_that_of_s3(aws: Aws) -> None:
    parts = [os.urandom(5 * MIB), os.urandom(6 * MIB), b"end"]
    digests = b"".join(md5(part, usedforsecurity=False).digest() for part in parts)
    etag = upload(aws, "joined", parts)
    assert etag == f"{md5(digests, usedforsecurity=False).hexdigest()}-3"
    found = aws.client("s3").get_object(Bucket=FILES_BUCKET, Key="joined")
    assert found["ContentLength"] == sum(map(len, parts))
    assert found["Body"].read() == b"".join(parts)


@pytest.mark.parametrize("size", [0, 1, MIB, MIB + 1, 7 * MIB])
def test_an_object_of_any_size_comes_back_as_it_went(aws: Aws, size: int) -> None:
    s3, body = aws.client("s3"), os.urandom(size)
    s3.put_object(Bucket=FILES_BUCKET, Key="any size", Body=body, ContentType="text/csv", Metadata={"owner": "alice"})
    found = s3.get_object(Bucket=FILES_BUCKET, Key="any size")
    assert found["Body"].read() == body
    assert (found["ContentType"], found["Metadata"]) == ("text/csv", {"owner": "alice"})


@pytest.mark.parametrize(
    ("asked", "expected"), [("bytes=0-9", (0, 10)), ("bytes=4000000-", (4_000_000, 5 * MIB)), ("bytes=-7", (-7, None))]
)
def test_a_range_of_a_large_object(aws: Aws, asked: str, expected: tuple[int, int | None]) -> None:
    s3, body = aws.client("s3"), os.urandom(5 * MIB)
    s3.put_object(Bucket=FILES_BUCKET, Key="ranged", Body=body)
    found = s3.get_object(Bucket=FILES_BUCKET, Key="ranged", Range=asked)
    assert found["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert found["Body"].read() == body[slice(*expected)]


def test_a_range_behind_the_end_is_refused(aws: Aws) -> None:
    s3 = aws.client("s3")
    s3.put_object(Bucket=FILES_BUCKET, Key="short", Body=bytes(2 * MIB))
    with pytest.raises(ClientError, match="416"):
        s3.get_object(Bucket=FILES_BUCKET, Key="short", Range=f"bytes={2 * MIB}-")


def test_a_large_object_under_a_condition_that_does_not_hold(aws: Aws) -> None:
    s3 = aws.client("s3")
    s3.put_object(Bucket=FILES_BUCKET, Key="conditional", Body=bytes(2 * MIB))
    with pytest.raises(ClientError, match=r"PreconditionFailed|412"):
        s3.get_object(Bucket=FILES_BUCKET, Key="conditional", IfMatch='"another"')


def test_an_object_that_is_not_there(aws: Aws) -> None:
    with pytest.raises(ClientError, match="NoSuchKey"):
        aws.client("s3").get_object(Bucket=FILES_BUCKET, Key="nothing")


def test_an_object_deleted_while_it_is_read_is_read_to_its_end(aws: Aws) -> None:
    s3, body = aws.client("s3"), os.urandom(8 * MIB)
    s3.put_object(Bucket=FILES_BUCKET, Key="vanishing", Body=body)
    stream = s3.get_object(Bucket=FILES_BUCKET, Key="vanishing")["Body"]
    first = stream.read(MIB)
    s3.delete_object(Bucket=FILES_BUCKET, Key="vanishing")
    assert first + stream.read() == body


def test_a_part_that_was_never_sent_leaves_the_upload_as_it_was(aws: Aws) -> None:
    s3 = aws.client("s3")
    number = s3.create_multipart_upload(Bucket=FILES_BUCKET, Key="open")["UploadId"]
    part = {"Bucket": FILES_BUCKET, "Key": "open", "UploadId": number}
    etag = s3.upload_part(**part, PartNumber=1, Body=b"only")["ETag"]
    with pytest.raises(ClientError, match="InvalidPart"):
        s3.complete_multipart_upload(**part, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": '"0"'}]})
    s3.complete_multipart_upload(**part, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})
    assert s3.get_object(Bucket=FILES_BUCKET, Key="open")["Body"].read() == b"only"


@pytest.mark.slow
def test_a_large_object_is_neither_joined_nor_sent_in_memory(aws: Aws) -> None:
    upload(aws, "large", [bytes(32 * MIB)] * 8)
    before = psutil.Process(aws.process.pid).memory_info().rss
    upload(aws, "large", [bytes(32 * MIB)] * 8)
    for _ in range(2):
        stream = aws.client("s3").get_object(Bucket=FILES_BUCKET, Key="large")["Body"]
        assert sum(map(len, stream.iter_chunks(MIB))) == 256 * MIB
    assert psutil.Process(aws.process.pid).memory_info().rss - before < 100 * MIB
