"""The role that the page logs in to PostgreSQL as, made by the documented command on a real server."""

import os
import re
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from tests.helpers.stack import free_port
from tests.replicas.postgres import DATABASE, MASTER, ROLE, USER, Postgres, binary, postgres

from infrastructure.resources import resources
from infrastructure.terraform import REPOSITORY

pytestmark = pytest.mark.slow

PASSWORD: Final = secrets.token_urlsafe(24) + "\\'"
PAGE: Final = REPOSITORY / "docs/deployment.md"


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """PostgreSQL as RDS gives it, after role.sql; nobody logs in by IAM here."""
    with postgres(free_port()) as running:
        quoted = PASSWORD.replace("'", "''")
        running.query(f"ALTER ROLE {MASTER} PASSWORD '{quoted}'")
        yield running


def documented() -> list[str]:
    """The program and arguments that the page has run in the pod, for a server on loopback."""
    (script,) = re.findall(r"sh -c '([^']+)' \"\$host\"", PAGE.read_text())
    return ["sh", "-c", script, "localhost"]


def run_documented(server: Postgres) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": f"{Path(binary('psql')).parent}:{os.environ['PATH']}", "PGPORT": str(server.port)}
    sent = f"{PASSWORD}\n{ROLE.read_text()}"
    return subprocess.run(
        documented(), input=sent, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def as_role(server: Postgres, statement: str) -> subprocess.CompletedProcess[str]:
    """A statement of the page's role, outside a transaction."""
    command = [binary("psql"), "-h", str(server.folder), "-p", str(server.port), "-U", "owner", "-d", DATABASE]
    flags = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"]
    sent = f"SET ROLE {USER};\n{statement};\n"
    return subprocess.run([*command, *flags], input=sent, capture_output=True, text=True, timeout=60, check=False)


def test_the_documented_command_makes_the_role_and_tells_nobody_the_password(server: Postgres) -> None:
    server.query(f"REASSIGN OWNED BY {USER} TO owner; DROP OWNED BY {USER}; DROP ROLE {USER}")
    for _ in range(2):
        done = run_documented(server)
        assert done.returncode == 0, done.stderr
        assert PASSWORD not in done.stdout + done.stderr
    assert [USER] in server.query("SELECT rolname FROM pg_roles")
    command = PAGE.read_text().partition("{\n  aws secretsmanager")[2].partition("```")[0]
    assert "--env" not in command
    assert "$password" not in command


def test_the_role_makes_and_changes_tables_in_its_own_database(server: Postgres) -> None:
    statements = (
        "CREATE TYPE state AS ENUM ('new')",
        "CREATE TABLE flow (id int, state state)",
        "ALTER TABLE flow ADD name text",
        "CREATE INDEX CONCURRENTLY ix ON flow (name)",
        "INSERT INTO flow VALUES (1, 'new', 'x')",
        "SELECT pg_try_advisory_lock(1), name FROM flow",
    )
    done = as_role(server, ";\n".join(statements))
    assert (done.stdout, done.stderr) == ("t|x\n", "")


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE ROLE other",
        "CREATE DATABASE other",
        "CREATE SCHEMA other",
        "SELECT rolpassword FROM pg_authid",
        f"ALTER ROLE {MASTER} PASSWORD 'x'",
        f"GRANT {MASTER} TO {USER}",
        f"DROP DATABASE {DATABASE}",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "SELECT pg_read_file('/etc/hostname')",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'owner'",
    ],
)
def test_the_role_may_do_nothing_else(server: Postgres, statement: str) -> None:
    done = as_role(server, statement)
    assert done.returncode != 0
    assert re.search("permission denied|must (be|have)|must be a member", done.stderr), done.stderr


def test_the_role_is_no_superuser_and_uses_iam(server: Postgres) -> None:
    rights = server.query("SELECT rolname, rolsuper, rolcreaterole, rolcreatedb FROM pg_roles")
    assert [USER, "f", "f", "f"] in rights
    members = server.query("SELECT roleid::regrole, member::regrole FROM pg_auth_members")
    assert [group for group, member in members if member == USER] == ["rds_iam"]


def test_pods_are_told_the_role_and_not_the_master_user(prod_plan: dict[str, Any]) -> None:
    (database,) = resources(prod_plan, "aws_db_instance")
    assert database.values["username"] == MASTER
    assert database.values["db_name"] == DATABASE
    (policy,) = (
        each.values["policy"]
        for each in resources(prod_plan, "aws_iam_role_policy")
        if each.key == "frontend" and "rds-db:connect" in each.values["policy"]
    )
    assert f"dbuser:*/{USER}" in policy
    assert "secretsmanager" not in policy
