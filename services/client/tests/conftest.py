import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from services.client.tests.fake_answers import TOKEN
from services.client.tests.fake_service import App, FakeService, running
from typer.testing import CliRunner, Result

from fileproc.client import Client
from fileproc.main import app
from fileproc.transport import Retry

COMMAND = Path(sys.executable).with_name("fileproc")
QUICK = Retry(attempts=4, first_delay=0.01, statuses=frozenset({429, 500, 502, 503, 504}))


class Command:
    """The command, run in this process or in one of its own."""

    def __init__(self, env: dict[str, str]) -> None:
        self.env = env

    def __call__(self, *args: str | Path, env: Mapping[str, str | None] | None = None) -> Result:
        return CliRunner().invoke(app, [str(arg) for arg in args], env={**self.env, **(env or {})})

    def start(
        self,
        *args: str | Path,
        stdout: int = subprocess.PIPE,
        stderr: int = subprocess.PIPE,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[bytes]:
        environment = {**os.environ, **self.env, **(env or {})}
        return subprocess.Popen([COMMAND, *args], env=environment, stdout=stdout, stderr=stderr)


@pytest.fixture(scope="session")
def fake_app() -> Iterator[tuple[App, str]]:
    application = App()
    with running(application) as url:
        yield application, url


@pytest.fixture
def service(fake_app: tuple[App, str]) -> FakeService:
    application, url = fake_app
    application.service = FakeService(url=url)
    return application.service


@pytest.fixture
def client(service: FakeService) -> Iterator[Client]:
    with Client(service.url, TOKEN, retry=QUICK) as made:
        yield made


@pytest.fixture
def command(service: FakeService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    for name in list(os.environ):
        if name.startswith(("AWS_", "FILEPROC_")):
            monkeypatch.delenv(name)
    return Command(
        {
            "FILEPROC_URL": service.url,
            "FILEPROC_TOKEN": TOKEN,
            "XDG_DATA_HOME": str(tmp_path / "data"),
            "HOME": str(tmp_path),
        }
    )


@pytest.fixture
def invoices(tmp_path: Path) -> Path:
    file = tmp_path / "invoices.csv"
    file.write_bytes(b"vendor_id,amount\nV-00001,10\nV-99999,20\n")
    return file
