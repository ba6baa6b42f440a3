"""Where each part of a stack answers: a block of 50 ports."""

from dataclasses import dataclass
from pathlib import Path

BLOCK = 50
MOST_DEPARTMENTS = 17
"""Services that declare themselves take the places after the departments."""
FRONTEND_PORTS = (8, 27, 28, 29)
HOST = "127.0.0.1"
OUTGOING_PORTS = Path("/proc/sys/net/ipv4/ip_local_port_range")


def conflict(first_port: int, outgoing: tuple[int, int]) -> str | None:
    """Why a stack must not use the block of ports from `first_port` on; None if it may.

    The kernel takes ports of `outgoing` (first and last) for connections. One of them could be taken before its server
    starts, or, while nobody listens, be both ends of a connection: then a client reads its own request as the answer.
    """
    first, last = outgoing
    if first_port > last or first_port + BLOCK - 1 < first:
        return None
    return (
        f"ports {first_port} to {first_port + BLOCK - 1} are among those that this machine gives to outgoing "
        f"connections ({first} to {last}). Choose a first port below {first - BLOCK + 1} or above {last}"
    )


def outgoing_ports() -> tuple[int, int]:
    """The first and last port for outgoing connections; (0, 0) where the system does not say or keeps none free."""
    try:
        first, last = map(int, OUTGOING_PORTS.read_text().split())
    except OSError:
        return 0, 0
    return (first, last) if first >= 1024 + BLOCK else (0, 0)


@dataclass(frozen=True, slots=True)
class Addresses:
    """The ports of one stack, from the first one on, and the addresses made of them."""

    first_port: int

    @property
    def app(self) -> str:
        """The edge for people: login on every path."""
        return self.url(0)

    @property
    def api(self) -> str:
        """The edge for programs: they carry tokens."""
        return self.url(1)

    @property
    def gateway(self) -> str:
        """The gateway itself."""
        return self.url(2)

    @property
    def application(self) -> str:
        """The application's API."""
        return self.url(3)

    @property
    def login(self) -> str:
        """The managed login, as Cognito's domain has it."""
        return self.url(4)

    @property
    def aws(self) -> str:
        """All of AWS."""
        return self.url(5)

    @property
    def cluster(self) -> str:
        """The cluster's API server."""
        return self.url(6)

    def frontend_port(self, index: int) -> int:
        """The page itself, behind the edge: the port of a replica, counted from 0."""
        return self.port(FRONTEND_PORTS[index])

    def department(self, index: int) -> str:
        """The MCP server of the department with that place in the order of names."""
        return f"{self.url(10 + index)}/mcp"

    def metrics_port(self, index: int) -> int:
        """The metrics of the gateway (0), the application (1), the worker (2), then the departments and what else."""
        return self.port(30 + index)

    def port(self, offset: int) -> int:
        """A port of the block."""
        return self.first_port + offset

    def url(self, offset: int) -> str:
        """The address of a port of the block."""
        return f"http://{HOST}:{self.port(offset)}"
