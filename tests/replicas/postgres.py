"""A PostgreSQL server of a test's own, as RDS has it: over TLS alone, and somebody else judges passwords."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.helpers.stack import free_port
from tests.replicas.certificates import write_authority

BINARIES = Path("/usr/lib/postgresql")
DATABASE, MASTER, USER = "langflow", "postgres", "prod_frontend"
"""As infra-terraform/modules/database names them."""
ROLE = Path(__file__).parents[2] / "infra-terraform/modules/database/role.sql"
"""What the master user runs once, which makes USER."""
AS_ON_RDS = f"""
CREATE ROLE rds_iam;
CREATE ROLE {MASTER} LOGIN CREATEROLE CREATEDB;
GRANT rds_iam TO {MASTER} WITH ADMIN OPTION;
"""
"""RDS's master user is no superuser; it may make roles and let them use IAM."""
MAX_CONNECTIONS = 180
"""A fifth less than a db.t4g.small gives by RDS's formula, LEAST({DBInstanceClassMemory/9531392}, 5000), of 2 GiB."""


def binary(name: str) -> str:
    """A program of PostgreSQL, the newest there is."""
    found = sorted(BINARIES.glob(f"*/bin/{name}"), key=lambda path: float(path.parts[-3]))
    path = str(found[-1]) if found else shutil.which(name)
    assert path, f"there is no {name}: apt-get install postgresql"
    return path


@dataclass(frozen=True, slots=True)
class Postgres:
    """One server, in a folder that ends with it.

    Attributes:
        folder: Data, socket, keys.
        port: Where it listens on loopback, for TLS alone.
        owner: Whose process it is: PostgreSQL will not run as root.
    """

    folder: Path
    port: int
    owner: str | None

    @property
    def url(self) -> str:
        """Where and as whom the page connects: no password, as Terraform's output has it."""
        return f"postgresql://{USER}@localhost:{self.port}/{DATABASE}"

    @property
    def authority(self) -> Path:
        """The certificate authority that signed the server's certificate."""
        return self.folder / "authority.pem"

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        self._control("start", "-l", str(self.folder / "log"))

    def stop(self) -> None:
        """Stop it as if its machine were switched off."""
        self._control("stop", "-m", "immediate")

    def _control(self, *arguments: str) -> None:
        command = [binary("pg_ctl"), "-D", str(self.folder / "data"), "-w", *arguments]
        subprocess.run(command, user=self.owner, check=True, stdout=subprocess.DEVNULL, cwd=self.folder, timeout=60)

    def query(self, statement: str, database: str = DATABASE) -> list[list[str]]:
        """Rows of a statement, asked by the server's owner through its socket."""
        command = [binary("psql"), "-h", str(self.folder), "-p", str(self.port), "-U", "owner", "-d", database]
        flags = ["--no-psqlrc", "--tuples-only", "--no-align", "--field-separator=\t", "--set=ON_ERROR_STOP=1"]
        done = subprocess.run(
            [*command, *flags, "-c", statement], check=True, stdout=subprocess.PIPE, text=True, timeout=60
        )
        return [line.split("\t") for line in done.stdout.splitlines()]

    def run_as_master(self, script: str, role: str) -> None:
        """Run a script of psql as RDS's master user, for a role."""
        command = [binary("psql"), "-h", str(self.folder), "-p", str(self.port), "-U", MASTER, "-d", DATABASE]
        flags = ["--no-psqlrc", "--quiet", f"--set=role={role}"]
        subprocess.run([*command, *flags], input=script, check=True, capture_output=True, text=True, timeout=60)


@contextmanager
def postgres(judge: int) -> Iterator[Postgres]:
    """A running server with an empty database; `judge` is the port of who says whether a password counts (LDAP)."""
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    owner = pwd.getpwnam("postgres").pw_name if os.geteuid() == 0 else None
    server = Postgres(folder, free_port(), owner)
    try:
        _make(server, judge)
        server.start()
        try:
            server.query(AS_ON_RDS, "postgres")
            # As RDS leaves it: rds_iam may be granted by the master user, who does not log in by it.
            server.query(f"CREATE DATABASE {DATABASE} OWNER {MASTER}", "postgres")
            server.run_as_master(ROLE.read_text(), USER)
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


def _make(server: Postgres, judge: int) -> None:
    key = write_authority(server.folder, "localhost")
    if server.owner:
        for path in (server.folder, *server.folder.iterdir()):
            shutil.chown(path, server.owner)
    data = server.folder / "data"
    initdb = [binary("initdb"), "-D", str(data), "-U", "owner", "--auth=trust", "--no-sync", "--encoding=UTF8"]
    subprocess.run(initdb, user=server.owner, check=True, stdout=subprocess.DEVNULL, cwd=server.folder, timeout=60)
    # As with rds.force_ssl and rds_iam: over TLS alone, with a password that the server does not know.
    (data / "pg_hba.conf").write_text(
        "local all owner trust\n"
        f"local all {MASTER} trust\n"
        f"hostssl all {MASTER} 127.0.0.1/32 scram-sha-256\n"
        f'hostssl all {USER} 127.0.0.1/32 ldap ldapserver=127.0.0.1 ldapport={judge} ldapprefix="uid="\n'
    )
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": server.port,
        "unix_socket_directories": server.folder,
        "ssl": "on",
        "ssl_cert_file": key,
        "ssl_key_file": key,
        "max_connections": MAX_CONNECTIONS,
        "fsync": "off",
    }
    with (data / "postgresql.conf").open("a") as target:
        target.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
