"""The department's folder in the data bucket."""

from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from mcp_server.errors import BrokenObject, ObjectMissing

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class StorageUnavailable(Exception):
    """S3 did not answer; what is loaded stays."""


class DepartmentObjects:
    """Reads `s3://<bucket>/departments/mcp-<department>/<object>`: the path is never a setting of a department.

    Blocking: call it from a thread.
    """

    def __init__(self, bucket: str, department: str, region: str, max_bytes: int) -> None:
        """Make the client; nothing is read yet."""
        config = Config(connect_timeout=3, read_timeout=10, retries={"max_attempts": 3, "mode": "standard"})
        self._client: S3Client = boto3.client("s3", region_name=region, config=config)
        self._bucket = bucket
        self._prefix = f"departments/mcp-{department}/"
        self._max_bytes = max_bytes

    def etag(self, name: str) -> str:
        """The object's version.

        Raises:
            ObjectMissing: There is none.
            StorageUnavailable: S3 did not say.
        """
        try:
            return self._client.head_object(Bucket=self._bucket, Key=self._prefix + name)["ETag"].strip('"')
        except ClientError as error:
            raise self._translated(error, name) from error
        except BotoCoreError as error:
            raise StorageUnavailable(f"S3 cannot be reached: {type(error).__name__}") from error

    def read(self, name: str) -> tuple[str, bytes]:
        """The object's version and bytes.

        Raises:
            ObjectMissing: There is none.
            BrokenObject: It is larger than what is loaded.
            StorageUnavailable: S3 did not give it.
        """
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=self._prefix + name)
            if answer["ContentLength"] > self._max_bytes:
                answer["Body"].close()
                raise BrokenObject(f"{name} has {answer['ContentLength']} bytes; at most {self._max_bytes} are loaded")
            return answer["ETag"].strip('"'), answer["Body"].read()
        except ClientError as error:
            raise self._translated(error, name) from error
        except BotoCoreError as error:
            raise StorageUnavailable(f"S3 cannot be reached: {type(error).__name__}") from error

    @staticmethod
    def _translated(error: ClientError, name: str) -> Exception:
        code = error.response.get("Error", {}).get("Code", "")
        if code in {"404", "NoSuchKey", "NotFound"}:
            return ObjectMissing(f"{name} is not in the department's folder")
        return StorageUnavailable(f"S3 refused to give {name}: {code}")
