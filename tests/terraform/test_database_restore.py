"""The frontend's database restored as docs/disaster-recovery.md says, and made again after a destroy.

The stand-in is moto's server. It gives all instances one resource ID; AWS gives each its own, and the provider's state
follows it (hashicorp/terraform-provider-aws, pull request 31232), so here each has its own as well. It also calls a
restored instance a replica of its source, which on AWS it is not.
"""

import re
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import boto3
import pytest
from tests.helpers.moto_server import moto_server

from infrastructure.terraform import REGION, REPOSITORY, Workspace
from local.kubernetes.kubectl import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ROOT: Final = "environments/database"
ADDRESS: Final = "module.database.aws_db_instance.this"
MODULE: Final = """
provider "aws" {
  region = "ap-southeast-1"
}

variable "subnet_ids" {
  type = list(string)
}

variable "vpc_id" {
  type = string
}

module "database" {
  source                   = "../../modules/database"
  environment              = "prod"
  vpc_id                   = var.vpc_id
  subnet_ids               = var.subnet_ids
  client_security_group_id = "sg-0a1b2c3d4e5f60713"
}
"""
Running = dict[Callable[[Path], None], Future[None]]

STAND_IN: Final = """
import sys, uuid
from moto.rds.models import DBInstance
made = DBInstance.__init__
def make(self, *arguments, **given):
    for name in ("dbi_resource_id", "source_db_instance_identifier"):
        given.pop(name, None)
    made(self, *arguments, **given)
    self.dbi_resource_id = "db-" + uuid.uuid4().hex[:26].upper()
DBInstance.__init__ = make
from moto.server import main
main(sys.argv[1:])
"""


def client(endpoint: str, service: Any) -> Any:
    session = boto3.Session(aws_access_key_id="none", aws_secret_access_key="none", region_name=REGION)
    return session.client(service, endpoint_url=endpoint)


@contextmanager
def database(folder: Path) -> Iterator[tuple[Workspace, Any]]:
    """A root that has the database alone, applied to a stand-in of its own; and a client of that stand-in's RDS."""
    folder.mkdir()
    with moto_server(folder / "log", ("-c", STAND_IN)) as endpoint:
        made = Workspace(folder / "tree", endpoint=endpoint)
        made.path(ROOT).mkdir()
        (made.path(ROOT) / "main.tf").write_text(MODULE)
        made.detach(ROOT)
        ec2 = client(endpoint, "ec2")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnets = [
            ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{11 + place}.0/24", AvailabilityZone=f"{REGION}{zone}")
            for place, zone in enumerate("ab")
        ]
        made.write_variables(ROOT, {"vpc_id": vpc, "subnet_ids": [each["Subnet"]["SubnetId"] for each in subnets]})
        made.init(ROOT)
        apply(made)
        yield made, client(endpoint, "rds")


def apply(workspace: Workspace) -> None:
    # The group rule is left out: its peer is a group that is not there.
    workspace.run(ROOT, "apply", "-auto-approve", "-no-color", f"-target={ADDRESS}")


def changes(workspace: Workspace) -> dict[str, tuple[list[str], set[str]]]:
    """What a plan would do with the instance and what it depends on: actions and changed attributes, by address."""
    plan = workspace.plan(ROOT, f"-target={ADDRESS}")
    found = {}
    for each in plan["resource_changes"]:
        actions, before, after = (each["change"][key] for key in ("actions", "before", "after"))
        if actions not in (["no-op"], ["read"]):
            changed = {key for key in after or () if (before or {}).get(key) != after[key]}
            found[each["address"]] = (actions, changed)
    return found


def restore(rds: Any) -> None:
    """The page's steps at AWS: rename the instance, and restore a copy under its name."""
    rds.modify_db_instance(
        DBInstanceIdentifier="prod-frontend", NewDBInstanceIdentifier="prod-frontend-before", ApplyImmediately=True
    )
    rds.restore_db_instance_to_point_in_time(
        SourceDBInstanceIdentifier="prod-frontend-before",
        TargetDBInstanceIdentifier="prod-frontend",
        UseLatestRestorableTime=True,
        DBSubnetGroupName="prod-frontend",
        MultiAZ=True,
        EnableIAMDatabaseAuthentication=True,
    )


def identifiers(rds: Any) -> dict[str, str]:
    return {each["DBInstanceIdentifier"]: each["DbiResourceId"] for each in rds.describe_db_instances()["DBInstances"]}


def documented() -> list[list[str]]:
    """The section's commands of Terraform, in their order, as arguments for a root with the module alone."""
    page = (REPOSITORY / "docs/disaster-recovery.md").read_text()
    section = page.partition("## The frontend's database\n")[2].partition("\n## ")[0]
    found = re.findall(r"^terraform -chdir=\S+ ([^#\n]+)", section, re.MULTILINE)
    assert found
    return [
        line.replace("'", "").replace("module.platform.module.database[0]", "module.database").split() for line in found
    ]


def documented_restore(folder: Path) -> None:
    with database(folder) as (workspace, rds):
        forgotten = changes(workspace)  # what the stand-in does not give back as it was sent
        before = identifiers(rds)["prod-frontend"]
        restore(rds)
        restored = identifiers(rds)["prod-frontend"]
        assert restored != before
        for arguments in documented():
            if arguments[0] == "apply":
                assert {tuple(actions) for actions, _ in changes(workspace).values()} <= {("update",)}
                apply(workspace)
            else:
                workspace.run(ROOT, *arguments)
        assert identifiers(rds) == {"prod-frontend": restored, "prod-frontend-before": before}
        assert changes(workspace) == forgotten


def destroyed_twice(folder: Path) -> None:
    with database(folder) as (workspace, rds):

        def snapshots() -> set[str]:
            found = rds.describe_db_snapshots(SnapshotType="manual")["DBSnapshots"]
            return {each["DBSnapshotIdentifier"] for each in found}

        destroy = ("destroy", "-auto-approve", "-no-color")
        rds.modify_db_instance(DBInstanceIdentifier="prod-frontend", DeletionProtection=False, ApplyImmediately=True)
        workspace.run(ROOT, *destroy)
        apply(workspace)
        groups = client(workspace.environment["AWS_ENDPOINT_URL"], "logs").describe_log_groups(
            logGroupNamePrefix="/aws/rds/instance/prod-frontend/"
        )
        assert {each["retentionInDays"] for each in groups["logGroups"]} == {30}
        rds.modify_db_instance(DBInstanceIdentifier="prod-frontend", DeletionProtection=False, ApplyImmediately=True)
        command = ["terraform", *destroy]
        with subprocess.Popen(command, cwd=workspace.path(ROOT), env=workspace.environment) as process:
            try:
                # The first destroy has shown how it ends: nobody need wait until the provider has seen it again.
                wait_for(lambda: len(snapshots()) == 2 or process.poll() is not None, 120, "the second snapshot")
            finally:
                process.kill()
        assert len({name for name in snapshots() if name.startswith("prod-frontend-final-")}) == 2


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Both at once: the provider waits more than a minute whenever an instance is made, changed or deleted."""
    folder = tmp_path_factory.mktemp("database")
    with ThreadPoolExecutor() as pool:
        yield {each: pool.submit(each, folder / each.__name__) for each in (documented_restore, destroyed_twice)}


def test_the_documented_restore_ends_with_the_restored_instance_under_terraform(running: Running) -> None:
    running[documented_restore].result()


def test_a_destroy_and_apply_again_in_the_same_hour_works(running: Running) -> None:
    running[destroyed_twice].result()
