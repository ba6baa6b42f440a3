"""Where each part of a stack answers: a block of 50 ports."""

from dataclasses import dataclass

BLOCK = 50
MOST_DEPARTMENTS = 17
FRONTEND_PORTS = (8, 27, 28, 29)
HOST = "127.0.0.1"


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
        """The metrics of the gateway (0), the application (1), the worker (2), and the departments from 3 on."""
        return self.port(30 + index)

    def port(self, offset: int) -> int:
        """A port of the block."""
        return self.first_port + offset

    def url(self, offset: int) -> str:
        """The address of a port of the block."""
        return f"http://{HOST}:{self.port(offset)}"
