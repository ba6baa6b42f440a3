"""What counts once and was used already (presigned requests, logins, codes): one DynamoDB table for all replicas."""

import asyncio
import hashlib
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from agentgateway.http.errors import ServiceUnavailable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class UsedExchanges:
    """Remembers names by their hash until they are too old to be accepted anyway."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        """`table` has the partition key `id` and the TTL attribute `expires_at`."""
        self._client = client
        self._table = table

    async def claim(self, name: str, expires_at: int) -> bool:
        """Whether nobody has claimed `name` before, here or at another replica.

        Raises:
            ServiceUnavailable: DynamoDB did not answer, so that nothing is known.
        """
        identifier = hashlib.sha256(name.encode()).hexdigest()
        try:
            await asyncio.to_thread(
                self._client.put_item,
                TableName=self._table,
                Item={"id": {"S": identifier}, "expires_at": {"N": str(expires_at)}},
                ConditionExpression="attribute_not_exists(id)",
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
                return False
            raise ServiceUnavailable(f"DynamoDB did not remember the exchange: {error}") from error
        except BotoCoreError as error:
            raise ServiceUnavailable(f"DynamoDB did not remember the exchange: {error}") from error
        return True
