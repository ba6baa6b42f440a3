"""Three replicas and their database: empty at first, over TLS, a token for each login, not too many, and gone."""

import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest
from tests.helpers.overlays import environment_objects, of_kind
from tests.helpers.stack import Stack, wait_for
from tests.replicas.certificates import write_authority
from tests.replicas.postgres import MAX_CONNECTIONS, USER, Postgres
from tests.replicas.rds import Judge
from tests.replicas.replica import REPLICAS, replica

from local import names
from local.services import FRONTEND_PYTHON

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

OURS = "FROM pg_stat_activity JOIN pg_stat_ssl USING (pid) WHERE usename = 'prod_frontend'"
CONNECTIONS_OF_ONE = 12
"""The pool's, and two of Langflow's own."""


def test_three_that_start_at_once_on_an_empty_database_make_its_tables_once(site: Stack, database: Postgres) -> None:
    assert len(database.query("SELECT version_num FROM alembic_version")) == 1
    assert database.query('SELECT username FROM "user" WHERE is_superuser') == [["administrator"]]
    for name in REPLICAS:
        with replica(site, name) as client:
            assert client.get("/readyz").json() == {"components": "ok", "database": "ok"}
        assert "Traceback" not in site.log(name).read_text()


def test_what_one_replica_is_told_the_others_know(site: Stack) -> None:
    with replica(site, REPLICAS[0]) as first, replica(site, REPLICAS[1]) as second, replica(site, REPLICAS[2]) as third:
        told = {"name": "told to the first", "data": {"nodes": [], "edges": []}}
        flow = first.post("/api/v1/flows/", json=told).json()
        renamed = second.patch(f"/api/v1/flows/{flow['id']}", json={"name": "renamed by the second"})
        assert renamed.status_code == 200
        assert third.get(f"/api/v1/flows/{flow['id']}").json()["name"] == "renamed by the second"
        assert third.delete(f"/api/v1/flows/{flow['id']}").status_code == 200
        assert first.get(f"/api/v1/flows/{flow['id']}").status_code == 404


def test_a_user_whose_first_requests_come_at_once_to_all_replicas_gets_one_account_and_one_flow(
    site: Stack, database: Postgres
) -> None:
    def first_visit(name: str) -> int:
        with replica(site, name, "eve") as client:
            return client.get("/", headers={"accept": "text/html"}).status_code

    with ThreadPoolExecutor(len(REPLICAS)) as threads:
        answers = list(threads.map(first_visit, REPLICAS))
    assert answers == [200] * len(REPLICAS)
    [[user]] = database.query("SELECT id FROM \"user\" WHERE username LIKE 'eve%'")
    flows = database.query("SELECT user_id FROM flow WHERE name = 'Enrich a file'")
    assert flows.count([user]) == 1


def test_every_connection_is_over_tls(site: Stack, database: Postgres) -> None:
    with replica(site, REPLICAS[0]) as client:
        assert client.get("/readyz").status_code == 200
    encrypted = database.query(f"SELECT DISTINCT ssl {OURS}")
    assert encrypted == [["t"]]


def test_each_connection_has_a_token_of_its_own_time(site: Stack, database: Postgres, judge: Judge) -> None:
    assert judge.logins
    before = len(judge.logins)
    moment = datetime.now(UTC).replace(microsecond=0)
    database.query(f"SELECT pg_terminate_backend(pid) {OURS}")
    for name in REPLICAS:
        with replica(site, name) as client:
            # The pool sees that its connection is gone before it gives it to a request.
            assert client.get("/api/v1/flows/").status_code == 200
    renewed = judge.logins[before:]
    assert len(renewed) >= len(REPLICAS)
    assert all(login.signed_at >= moment for login in renewed)
    assert {login.why for login in judge.logins} == {""}


def connect(url: str, authority: Path) -> str:
    """What comes of connecting as a replica does: `connected`, or the error."""
    program = """
import sys
from frontend import database
from frontend.settings import Settings
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError
settings = Settings()
database.configure(settings)
engine = create_engine(settings.database_url.get_secret_value().replace("postgresql:", "postgresql+psycopg:"))
try:
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        print("connected")
except OperationalError as error:
    print(error)
"""
    environment = {
        "DATABASE_URL": url,
        "DATABASE_IAM_AUTH": "true",
        "DATABASE_CA": str(authority),
        "AWS_REGION": names.REGION,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "PUBLIC_APP_URL": "https://app.example.com",
        "COGNITO_ISSUER": "https://issuer.example.com",
        "COGNITO_CLIENT_IDS": '["page"]',
        "SECRET_KEY": "0" * 43,
    }
    command = [str(FRONTEND_PYTHON), "-c", program]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True).stdout


def test_a_server_that_cannot_prove_its_name_gets_no_token(database: Postgres, judge: Judge, tmp_path: Path) -> None:
    assert connect(database.url, database.authority).strip() == "connected"
    # Another user than the replicas', which go on meanwhile.
    url = database.url.replace(USER, "stranger")
    write_authority(tmp_path, "localhost")
    assert "SSL error" in connect(url, tmp_path / "authority.pem")
    by_address = url.replace("localhost", "127.0.0.1")
    assert 'does not match host name "127.0.0.1"' in connect(by_address, database.authority)
    assert "stranger" not in {login.user for login in judge.logins}


def test_the_most_replicas_of_production_have_connections_enough(site: Stack, database: Postgres) -> None:
    def ask(client: httpx2.Client) -> int:
        return client.get("/api/v1/flows/").status_code

    with replica(site, REPLICAS[0]) as client, ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(lambda _: ask(client), range(60)))
    assert set(answers) == {200}
    used = int(database.query(f"SELECT count(*) {OURS}")[0][0])
    assert used <= CONNECTIONS_OF_ONE * len(REPLICAS)
    [most] = [
        scaler["spec"]["maxReplicas"]
        for scaler in of_kind(environment_objects("prod"), "HorizontalPodAutoscaler")
        if scaler["metadata"]["name"] == "frontend"
    ]
    # One more while a new version comes, and three connections more while it looks after the tables.
    needed = CONNECTIONS_OF_ONE * (most + 1) + 3
    print(f"{most} replicas need at most {needed} connections; the database has {MAX_CONNECTIONS}")
    assert needed < MAX_CONNECTIONS


def test_a_replica_whose_database_is_gone_is_alive_and_not_ready_and_comes_back_by_itself(
    site: Stack, database: Postgres
) -> None:
    def states(path: str) -> set[int]:
        return {httpx2.get(f"{url}{path}", timeout=60).status_code for url in urls}

    urls = [f"http://127.0.0.1:{site.addresses.frontend_port(index)}" for index in range(len(REPLICAS))]
    database.stop()
    try:
        wait_for("every replica is not ready", lambda: states("/readyz") == {503}, seconds=60)
        assert httpx2.get(f"{urls[0]}/readyz").json()["database"] != "ok"
        assert states("/healthz") == {200}
    finally:
        database.start()
    wait_for("every replica is ready again", lambda: states("/readyz") == {200}, seconds=60)
    for name in REPLICAS:
        with replica(site, name) as client:
            assert client.get("/api/v1/flows/").status_code == 200
