"""Clients of AWS, made once for a process: boto3's are safe to share between threads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

Unavailable = (HTTPClientError, IncompleteReadError, NoCredentialsError)
"""What botocore raises where a service cannot be reached; what it answers is a ``ClientError``."""

AwsError = (ClientError, BotoCoreError)

_THROTTLED = {
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
}


@dataclass(frozen=True, slots=True)
class Clients:
    """One client for each service that is used."""

    s3: S3Client
    sqs: SQSClient
    dynamodb: DynamoDBClient


def make_clients(region: str, *, attempts: int) -> Clients:
    """Clients that try each call up to ``attempts`` times, with exponential backoff of up to 20 s between tries.

    ``attempts`` is small where a person waits (the API), large where nobody does (the worker). Timeouts are per read
    from the connection, so a long body is not limited by them. Checksums beyond TLS are left out where S3 does not
    require them, so that a presigned URL can be used without computing one, and nor is the hash of a body signed: TLS
    protects it, and hashing is a third of what an upload costs.

    S3 is addressed as ``<bucket>.s3.<region>.amazonaws.com``. Without ``addressing_style`` botocore presigns for
    ``<bucket>.s3.amazonaws.com``: the page's content security policy does not allow that origin, and S3 redirects it
    (307) while a bucket is new (https://github.com/boto/boto3/issues/421).
    """

    def config(**options: Any) -> Config:
        return Config(
            region_name=region,
            retries={"mode": "standard", "total_max_attempts": attempts},
            connect_timeout=3,
            max_pool_connections=64,
            tcp_keepalive=True,
            **options,
        )

    checksums = {"request_checksum_calculation": "when_required", "response_checksum_validation": "when_required"}
    s3 = {"payload_signing_enabled": False, "addressing_style": "virtual"}
    session = boto3.Session()
    return Clients(
        s3=session.client("s3", config=config(read_timeout=20, signature_version="s3v4", s3=s3, **checksums)),
        # A long poll of up to 20 s is no timeout.
        sqs=session.client("sqs", config=config(read_timeout=30)),
        dynamodb=session.client("dynamodb", config=config(read_timeout=5)),
    )


def code(error: ClientError) -> str:
    """The error's code, such as ``NoSuchKey``; the HTTP status as text where the answer had no body."""
    return str(error.response.get("Error", {}).get("Code", ""))


def is_transient(error: BaseException) -> bool:
    """Whether the same call may work later: the service cannot be reached, fails, or throttles."""
    if isinstance(error, Unavailable):
        return True
    if not isinstance(error, ClientError):
        return False
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status >= 500 or status == 429 or code(error) in _THROTTLED
