"""The department's folder in the data bucket."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from mcp_server.errors import ObjectMissing

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from mypy_boto3_s3 import S3Client


class StorageUnavailable(Exception):
    """S3 did not answer; what is loaded stays."""


@dataclass(frozen=True, slots=True)
class Version:
    """An object as it is now."""

    etag: str
    size: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where a department's objects are."""

    bucket: str
    department: str
    region: str


class DepartmentObjects:
    """Reads `s3://<bucket>/departments/mcp-<department>/<object>`: the path is never a setting of a department.

    Blocking: call it from a thread.
    """

    def __init__(self, place: Place) -> None:
        """Make the client; nothing is read yet."""
        self.place = place
        config = Config(connect_timeout=3, read_timeout=10, retries={"max_attempts": 3, "mode": "standard"})
        self._client: S3Client = boto3.client("s3", region_name=place.region, config=config)
        self._bucket = place.bucket
        self._prefix = f"departments/mcp-{place.department}/"

    def version(self, name: str) -> Version:
        """The object's version.

        Raises:
            ObjectMissing: There is none.
            StorageUnavailable: S3 did not say.
        """
        with _translated(name):
            answer = self._client.head_object(Bucket=self._bucket, Key=self._prefix + name)
            return Version(answer["ETag"].strip('"'), answer["ContentLength"])

    def open(self, name: str, version: Version) -> "ObjectReader":
        """That version of the object, to be read from any place."""

        def get(first: int, last: int) -> bytes:
            with _translated(name):
                answer = self._client.get_object(
                    Bucket=self._bucket,
                    Key=self._prefix + name,
                    Range=f"bytes={first}-{last}",
                    IfMatch=f'"{version.etag}"',
                )
                return answer["Body"].read()

        return ObjectReader(get, version.size)


@contextmanager
def _translated(name: str) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if code in {"404", "NoSuchKey", "NotFound"}:
            raise ObjectMissing(f"{name} is not in the department's folder") from error
        if code in {"412", "PreconditionFailed"}:
            raise StorageUnavailable(f"{name} was replaced while it was read") from error
        raise StorageUnavailable(f"S3 refused to give {name}: {code}") from error
    except BotoCoreError as error:
        raise StorageUnavailable(f"S3 cannot be reached: {type(error).__name__}") from error


class ObjectReader(io.RawIOBase):
    """An object as a file: each read is a request of its own, so that a lost connection costs one block.

    Attributes:
        fetched: Bytes that were read so far.
    """

    def __init__(self, get: Callable[[int, int], bytes], size: int) -> None:
        """Read `size` bytes by `get`, which takes the first place and the last."""
        self._get = get
        self._size = size
        self._position = 0
        self.fetched = 0

    def readable(self) -> bool:
        """It can be read."""
        return True

    def seekable(self) -> bool:
        """It can be read from any place."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place."""
        self._position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        return self._position

    def tell(self) -> int:
        """The present place."""
        return self._position

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Fill `buffer`, as far as there is something."""
        view = memoryview(buffer)
        length = max(0, min(len(view), self._size - self._position))
        if length:
            view[:length] = self._get(self._position, self._position + length - 1)
            self._position += length
            self.fetched += length
        return length
