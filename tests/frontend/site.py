"""The whole system with the page, as tests start it."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.frontend.gate import HELD_SECONDS, Gate, running_gate
from tests.helpers.stack import Settings, Stack

START_SECONDS = 400
"""Langflow takes 25 s of a core; other tests run beside."""


class Site(Stack):
    """One or more replicas of the page, and all that is behind them."""

    gate: Gate
    seconds: Mapping[str, float]
    """After which each process was ready, and `everything`."""

    @property
    def pages(self) -> list[str]:
        """The names of the page's replicas."""
        return [service.name for service in self.services if service.name.startswith("frontend")]


@contextmanager
def running_site(folder: Path, *, frontends: int = 1, settings: Settings | None = None) -> Iterator[Site]:
    """A site with its state in `folder`; several replicas need settings, see `tests/replicas`."""
    departments = folder / "departments-of-the-worker"
    ours: Settings = {
        "gateway": {"RATE_LIMIT": "100000/second"},
        "worker": {
            "RECEIVE_SECONDS": "1",
            "DEPARTMENTS_DIR": str(departments),
            "DEPARTMENT_SECONDS": str(HELD_SECONDS),
        },
    }
    site = Site(folder / "state", frontends=frontends, settings={**ours, **(settings or {})})
    with running_gate(site.addresses, departments) as site.gate:
        try:
            begin, seconds = time.monotonic(), dict[str, float]()
            site.start()
            site.wait(lambda service, after: seconds.update({service.name: after}), seconds=START_SECONDS)
            site.seconds = seconds | {"everything": time.monotonic() - begin}
            yield site
        finally:
            site.stop()
