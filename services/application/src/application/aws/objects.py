"""The bucket with uploads and results."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from application.aws.clients import code
from application.errors import InvalidParts, ObjectGone, UploadGone

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client

MEBIBYTE = 1 << 20
PART_BYTES = 8 * MEBIBYTE
"""Part of a multipart upload: S3 takes 10,000 of them, so 80 GiB."""

_GONE = {"NoSuchKey", "404", "NotFound"}
_INVALID_PARTS = {"InvalidPart", "InvalidPartOrder", "EntityTooSmall", "MalformedXML", "InvalidRequest"}
_ATTEMPT = re.compile(r"results/[^/]+/(\d+)(?:\.misses)?$")


def upload_object(file: str) -> str:
    """The key of a file that was taken in."""
    return f"uploads/{file}"


def result_object(job: str, attempt: int) -> str:
    """The key of what one attempt at a job writes."""
    return f"results/{job}/{attempt}"


def misses_object(job: str, attempt: int) -> str:
    """The key of the list of keys that one attempt at a job did not find."""
    return f"{result_object(job, attempt)}.misses"


class Objects:
    """Calls of S3 as this service needs them; blocking, safe in threads."""

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put(self, key: str, body: bytes) -> str:
        """Write a small object at once; its ETag."""
        return self._client.put_object(Bucket=self._bucket, Key=key, Body=body)["ETag"]

    def head(self, key: str) -> int:
        """The object's size in bytes.

        Raises:
            ObjectGone: There is none.
        """
        try:
            return self._client.head_object(Bucket=self._bucket, Key=key)["ContentLength"]
        except ClientError as error:
            raise _gone(error) from error

    def open(self, key: str, start: int, end: int) -> StreamingBody:
        """Begin to read the bytes from ``start`` up to ``end`` (not with it).

        Raises:
            ObjectGone: There is no such object.
        """
        try:
            return self._client.get_object(Bucket=self._bucket, Key=key, Range=f"bytes={start}-{end - 1}")["Body"]
        except ClientError as error:
            raise _gone(error) from error

    def delete(self, key: str) -> None:
        """Delete the object if it is there."""
        self._client.delete_object(Bucket=self._bucket, Key=key)

    def start(self, key: str) -> str:
        """Begin a multipart upload; its identifier."""
        return self._client.create_multipart_upload(Bucket=self._bucket, Key=key)["UploadId"]

    def put_part(self, key: str, upload: str, number: int, body: bytes) -> str:
        """Write one part; its ETag."""
        return self._client.upload_part(Bucket=self._bucket, Key=key, UploadId=upload, PartNumber=number, Body=body)[
            "ETag"
        ]

    def complete(self, key: str, upload: str, etags: Sequence[tuple[int, str]]) -> str:
        """Make the parts one object; its ETag.

        Raises:
            UploadGone: It was completed or aborted before.
            InvalidParts: The parts are not those that were uploaded, or one but the last is under 5 MiB.
        """
        parts: list[Any] = [{"PartNumber": number, "ETag": etag} for number, etag in etags]
        try:
            return self._client.complete_multipart_upload(
                Bucket=self._bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}
            )["ETag"]
        except ClientError as error:
            if code(error) == "NoSuchUpload":
                raise UploadGone from error
            if code(error) in _INVALID_PARTS:
                raise InvalidParts from error
            raise

    def abort(self, key: str, upload: str) -> None:
        """Throw the parts away, if they are there."""
        try:
            self._client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload)
        except ClientError as error:
            if code(error) != "NoSuchUpload":
                raise

    def presign_part(self, key: str, upload: str, number: int, size: int, seconds: int) -> str:
        """A URL that takes exactly ``size`` bytes as one part, for so many seconds."""
        return self._client.generate_presigned_url(
            "upload_part",
            Params={
                "Bucket": self._bucket,
                "Key": key,
                "UploadId": upload,
                "PartNumber": number,
                "ContentLength": size,
            },
            ExpiresIn=seconds,
        )

    def clean_results(self, job: str, below: int, keep: int | None = None) -> None:
        """Delete what attempts of a number less than ``below`` left: half uploads, and objects but ``keep``'s."""
        prefix = f"results/{job}/"
        for key, upload in self._uploads(prefix):
            if _attempt(key) < below:
                self.abort(key, upload)
        for key in self.keys(prefix):
            if _attempt(key) < below and _attempt(key) != keep:
                self.delete(key)

    def keys(self, prefix: str) -> Iterator[str]:
        """The keys that start with ``prefix``."""
        for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix):
            for entry in page.get("Contents", []):
                yield entry["Key"]

    def _uploads(self, prefix: str) -> Iterator[tuple[str, str]]:
        for page in self._client.get_paginator("list_multipart_uploads").paginate(Bucket=self._bucket, Prefix=prefix):
            for entry in page.get("Uploads", []):
                yield entry["Key"], entry["UploadId"]

    def check(self) -> None:
        """Ask whether the bucket answers."""
        self._client.head_bucket(Bucket=self._bucket)


def _gone(error: ClientError) -> Exception:
    return ObjectGone() if code(error) in _GONE else error


def _attempt(key: str) -> int:
    match = _ATTEMPT.fullmatch(key)
    return int(match[1]) if match else 0
