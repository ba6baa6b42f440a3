"""What the components share: the settings, and the service as the user whose run this is."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache

from fileproc import Client
from frontend import enrichment, identity
from frontend.settings import Settings, load


@cache
def settings() -> Settings:
    """The settings of this process."""
    return load()


def token() -> str:
    """The access token of the user whose run this is.

    Raises:
        Refusal: Nobody is logged in, so nothing is done.
    """
    try:
        return identity.current().token
    except identity.NotLoggedIn as error:
        raise enrichment.Refusal(enrichment.NOT_SIGNED_IN) from error


@asynccontextmanager
async def client() -> AsyncIterator[Client]:
    """The service as that user; see `token`."""
    whose = token()
    async with enrichment.client_of(settings().gateway_url, whose) as found:
        yield found
