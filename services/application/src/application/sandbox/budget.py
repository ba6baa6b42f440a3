"""What one piece of work may cost, and the errors of work that costs more."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from application.engine.core.errors import InputError

MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class Budget:
    """Bounds of one piece of work: sizes in bytes, times in seconds.

    ``memory`` is over and above what the process has when it starts. ``cpu`` is of all its threads. ``wall`` includes
    waiting for storage and departments; none means that somebody else ends the work. ``produced`` bounds the answer,
    not the enriched file. ``instead`` is what to do with a file that needs more, for its owner.
    """

    memory: int
    cpu: int
    wall: float | None = None
    read: int | None = None
    produced: int = 16 * MEBIBYTE
    instead: str = "Split it into smaller files."


class Cancellation:
    """Ends work from another thread, at once and whatever the work is doing. Can be asked for before it starts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []
        self.is_cancelled = False

    def cancel(self) -> None:
        """End the work with ``Cancelled``."""
        with self._lock:
            if self.is_cancelled:
                return
            self.is_cancelled = True
        for callback in self._callbacks:
            callback()

    def also(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` when the work is cancelled, at once if it is."""
        with self._lock:
            if not self.is_cancelled:
                self._callbacks.append(callback)
                return
        callback()


class EngineFailed(Exception):
    """An error in the engine's code. ``places`` are of its traceback, without values: these may quote the file."""

    def __init__(self, kind: str, places: list[str]) -> None:
        super().__init__(kind)
        self.kind = kind
        self.places = places


def too_much_memory(budget: Budget) -> InputError:
    """The file needs more memory than it may have."""
    limit = f"{budget.memory // MEBIBYTE} MB of memory"
    return _too_costly(f"This file needs more than {limit}, the most that one file may take.", budget, limit)


def too_much_time(budget: Budget, *, cpu: bool) -> InputError:
    """The file takes longer than it may."""
    limit = f"{budget.cpu} s of processor time" if cpu else f"{budget.wall:g} s"
    return _too_costly(f"This file needs more than {limit}, the most that one file may take.", budget, limit)


def too_much_read(budget: Budget) -> InputError:
    """More of the file has to be read than may be."""
    limit = f"{(budget.read or 0) // MEBIBYTE} MB"
    return _too_costly(f"More than {limit} of this file must be read for this.", budget, f"{limit} read")


def too_much_produced(budget: Budget) -> InputError:
    """The answer would be larger than it may be."""
    limit = f"{budget.produced // MEBIBYTE} MB"
    return _too_costly(f"The first rows of this file take more than {limit}.", budget, f"{limit} in the answer")


def crashed() -> InputError:
    """A library ended the process."""
    return InputError(
        "corrupt-file",
        "The file cannot be read",
        "The program that reads this kind of file stopped while it read this one: the file is damaged or very unusual.",
        expected="a file that was opened and saved again by the program that it comes from",
    )


def _too_costly(detail: str, budget: Budget, limit: str) -> InputError:
    return InputError(
        "file-too-large", "The file is too large", f"{detail} {budget.instead}", expected=f"at most {limit}"
    )
