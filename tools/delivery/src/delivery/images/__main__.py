"""`python -m delivery.images`: build, list, measure."""

import argparse
import json
from dataclasses import asdict

from delivery.errors import run
from delivery.git import Repository
from delivery.images.inputs import SERVICES
from delivery.images.make import ADVISORIES, Wish, make_images
from delivery.images.record import Image

HEAD = ("image", "pulled", "unpacked", "layers", "packages", "built in", "vulnerabilities", "digest")


def main() -> int:
    """Build the images that have changed, and print all."""
    parser = argparse.ArgumentParser(prog="make images", description=f"Builds {', '.join(SERVICES)}.")
    parser.add_argument("services", nargs="*", metavar="SERVICE", help="only these")
    parser.add_argument("--base", choices=("auto", "pinned", "local"), default="auto", help=Wish.__doc__)
    parser.add_argument("--version", help="what the label and the tag say; the package's own and a digest if left out")
    parser.add_argument("--scan", action="store_true", help="fetch the newest advisories, and compare with them")
    parser.add_argument("--no-cache", action="store_true", help="build each step again, even if nothing has changed")
    parser.add_argument("--json", action="store_true", help="for a program")
    arguments = parser.parse_args()
    if unknown := sorted(set(arguments.services) - set(SERVICES)):
        parser.error(f"no image of {', '.join(unknown)}; there are: {', '.join(SERVICES)}")
    wish = Wish(
        arguments.services or SERVICES, arguments.base, arguments.version, arguments.scan, cached=not arguments.no_cache
    )
    images = make_images(wish, Repository.here())
    print(json.dumps([asdict(image) for image in images], indent=2) if arguments.json else table(images))
    return 0


def table(images: list[Image]) -> str:
    """What was built, a line each."""
    rows = [HEAD, *(row(image) for image in images)]
    widths = [max(len(line[column]) for line in rows) for column in range(len(HEAD))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in rows]
    if any(image.vulnerabilities is None for image in images):
        lines.append(f"\nVulnerabilities: no advisories in {ADVISORIES}; `--scan` fetches them.")
    return "\n".join(lines)


def row(image: Image) -> tuple[str, ...]:
    """One image's cells, under HEAD."""
    megabytes = [f"{size / 1e6:.0f} MB" for size in (image.size, image.unpacked)]
    counts = ["-" if count is None else str(count) for count in (image.packages, image.vulnerabilities)]
    return (
        image.reference,
        *megabytes,
        str(image.layers),
        counts[0],
        f"{image.seconds:.0f} s",
        counts[1],
        image.digest,
    )


if __name__ == "__main__":
    run(main)
