"""One replica itself, without the load balancer in front of it."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
from tests.frontend.test_login import TOKEN, alb_token
from tests.helpers.stack import Stack

REPLICAS = ("frontend", "frontend-2", "frontend-3")


@contextmanager
def replica(site: Stack, name: str, user: str = "dana") -> Iterator[httpx2.Client]:
    """Requests to a replica, as the load balancer hands on a user's."""
    headers = {TOKEN: alb_token(site, user), "origin": site.app}
    url = f"http://127.0.0.1:{site.addresses.frontend_port(REPLICAS.index(name))}"
    with httpx2.Client(base_url=url, headers=headers, timeout=60) as client:
        yield client
