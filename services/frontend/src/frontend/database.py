"""The database's password, where it is a token of the pod's IAM role: each counts for 15 minutes, so none is kept."""

from typing import Any

import boto3
from sqlalchemy import Engine, event

PORT = 5432


def use_iam_tokens(region: str) -> None:
    """From here on, whoever connects to PostgreSQL in this process does so with a token made for that connection.

    https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html
    """
    rds = boto3.client("rds", region_name=region)

    @event.listens_for(Engine, "do_connect")
    def add_token(dialect: Any, _: Any, __: Any, parameters: dict[str, Any]) -> None:
        if dialect.name != "postgresql":
            return
        host, port, user = parameters["host"], int(parameters.get("port") or PORT), parameters["user"]
        parameters["password"] = rds.generate_db_auth_token(host, port, user, Region=region)
        parameters["sslmode"] = "verify-full" if "sslrootcert" in parameters else "require"
