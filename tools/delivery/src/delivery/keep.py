"""`python -m delivery.keep`: tags the images that prod runs, so that the registry keeps them."""

import argparse

from delivery.errors import run
from delivery.git import Repository
from delivery.registry import log_in, tag
from delivery.tools import tool
from delivery.version_files import PROD, check_version, services, version_file


def keep(repository: Repository) -> list[str]:
    """Give each image that prod's version files name the tag `prod-<version>`; returns the new ones, `<image>:<tag>`.

    Raises:
        DeliveryError: An image is not in the registry. Those before it, in the order of their names, have their tags.
    """
    crane = tool(repository.folder, "crane")
    files = [version_file(repository.folder, PROD, name) for name in services(repository.folder, PROD)]
    for registry in sorted({file.image.partition("/")[0] for file in files}):
        log_in(crane, registry)
    names = [(file.image, check_version(file.version)) for file in files]
    return [f"{image}:{PROD}-{version}" for image, version in names if tag(crane, image, version, f"{PROD}-{version}")]


def main() -> int:
    """Tag, and say which tags are new."""
    argparse.ArgumentParser(
        prog="python -m delivery.keep",
        description=f"Tags the images that {PROD} runs with {PROD}-<version>: the registry keeps those longest.",
    ).parse_args()
    new = keep(Repository.here())
    print("\n".join(new) if new else f"nothing to do: the images of {PROD} are tagged")
    return 0


if __name__ == "__main__":
    run(main)
