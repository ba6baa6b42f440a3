"""The environment dev, applied to a stand-in for AWS: made, unchanged by a second plan, grown by a zone, gone."""

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import boto3
import httpx2
import pytest
import yaml
from tests.helpers.moto_server import moto_server

from infrastructure.resources import resources
from infrastructure.terraform import ACCOUNT, REGION, REPOSITORY, Workspace

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ROOT: Final = "environments/dev"
DIFFERS: Final[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "stand_in.yaml").read_text())
LACKING: Final[dict[str, str]] = DIFFERS["lacking"]
KEYS: Final = re.compile(r"\[[^\]]*\]")

# moto forgets how the cluster is entered, so that every plan would replace it; and names a security group that is none.
OF_THE_CLUSTER: Final = """
resource "aws_eks_cluster" "this" {
  lifecycle {
    ignore_changes = [access_config, bootstrap_self_managed_addons, upgrade_policy, zonal_shift_config]
  }
}

output "security_group_id" {
  value = aws_security_group.of_the_cluster.id
}
"""
SECURITY_GROUP: Final = """
resource "aws_security_group" "of_the_cluster" {
  name = "eks-cluster-sg"
}
"""
# moto reads a Deny without its condition, so that the rule "TLS only" would close the bucket to everybody.
OPEN_BUCKET: Final = """
resource "aws_s3_bucket_policy" "this" {
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = "*", Action = "s3:*", Resource = "${aws_s3_bucket.this.arn}/*" }]
  })
}
"""
ONE_ZONE_MORE: Final = """
module "platform" {
  zones      = ["ap-southeast-1a", "ap-southeast-1b", "ap-southeast-1c"]
  node_zones = ["ap-southeast-1a", "ap-southeast-1c"]
}
"""


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of the stand-in, which holds nothing but AWS's own policies."""
    with moto_server(tmp_path_factory.mktemp("stand-in") / "log", MOTO_IAM_LOAD_MANAGED_POLICIES="true") as url:
        yield url


@dataclass(frozen=True)
class FirstScript:
    """A running `state/first-time`, with a stand-in for AWS of its own."""

    workspace: Workspace
    process: subprocess.Popen[bytes]
    log: Path


@pytest.fixture(scope="module", autouse=True)
def first_script(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FirstScript]:
    """The script, started before all tests: for a minute it only waits until the bucket's rules are in force."""
    folder = tmp_path_factory.mktemp("first-script")
    with moto_server(folder / "log") as endpoint:
        workspace = Workspace(folder / "tree", endpoint=endpoint)
        root = workspace.path("state")
        text = (root / "versions.tf").read_text()
        (root / "versions.tf").write_text(
            text.replace('backend "s3" {', 'backend "s3" {\n    use_path_style = true\n    skip_s3_checksum = true')
        )
        (root / "account_override.tf").write_text(workspace.provider)
        (workspace.path("modules/state") / "stand_in_override.tf").write_text(OPEN_BUCKET)
        command = [str(root / "first-time"), "example-company-terraform-state"]
        log = folder / "script.log"
        with (
            log.open("w") as output,
            subprocess.Popen(command, env=workspace.environment, stdout=output, stderr=output) as process,
        ):
            yield FirstScript(workspace, process, log)
            process.kill()


def empty(endpoint: str) -> None:
    """Let the stand-in forget what was made before: by another test, or by the same one when it ran first."""
    httpx2.post(f"{endpoint}/moto-api/reset", timeout=60).raise_for_status()


def forgotten(change: dict[str, Any]) -> bool:
    """Whether an update only sends again what the stand-in did not keep."""
    if change["change"]["actions"] != ["update"]:
        return False
    before, after, unknown = (change["change"][key] for key in ("before", "after", "after_unknown"))
    changed = {key for key in after if before.get(key) != after[key]} | {key for key in unknown if unknown[key] is True}
    return changed <= set(DIFFERS["forgotten"].get(change["type"], ()))


