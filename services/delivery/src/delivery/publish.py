"""`python -m delivery.publish SERVICE VERSION`: pushes what was built here, signed and with its list of parts."""

import argparse
import base64
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from delivery.errors import DeliveryError, run
from delivery.git import Repository
from delivery.github import output
from delivery.images.record import Image, read_record
from delivery.tools import tool
from delivery.version_files import DEV, check_version, version_file

ECR = re.compile(r"[0-9]{12}\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com")
MISSING = ("MANIFEST_UNKNOWN", "NAME_UNKNOWN", "404 Not Found")
SECONDS = 900


@dataclass(frozen=True)
class Published:
    """An image in the registry.

    Attributes:
        image: Registry and name, without a tag.
    """

    image: str
    version: str
    digest: str


def publish(repository: Repository, service: str, version: str) -> Published:
    """Push the image under this version to where dev's version file says, sign it, and attest its list of parts.

    The tags of the registry never change: where this one is there, it must be the same image, and is not pushed again.
    """
    check_version(version)
    target = version_file(repository.folder, DEV, service).image
    built = _built(service, version)
    crane = tool(repository.folder, "crane")
    _log_in(crane, target.partition("/")[0])
    there = _digest(crane, f"{target}:{version}")
    if there is None:
        _push(crane, built, f"{target}:{version}")
    elif there != built.digest:
        raise DeliveryError(
            f"{target}:{version} is there already with another content ({there}, not {built.digest}): the tags of the "
            "registry never change, so a new commit is needed"
        )
    exact = f"{target}@{built.digest}"
    _run("cosign", "sign", "--yes", exact)
    _run("cosign", "attest", "--yes", "--type", "spdxjson", "--predicate", str(built.bill), exact)
    return Published(target, version, built.digest)


def _built(service: str, version: str) -> Image:
    """The record of what was built; raises DeliveryError where it is not this version, or has no list of parts."""
    again = f"run python -m delivery.images --version {version} {service}"
    image = read_record(service)
    if image is None:
        raise DeliveryError(f"no image of {service} was built here: {again}")
    if image.reference.rpartition(":")[2] != version:
        raise DeliveryError(f"what was built here is {image.reference}, not {version}: {again}")
    if image.bill is None:
        raise DeliveryError(f"{image.reference} has no list of its parts (SBOM), which needs Go: {again}")
    return image


def _log_in(crane: str, registry: str) -> None:
    """Log in to ECR by the AWS credentials at hand, for cosign too; other registries are used as they are."""
    host = ECR.fullmatch(registry)
    if not host:
        return
    try:
        (given,) = boto3.client("ecr", region_name=host[1]).get_authorization_token()["authorizationData"]
    except (BotoCoreError, ClientError) as error:
        raise DeliveryError(f"{registry} gives no access: {error}") from None
    user, _, password = base64.b64decode(given["authorizationToken"]).decode().partition(":")
    _run(crane, "auth", "login", registry, "--username", user, "--password-stdin", stdin=password)


def _digest(crane: str, reference: str) -> str | None:
    """The digest that a tag stands for in the registry; None where there is no such tag."""
    try:
        return _run(crane, "digest", reference).strip()
    except DeliveryError as error:
        if any(word in str(error) for word in MISSING):
            return None
        raise


def _push(crane: str, built: Image, reference: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(built.archive) as archive:
            archive.extractall(folder, filter="data")
        # The folder is an OCI image layout; other files, which some tools add, are not part of it.
        if not (Path(folder) / "oci-layout").is_file():
            raise DeliveryError(f"{built.archive} is no OCI archive: build it with buildah or podman")
        said = _run(crane, "push", folder, reference)
    if not said.strip().endswith(f"@{built.digest}"):
        raise DeliveryError(f"{reference} was pushed as {said.strip()}, which is not what was built, {built.digest}")


def _run(*command: str, stdin: str | None = None) -> str:
    """What a program prints; its progress goes to standard error, and its last words are the error's."""
    name = Path(command[0]).name
    try:
        done = subprocess.run(command, input=stdin or "", capture_output=True, text=True, check=False, timeout=SECONDS)
    except FileNotFoundError:
        raise DeliveryError(f"{name} is missing: install it, and put it on PATH") from None
    except subprocess.TimeoutExpired:
        raise DeliveryError(f"{name} {command[1]} took longer than {SECONDS} s") from None
    sys.stderr.write(done.stderr)
    if done.returncode:
        raise DeliveryError(f"{name} {command[1]} failed: {done.stderr.strip()[-1000:]}")
    return done.stdout


def main() -> int:
    """Publish, and say what the registry has now."""
    parser = argparse.ArgumentParser(
        prog="python -m delivery.publish",
        description="Pushes an image that delivery.images built to the registry of dev's version file, signs it "
        "by cosign without a key, and attests its list of parts.",
    )
    parser.add_argument("service", metavar="SERVICE", help="such as agentgateway")
    parser.add_argument("version", metavar="VERSION", help="that it was built with: a full commit, or such as 1.4.2")
    parser.add_argument("--json", action="store_true", help="for a program")
    arguments = parser.parse_args()
    published = publish(Repository.here(), arguments.service, arguments.version)
    output("image", published.image)
    output("digest", published.digest)
    text = f"{published.image}:{published.version}@{published.digest}"
    print(json.dumps(asdict(published)) if arguments.json else text)
    return 0


if __name__ == "__main__":
    run(main)
