"""The EKS calls: a department's ServiceAccount is associated with the one IAM role of all departments.

The role's policy reaches only the folder named like the ServiceAccount, so an association gives one department's data.
"""

import asyncio
from typing import TYPE_CHECKING, Final

import boto3
import structlog
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from department_operator.errors import TryAgain
from department_operator.names import server_name

if TYPE_CHECKING:
    from mypy_boto3_eks import EKSClient

log = structlog.get_logger()

PREFIX: Final = server_name("")


class PodIdentity:
    """Associations of the namespace's `mcp-<department>`, as EKS has them."""

    def __init__(self, cluster: str, namespace: str, role_arn: str, region: str) -> None:
        """Make the client; nothing is called yet."""
        config = Config(connect_timeout=3, read_timeout=10, retries={"max_attempts": 5, "mode": "standard"})
        self._client: EKSClient = boto3.client("eks", region_name=region, config=config)
        self._cluster = cluster
        self._namespace = namespace
        self._role_arn = role_arn
        self._known: dict[str, str] | None = None
        self._listing = asyncio.Lock()

    async def ensure(self, department: str) -> None:
        """Associate; no call where it is known to be so.

        Raises:
            TryAgain: EKS refused or did not answer.
        """
        known = await self._associations()
        account = server_name(department)
        if account not in known:
            known[account] = await asyncio.to_thread(self._create, account)

    async def remove(self, department: str) -> None:
        """End the association, if there is one.

        Raises:
            TryAgain: EKS refused or did not answer.
        """
        known = await self._associations()
        account = server_name(department)
        if (association := known.get(account)) is not None:
            await asyncio.to_thread(self._delete, association)
            known.pop(account, None)

    async def departments(self) -> list[str]:
        """All departments that EKS has an association of.

        Raises:
            TryAgain: EKS refused or did not answer.
        """
        return [account.removeprefix(PREFIX) for account in await self._associations()]

    async def _associations(self) -> dict[str, str]:
        async with self._listing:
            if self._known is None:
                self._known = await asyncio.to_thread(self._list)
            return self._known

    def _list(self) -> dict[str, str]:
        try:
            pages = self._client.get_paginator("list_pod_identity_associations").paginate(
                clusterName=self._cluster, namespace=self._namespace
            )
            return {
                found["serviceAccount"]: found["associationId"]
                for page in pages
                for found in page["associations"]
                if found["serviceAccount"].startswith(PREFIX)
            }
        except (ClientError, BotoCoreError) as error:
            raise _translated(error, "list Pod Identity associations") from error

    def _create(self, account: str) -> str:
        try:
            answer = self._client.create_pod_identity_association(
                clusterName=self._cluster,
                namespace=self._namespace,
                serviceAccount=account,
                roleArn=self._role_arn,
            )
            log.info("pod_identity.associated", account=account)
            return answer["association"]["associationId"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceInUseException":
                raise _translated(error, f"associate {account}") from error
        except BotoCoreError as error:
            raise _translated(error, f"associate {account}") from error
        # Someone else was first: another operator, or this one before it was stopped.
        return self._list()[account]

    def _delete(self, association: str) -> None:
        try:
            self._client.delete_pod_identity_association(clusterName=self._cluster, associationId=association)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise _translated(error, f"end the association {association}") from error
        except BotoCoreError as error:
            raise _translated(error, f"end the association {association}") from error


def _translated(error: ClientError | BotoCoreError, what: str) -> TryAgain:
    if isinstance(error, ClientError):
        return TryAgain(f"EKS refused to {what}: {error.response['Error'].get('Code')}")
    return TryAgain(f"EKS cannot be reached to {what}: {type(error).__name__}")
