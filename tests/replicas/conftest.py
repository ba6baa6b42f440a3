"""The page as production runs it: three replicas on PostgreSQL and S3, and each request goes to any of them."""

import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import pytest
from botocore.credentials import Credentials
from tests.frontend.conftest import (
    browser,
    desks,
    packages,
    people,
    person,
    screenshots,
    site_data,
)
from tests.frontend.person import Desks, Person, in_chat
from tests.frontend.site import Site, running_site
from tests.helpers.stack import Settings
from tests.replicas.certificates import serve_bundle
from tests.replicas.postgres import Postgres, postgres
from tests.replicas.rds import Judge, judging
from tests.replicas.replica import REPLICAS

from local import names

__all__ = ["browser", "desks", "packages", "people", "person", "screenshots", "site_data"]


def witness(folder: Path, name: str) -> Path:
    """Where a replica notes whom it looks up and connects to."""
    return folder / name / "connections"


def confines(writable: Sequence[Path], witness: Path) -> dict[str, str]:
    """A read-only file system but for some folders; see `confined/sitecustomize.py`."""
    return {
        "PYTHONPATH": str(Path(__file__).parent / "confined"),
        "CONFINED_WRITABLE": ":".join(map(str, writable)),
        "CONFINED_WITNESS": str(witness),
    }


def production(folder: Path, database: Postgres, bundle: str) -> Settings:
    """What aws-facts, the Secret and base/frontend say in production, and a pod's confines."""
    secret = secrets.token_urlsafe(32)
    settings = {}
    for name in REPLICAS:
        own, temporary = folder / name / "state", folder / name / "tmp"
        for writable in (own, temporary):
            writable.mkdir(parents=True)
        settings[name] = {
            "SECRET_KEY": secret,
            "DATABASE_URL": database.url,
            "DATABASE_IAM_AUTH": "true",
            "DATABASE_CA": bundle,
            "SSL_CERT_FILE": str(database.authority),
            "STORAGE_BUCKET": names.FILES_BUCKET,
            "AWS_DEFAULT_REGION": "",
            "STATE_DIR": str(own),
            "HOME": str(temporary),
            "TMPDIR": str(temporary),
            **confines([own, temporary], witness(folder, name)),
        }
    return settings


@pytest.fixture(scope="package")
def judge() -> Iterator[Judge]:
    """Who says whether a login counts, as RDS does by IAM."""
    with judging(Judge(Credentials("local", "local"))) as running:
        yield running


@pytest.fixture(scope="package")
def database(judge: Judge) -> Iterator[Postgres]:
    """PostgreSQL with an empty database."""
    with postgres(judge.port) as running:
        judge.database_port = running.port
        yield running


@pytest.fixture(scope="package")
def bundle(database: Postgres) -> Iterator[str]:
    """Where the database's authority is published, as AWS publishes that of RDS."""
    with serve_bundle(database.folder) as url:
        yield url


@pytest.fixture(scope="package")
def site(packages: None, database: Postgres, bundle: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The whole system with three replicas of the page, which find an empty database and start at the same time."""
    folder = tmp_path_factory.mktemp("site")
    settings = production(folder, database, bundle)
    with running_site(folder, frontends=len(REPLICAS), settings=settings) as running:
        print(*(f"{name} was ready after {running.seconds[name]:.0f} s" for name in REPLICAS), sep="\n")
        yield running


@pytest.fixture(scope="package", autouse=True)
def seconds_of_start(site: Site) -> dict[str, float]:
    """Seconds of a processor that each replica needed until it was ready."""
    return {name: sum(psutil.Process(site.pid(name)).cpu_times()[:2]) for name in REPLICAS}


@pytest.fixture
def alice_in_chat(site: Site, desks: Desks, screenshots: Path) -> Iterator[Person]:
    """alice, who has just opened the chat: here a conversation may begin at another replica than the one before."""
    with in_chat("alice", site.app, desks, screenshots) as person:
        yield person