class Environment:
    """The root in a work copy, applied but for what the stand-in lacks."""

    def __init__(self, folder: Path, endpoint: str) -> None:
        self.endpoint = endpoint
        self.workspace = Workspace(folder, endpoint=endpoint)
        self.workspace.detach(ROOT)
        cluster = self.workspace.path("modules/cluster")
        (cluster / "stand_in_override.tf").write_text(OF_THE_CLUSTER)
        (cluster / "stand_in.tf").write_text(SECURITY_GROUP)
        zone = self.client("route53").create_hosted_zone(Name=ACCOUNT["domain"], CallerReference="test")
        hosted_zone_id = zone["HostedZone"]["Id"].removeprefix("/hostedzone/")
        self.workspace.write_variables(ROOT, {"account": {**ACCOUNT, "hosted_zone_id": hosted_zone_id}})
        self.workspace.init(ROOT)

    def client(self, service: Literal["ec2", "iam", "route53", "s3"]) -> Any:
        session = boto3.Session(aws_access_key_id="none", aws_secret_access_key="none", region_name=REGION)
        return session.client(service, endpoint_url=self.endpoint)

    def targets(self, plan: dict[str, Any]) -> list[str]:
        """An option for each resource that the stand-in knows; without its key, since all of a kind go together."""
        known = {
            re.sub(r"\[[^\]]*\]$", "", each.address)
            for each in resources(plan)
            if not {each.type, f"{each.type}.{each.name}"} & LACKING.keys()
        }
        return [f"-target={address}" for address in sorted(known)]

    def plan(self, *arguments: str) -> dict[str, list[str]]:
        """What would change, by address, but for what the stand-in forgets."""
        plan = self.workspace.plan(ROOT, *arguments)
        return {
            change["address"]: change["change"]["actions"]
            for change in plan["resource_changes"]
            if change["change"]["actions"] not in (["no-op"], ["read"]) and not forgotten(change)
        }

    def run(self, command: Literal["apply", "destroy"], *arguments: str) -> None:
        """Apply or destroy; most of the time the provider waits, so that much of it may wait at once."""
        self.workspace.run(ROOT, command, "-auto-approve", "-no-color", "-parallelism=30", *arguments)

    def identifiers(self) -> dict[str, Any]:
        """The identifier that AWS gave each managed resource, by address; from the file, which needs no provider."""
        state = json.loads((self.workspace.path(ROOT) / "terraform.tfstate").read_text())
        return {
            f"{each['module']}.{each['type']}.{each['name']}{key(instance)}": instance["attributes"].get("id")
            for each in state["resources"]
            if each["mode"] == "managed"
            for instance in each["instances"]
        }


def key(instance: dict[str, Any]) -> str:
    """The key of an instance as an address ends with it; nothing where it is the only one."""
    return f"[{json.dumps(instance['index_key'])}]" if "index_key" in instance else ""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory, endpoint: str, dev_plan: dict[str, Any]) -> Environment:
    empty(endpoint)
    made = Environment(tmp_path_factory.mktemp("environment") / "tree", endpoint)
    made.run("apply", *made.targets(dev_plan))
    return made


def test_an_environment_is_made(environment: Environment, dev_plan: dict[str, Any]) -> None:
    planned = {
        each.address for each in resources(dev_plan) if not {each.type, f"{each.type}.{each.name}"} & LACKING.keys()
    }
    assert planned <= environment.identifiers().keys()
    assert len(planned) > 150
    print(f"{len(planned)} of {len(resources(dev_plan))} resources applied")


def test_a_second_plan_is_empty(environment: Environment, dev_plan: dict[str, Any]) -> None:
    assert environment.plan(*environment.targets(dev_plan)) == {}


def test_a_zone_is_added_without_replacing_anything(environment: Environment, dev_plan: dict[str, Any]) -> None:
    override = environment.workspace.path(ROOT) / "zone_override.tf"
    override.write_text(ONE_ZONE_MORE)
    # What is there was asked for by the plan before.
    changes = environment.plan("-refresh=false", *environment.targets(dev_plan))
    assert {"create"} < {action for actions in changes.values() for action in actions} <= {"create", "update"}
    created = [address for address, actions in changes.items() if actions == ["create"]]
    assert any('aws_subnet.private["ap-southeast-1c"]' in address for address in created)
    assert not any('["ap-southeast-1a"]' in address for address in created if "autoscal" not in address)
    # What is new alone: the stand-in cannot bear that what it forgot is sent again.
    before = environment.identifiers()
    environment.run("apply", "-refresh=false", *(f"-target={address}" for address in created))
    after = environment.identifiers()
    assert before.items() <= after.items()
    assert set(created) <= set(after)


