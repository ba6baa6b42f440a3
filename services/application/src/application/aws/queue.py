"""The queue that tells workers of jobs. A message is a hint and no more: what is to be done is in the table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


@dataclass(frozen=True, slots=True)
class Message:
    """A message that was received; ``job`` is None if its body is not one of ours."""

    job: str | None
    receipt: str


class JobQueue:
    """Blocking, safe in threads."""

    def __init__(self, client: SQSClient, url: str) -> None:
        self._client = client
        self._url = url

    def send(self, job: str, delay_seconds: int = 0) -> None:
        """Tell a worker of the job."""
        body = orjson.dumps({"job": job}).decode()
        self._client.send_message(QueueUrl=self._url, MessageBody=body, DelaySeconds=delay_seconds)

    def receive(self, wait_seconds: int, visibility_seconds: int) -> Message | None:
        """The next message, hidden from others for so long; None if none came."""
        answer = self._client.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=1,
            WaitTimeSeconds=wait_seconds,
            VisibilityTimeout=visibility_seconds,
        )
        for message in answer.get("Messages", []):
            return Message(_job(message.get("Body", "")), message["ReceiptHandle"])
        return None

    def hide(self, message: Message, seconds: int) -> None:
        """Hide the message from others for so long from now; with 0 it can be received at once."""
        self._client.change_message_visibility(
            QueueUrl=self._url, ReceiptHandle=message.receipt, VisibilityTimeout=seconds
        )

    def delete(self, message: Message) -> None:
        """The message is done with."""
        self._client.delete_message(QueueUrl=self._url, ReceiptHandle=message.receipt)

    def check(self) -> None:
        """Ask whether the queue answers."""
        self._client.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])


def _job(body: str) -> str | None:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    job = document.get("job") if isinstance(document, dict) else None
    return job if isinstance(job, str) else None
