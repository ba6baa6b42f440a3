"""`python -m delivery.publish SERVICE VERSION`: pushes what was built here, signed and with its list of parts."""

import argparse
import json
import tarfile
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from delivery.errors import DeliveryError, run
from delivery.git import Repository
from delivery.github import output
from delivery.images.record import Image, read_record
from delivery.registry import digest, log_in, run_program, tag
from delivery.tools import tool
from delivery.version_files import DEV, check_version, version_file

BUILD = "build"
"""Tags of builds are `build-<version>`: by them the registry counts which images it keeps."""


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
    log_in(crane, target.partition("/")[0])
    there = digest(crane, f"{target}:{version}")
    if there is None:
        _push(crane, built, f"{target}:{version}")
    elif there != built.digest:
        raise DeliveryError(
            f"{target}:{version} is there already with another content ({there}, not {built.digest}): the tags of the "
            "registry never change, so a new commit is needed"
        )
    tag(crane, target, version, f"{BUILD}-{version}")
    exact = f"{target}@{built.digest}"
    run_program("cosign", "sign", "--yes", exact)
    run_program("cosign", "attest", "--yes", "--type", "spdxjson", "--predicate", str(built.bill), exact)
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


def _push(crane: str, built: Image, reference: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(built.archive) as archive:
            archive.extractall(folder, filter="data")
        # The folder is an OCI image layout; other files, which some tools add, are not part of it.
        if not (Path(folder) / "oci-layout").is_file():
            raise DeliveryError(f"{built.archive} is no OCI archive: build it with buildah or podman")
        said = run_program(crane, "push", folder, reference)
    if not said.strip().endswith(f"@{built.digest}"):
        raise DeliveryError(f"{reference} was pushed as {said.strip()}, which is not what was built, {built.digest}")


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
