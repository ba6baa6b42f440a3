"""On-premises callers: AWS credentials, proven to STS, are exchanged for a token of the gateway."""

import time
import uuid

import structlog

from agentgateway.http.errors import ExchangeReplayed, UnknownRole
from agentgateway.identity.exchanges import UsedExchanges
from agentgateway.identity.kms import KmsSigner
from agentgateway.identity.roles import RoleGroups
from agentgateway.identity.sts import PresignedIdentity, Sts

log = structlog.get_logger()

TOKEN_SECONDS = 900
REMEMBER_SECONDS = 300
"""Beyond its expiry, for clocks that differ between replicas."""


class IamExchange:
    """Turns a presigned `GetCallerIdentity` into a token, once."""

    def __init__(self, sts: Sts, used: UsedExchanges, signer: KmsSigner, roles: RoleGroups, issuer: str) -> None:
        """`issuer` is both who issues the tokens and whom they are for: this gateway."""
        self._sts = sts
        self._used = used
        self._signer = signer
        self._roles = roles
        self._issuer = issuer

    async def token(self, request: PresignedIdentity) -> str:
        """A token for the IAM role whose session presigned `request`, for `TOKEN_SECONDS`.

        Raises:
            ExchangeRefused: STS does not accept it.
            ExchangeReplayed: It was exchanged before, at whichever replica.
            UnknownRole: The identity is not a session of a role that has groups here.
            ServiceUnavailable: STS, DynamoDB or KMS did not answer.
        """
        arn = await self._sts.caller_arn(request)
        # Only after STS has accepted the signature: what is made up must not fill the table.
        if not await self._used.claim(request.signature, request.expires_at + REMEMBER_SECONDS):
            raise ExchangeReplayed
        role = self._roles.of_session(arn)
        if role is None:
            raise UnknownRole(arn)
        role_arn, groups = role
        now = int(time.time())
        claims = {
            "iss": self._issuer,
            "aud": self._issuer,
            "sub": role_arn,
            "groups": sorted(groups),
            "iat": now,
            "exp": now + TOKEN_SECONDS,
            "jti": str(uuid.uuid4()),
        }
        token = await self._signer.sign(claims)
        log.info("iam.exchanged", session=arn, role=role_arn, jti=claims["jti"])
        return token
