"""What runs beside the control plane, and how each says that it is ready."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Program:
    """One process.

    Attributes:
        ready_url: Answers 2xx once the process can do its work; without one, its port is listened on.
        port: Where it listens.
    """

    name: str
    command: Sequence[str]
    port: int
    ready_url: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
