"""A process that has loaded the engine, and forks: so that work in a process of its own costs no start of Python.

It stays with one thread and reads no file. For each task its service sends the channels of the process to be forked
and one for itself: the service closes that one to have the process killed, and is told there how the process ended.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import io
import os
import selectors
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from application.engine.core.model import ColumnInfo, DatasetInfo, DatasetRef, FileSource, Format, LookupBatch
from application.engine.preview import preview
from application.sandbox.child import serve
from application.sandbox.frames import ENDED, LOOKUPS

_PR_SET_PDEATHSIG = 1


class Zygote:
    """Forks on request until its service is gone."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._selector = selectors.DefaultSelector()
        self._children: dict[int, socket.socket] = {}
        self._ear, mouth = socket.socketpair()
        mouth.settimeout(0)
        self._mouth = mouth
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(mouth.fileno(), warn_on_full_buffer=False)

    def run(self) -> None:
        """Serve."""
        self._selector.register(self._control, selectors.EVENT_READ)
        self._selector.register(self._ear, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._control:
                    _, channels, _, _ = socket.recv_fds(self._control, 1, LOOKUPS + 2)
                    if not channels:
                        return  # the service is gone; the children go with this process
                    self._fork([socket.socket(fileno=channel) for channel in channels])
                elif key.fileobj is self._ear:
                    self._ear.recv(4096)
                    self._reap()
                elif key.data in self._children:
                    # It is not reaped yet, so the number is still its own. It is told to nobody how this one ended.
                    self._selector.unregister(key.fileobj)
                    os.kill(key.data, signal.SIGKILL)

    def _fork(self, channels: list[socket.socket]) -> None:
        status, files, *lookups = channels
        parent = os.getpid()
        child = os.fork()
        if child == 0:
            self._become_child(parent, files, lookups)
        for channel in (files, *lookups):
            channel.close()
        self._children[child] = status
        self._selector.register(status, selectors.EVENT_READ, child)

    def _become_child(self, parent: int, files: socket.socket, lookups: list[socket.socket]) -> NoReturn:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)
            # Were the container to run out of memory all the same, this process is the one to end.
            with contextlib.suppress(OSError):
                Path("/proc/self/oom_score_adj").write_text("1000")
        null = os.open(os.devnull, os.O_RDWR)
        for standard in range(3):
            os.dup2(null, standard)
        kept = {channel.fileno() for channel in (files, *lookups)}
        for descriptor in [int(path.name) for path in Path("/dev/fd").iterdir()]:
            if descriptor > 2 and descriptor not in kept:
                with contextlib.suppress(OSError):
                    os.close(descriptor)
        serve(files, lookups)

    def _reap(self) -> None:
        while self._children:
            child, status, usage = os.wait4(-1, os.WNOHANG)
            if child == 0:
                return
            channel = self._children.pop(child)
            with contextlib.suppress(KeyError):
                self._selector.unregister(channel)
            with contextlib.suppress(OSError):
                channel.sendall(ENDED.pack(status, usage.ru_maxrss * 1024, usage.ru_utime + usage.ru_stime))
            channel.close()


class _Example:
    """A department's data set with one row."""

    _data = DatasetInfo(DatasetRef("a", "b"), "id", (ColumnInfo("id"), ColumnInfo("name")), pattern="^V-[0-9]$")

    def datasets(self) -> Sequence[DatasetInfo]:
        return [self._data]

    def lookup(self, dataset: DatasetRef, keys: Sequence[str], columns: Sequence[str]) -> LookupBatch:
        return LookupBatch("", tuple(columns), [["x"] for _ in keys])


def _warm() -> None:
    """Look into small files: what libraries load and compile at their first use is then done for all processes.

    None of these formats is read with threads of Arrow's, which no fork would have.
    """
    for file_format, data in (
        (Format.CSV, b"id,b\nV-1,2\n"),
        (Format.JSON_LINES, b'{"id": "V-1"}\n'),
        (Format.MARKDOWN, b"V-1\n"),
    ):
        preview(FileSource(io.BytesIO(data)), file_format, _Example())


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):
        # It ends when its service does, which may have work to finish.
        signal.signal(number, signal.SIG_IGN)
    _warm()
    gc.collect()
    gc.freeze()
    Zygote(socket.socket(fileno=int(sys.argv[1]))).run()
