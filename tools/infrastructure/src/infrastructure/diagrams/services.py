"""AWS's own services, each drawn where the plan has something of it."""

from typing import Any, Final

from diagrams.aws.compute import ECR
from diagrams.aws.database import Dynamodb
from diagrams.aws.integration import SQS
from diagrams.aws.management import Cloudwatch
from diagrams.aws.security import KMS, Cognito, SecretsManager
from diagrams.aws.storage import S3

from infrastructure.diagrams.canvas import group
from infrastructure.diagrams.facts import Facts

KINDS: Final = {
    "aws_s3_bucket": (S3, "buckets"),
    "aws_dynamodb_table": (Dynamodb, "tables"),
    "aws_sqs_queue": (SQS, "queues"),
    "aws_cognito_user_pool": (Cognito, "user pool"),
    "aws_kms_key": (KMS, "keys"),
    "aws_secretsmanager_secret": (SecretsManager, "secrets"),
    "aws_cloudwatch_metric_alarm": (Cloudwatch, "alarms"),
}


def regional(facts: Facts) -> list[Any]:
    """A box of the services, with how many there are of each."""
    with group("services of the region", "outside"):
        made = [
            icon(f"{count} {what}" if count > 1 else what)
            for kind, (icon, what) in KINDS.items()
            if (count := len(facts.planned(kind)))
        ]
        return [*made, ECR("images")]
