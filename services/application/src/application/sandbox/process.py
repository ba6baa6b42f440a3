"""One process of the sandbox, as the service sees it: its channels, its end, and why it ended."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from application.sandbox.budget import Budget, EngineFailed, crashed, too_much_memory, too_much_time
from application.sandbox.frames import ENDED

OUT_OF_MEMORY = 77
"""The exit status of a process that came to the limit of its memory."""
_END_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Usage:
    """How a process ended: wait status, most memory in bytes (that which it shares included), processor seconds."""

    status: int
    memory: int
    cpu: float


class Process:
    """The channels of a process; ``status`` is the zygote's."""

    def __init__(self, status: socket.socket, files: socket.socket, lookups: Sequence[socket.socket]) -> None:
        self.status = status
        self.files = files
        self.lookups = lookups
        self._usage: Usage | None = None

    def kill(self) -> None:
        """Have the zygote kill it; harmless where it has ended. Safe in threads."""
        with suppress(OSError):
            self.status.shutdown(socket.SHUT_WR)

    def ended(self) -> Usage | None:
        """Kill it if it has not ended, and wait until it has; nothing where the zygote is gone."""
        if self._usage is None:
            self.status.settimeout(_END_SECONDS)
            try:
                # What has ended by itself has let go of its channels and is reaped in a moment: how must be told.
                if not is_closed(self.files):
                    self.kill()
                data = self.status.recv(ENDED.size, socket.MSG_WAITALL)
            except OSError:
                data = b""
            self._usage = Usage(*ENDED.unpack(data)) if len(data) == ENDED.size else None
        return self._usage


def why_ended(usage: Usage | None, budget: Budget) -> tuple[str, Exception]:
    """Why a process ended without an answer: a label, and the error for its caller."""
    if usage is None:
        return "lost", EngineFailed("SandboxLost", [])
    if os.WIFEXITED(usage.status):
        if os.WEXITSTATUS(usage.status) == OUT_OF_MEMORY:
            return "memory", too_much_memory(budget)
        return "failed", EngineFailed("EngineEnded", [])
    match os.WTERMSIG(usage.status):
        case signal.SIGXCPU:
            return "cpu", too_much_time(budget, cpu=True)
        case signal.SIGKILL if usage.cpu >= budget.cpu:
            return "cpu", too_much_time(budget, cpu=True)
        # A library that gets no memory ends the process: Arrow and PDFium abort, others use what they did not get.
        case signal.SIGKILL | signal.SIGABRT | signal.SIGILL | signal.SIGTRAP:
            return "memory", too_much_memory(budget)
    return "crash", crashed()


def is_closed(channel: socket.socket) -> bool:
    """Whether the other end is gone, and nothing that it sent is left."""
    try:
        return channel.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