def test_destroy_leaves_nothing(environment: Environment) -> None:
    (environment.workspace.path(ROOT) / "zone_override.tf").unlink(missing_ok=True)
    kept = [each for each in environment.identifiers() if any(f".{kind}." in each for kind in DIFFERS["undeletable"])]
    environment.workspace.run(ROOT, "state", "rm", *kept)
    environment.run("destroy", "-refresh=false")
    assert environment.identifiers() == {}
    assert environment.client("s3").list_buckets()["Buckets"] == []
    vpcs = environment.client("ec2").describe_vpcs()["Vpcs"]
    assert [vpc for vpc in vpcs if not vpc["IsDefault"]] == []
    roles = environment.client("iam").list_roles()["Roles"]
    assert [role["RoleName"] for role in roles if role["RoleName"].startswith("dev-")] == []


def test_what_the_stand_in_lacks_is_planned_and_has_a_reason(
    dev_plan: dict[str, Any], prod_plan: dict[str, Any]
) -> None:
    types = {each.type for plan in (dev_plan, prod_plan) for each in resources(plan)}
    assert {key.partition(".")[0] for key in LACKING} <= types
    assert all(len(reason) > 10 for reason in LACKING.values())


def test_what_only_prod_has_is_asserted_by_the_plan_tests_of_its_module(
    dev_plan: dict[str, Any], prod_plan: dict[str, Any]
) -> None:
    """Both are one module with other values; dev, which was applied, lacks the database and the way to on-premises."""
    dev, prod = ({KEYS.sub("", each.address) for each in resources(plan)} for plan in (dev_plan, prod_plan))
    assert dev < prod
    for address in sorted(prod - dev):
        *_, module, kind, name = address.split(".")
        tests = (REPOSITORY / "infra-terraform/modules" / module.replace("_", "-") / "tests").glob("*.tftest.hcl")
        asserted = [line for file in tests for line in file.read_text().splitlines() if "condition" in line]
        assert any(re.search(rf"\b{kind}\.{name}\b", line) for line in asserted), f"no plan test asserts {address}"
    print(f"{len(prod - dev)} of {len(prod)} kinds of resources are prod's alone")


def test_an_unprotected_environments_secrets_are_made_again_right_after_a_destroy(
    endpoint: str, tmp_path: Path, dev_plan: dict[str, Any]
) -> None:
    """Secrets Manager keeps the name of a secret that waits for its deletion, and refuses it to a new one."""
    empty(endpoint)
    planned = {each.values["name"]: each.values for each in resources(dev_plan, "aws_secretsmanager_secret")}
    windows = {values["recovery_window_in_days"] for values in planned.values()}
    workspace = Workspace(tmp_path / "tree", endpoint=endpoint)
    root = workspace.path("environments/secrets")
    root.mkdir()
    module = {"source": "../../modules/secrets", "environment": "dev", "recovery_window_days": windows.pop()}
    module["secrets"] = {name: values["description"] for name, values in planned.items()}
    (root / "main.tf.json").write_text(json.dumps({"module": {"secrets": module}}))
    (root / "account.tf").write_text(f'{workspace.provider.rstrip().removesuffix("}")}  region = "{REGION}"\n}}\n')
    workspace.init("environments/secrets")
    for command in ("apply", "destroy", "apply"):
        workspace.run("environments/secrets", command, "-auto-approve", "-no-color")
    assert not windows
    assert len(planned) == 2


def test_the_first_script_makes_the_bucket_and_moves_its_own_state_there(first_script: FirstScript) -> None:
    assert first_script.process.wait(240) == 0, first_script.log.read_text()
    workspace = first_script.workspace
    listed = workspace.run("state", "state", "list").stdout
    assert "module.state.aws_s3_bucket.this" in listed
    assert not (workspace.path("state") / "terraform.tfstate").exists()
    # By S3's own key, not one of KMS: the account of another environment could not use the key that AWS manages.
    session = boto3.Session(aws_access_key_id="none", aws_secret_access_key="none", region_name=REGION)
    state = session.client("s3", endpoint_url=workspace.environment["AWS_ENDPOINT_URL"]).head_object(
        Bucket="example-company-terraform-state", Key="state/terraform.tfstate"
    )
    assert state["ServerSideEncryption"] == "AES256"
    assert json.loads(workspace.run("state", "output", "-json").stdout)["bucket"]["value"] == (
        "example-company-terraform-state"
    )
