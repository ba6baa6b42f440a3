from collections.abc import Iterator
from pathlib import Path

import pytest
from services.agentgateway.tests.mcp.departments import Department
from services.agentgateway.tests.mcp.harness import Gateway, gateway


@pytest.fixture(scope="session")
def finance() -> Iterator[Department]:
    """Finance answers JSON."""
    department = Department("finance")
    with department.served() as served:
        department.url = f"{served.url}/mcp"
        yield department


@pytest.fixture(scope="session")
def hr() -> Iterator[Department]:
    """HR streams its answers."""
    department = Department("hr", json_response=False)
    with department.served() as served:
        department.url = f"{served.url}/mcp"
        yield department


@pytest.fixture
def front(tmp_path: Path, finance: Department, hr: Department) -> Iterator[Gateway]:
    """The gateway in front of finance and hr."""
    for department in (finance, hr):
        department.forget()
    with gateway(tmp_path, {"finance": finance.url, "hr": hr.url}, mcp_list_ttl_seconds=0.2) as running:
        yield running
