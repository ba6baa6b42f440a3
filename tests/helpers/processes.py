"""Processes of one service that a test starts and kills in place of the stack's own."""

import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from tests.helpers.stack import Stack, free_port

from local.supervision import MARK


class Copies:
    """Processes with the command and the environment of the one that the stack has, but for some changes."""

    def __init__(self, stack: Stack, service: str, changes: Mapping[str, str]) -> None:
        self._service = next(each for each in stack.services if each.name == service)
        self._environment = {**os.environ, **self._service.environment, **changes, MARK: str(stack.state.path)}
        self._folder = stack.state.path
        self._log = stack.log(f"copies-of-{service}")
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, count: int = 1) -> list[int]:
        """Start so many, on ports of their own, which are returned."""
        started = [free_port() for _ in range(count)]
        for port in started:
            ports = {"PORT": str(port), "METRICS_PORT": str(free_port())}
            with self._log.open("ab") as log:
                process = subprocess.Popen(
                    self._service.command,
                    cwd=self._folder,
                    env={**self._environment, **ports},
                    stdout=log,
                    stderr=log,
                )
            self._running.append(process)
        return started

    def kill(self) -> None:
        """Kill all of them as the kernel does when memory runs out: at once, with no last word."""
        for process in self._running:
            process.kill()
        for process in self._running:
            process.wait()
        self._running.clear()

    def stop(self) -> None:
        """Ask all of them to end, and wait until they have."""
        for process in self._running:
            process.terminate()
        deadline = time.monotonic() + 10
        for process in self._running:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, deadline - time.monotonic()))
        self.kill()


@contextmanager
def in_place_of(stack: Stack, service: str) -> Iterator[None]:
    """The stack's own process is stopped meanwhile."""
    stack.stop_service(service)
    try:
        yield
    finally:
        stack.start_service(service)
