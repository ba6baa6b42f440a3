"""How this process connects to PostgreSQL: to the right server only, never waiting for a dead one for long, and starts.

Replicas that start at once must take turns. Langflow has them wait for its tables in an open transaction, for which
`CREATE INDEX CONCURRENTLY` of the one that makes the tables waits in turn, until all of them give up.
"""

import asyncio
import logging
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import boto3
import httpx
from sqlalchemy import Engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from frontend.settings import Settings

PORT: Final = 5432
IMPATIENCE: Final = {
    "connect_timeout": 5,
    # After a failover of RDS the machine that was the database says nothing; TCP alone would wait a quarter of an hour.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}
"""In seconds, but the last in milliseconds: https://www.postgresql.org/docs/current/libpq-connect.html."""

TURN: Final = 0x66696C6570726F63
"""The advisory lock of who starts: `fileproc`."""
SECONDS_BETWEEN_TRIES: Final = 0.5

log = logging.getLogger(__name__)


def configure(settings: Settings) -> None:
    """From here on, whoever connects to PostgreSQL in this process does so as `settings` say.

    With `DATABASE_IAM_AUTH` the password is a token of the pod's IAM role. It counts for 15 minutes, so one is made for
    each connection: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html
    """
    rds = boto3.client("rds", region_name=settings.aws_region) if settings.database_iam_auth else None
    authority = authority_file(settings)

    @event.listens_for(Engine, "do_connect")
    def prepare(dialect: Any, _: Any, __: Any, parameters: dict[str, Any]) -> None:
        if dialect.name != "postgresql":
            return
        parameters.update(IMPATIENCE)
        if authority:
            parameters |= {"sslmode": "verify-full", "sslrootcert": str(authority)}
        if rds:
            host, port, user = parameters["host"], int(parameters.get("port") or PORT), parameters["user"]
            parameters["password"] = rds.generate_db_auth_token(host, port, user, Region=settings.aws_region)


def authority_file(settings: Settings) -> Path | None:
    """The certificates that the database's must be signed by; an address is read now, as AWS adds to its bundle.

    Without the file, or what is at the address, the start ends: the pod is started again until it is there.
    """
    found = settings.database_authority
    if found is None or not found.startswith("https://"):
        return Path(found) if found else None
    try:
        answer = httpx.get(found, timeout=10).raise_for_status()
    except httpx.HTTPError as error:
        print(f"setting DATABASE_CA: {found} does not give the database's authority: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    target = settings.state_dir / "database-ca.pem"
    target.write_bytes(answer.content)
    return target


class OneAtATime:
    """An ASGI application that starts when no other replica on the same database is starting."""

    def __init__(self, app: ASGIApp, url: str) -> None:
        """`app` is what starts; `url` is the database, `postgresql://…`."""
        self._app = app
        # A statement of its own each time, in no transaction, so that nobody waits for who waits.
        driver = make_url(url).set(drivername="postgresql+psycopg")
        self._engine = create_async_engine(driver, poolclass=NullPool, isolation_level="AUTOCOMMIT")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on; the start when its turn has come, which ends when the start has."""
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        turn = await self._wait()

        async def sending(message: Message) -> None:
            if message["type"].startswith("lifespan.startup."):
                await turn.close()
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            await turn.close()

    async def _wait(self) -> AsyncConnection:
        """The connection that has the turn, as long as it is open."""
        while True:
            try:
                async with AsyncExitStack() as stack:
                    connection = await stack.enter_async_context(self._engine.connect())
                    while not await connection.scalar(text(f"SELECT pg_try_advisory_lock({TURN})")):  # noqa: ASYNC110 - for another process
                        await asyncio.sleep(SECONDS_BETWEEN_TRIES)
                    stack.pop_all()
                    return connection
            except OperationalError as error:
                log.warning("waiting for the database: %s", error.orig)
                await asyncio.sleep(SECONDS_BETWEEN_TRIES)
