"""The images that were built here: an archive each, its bill, and a record of both."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from delivery.errors import DeliveryError
from delivery.images.builder import CACHE
from delivery.images.inputs import SERVICES

FOLDER = CACHE / "images"


class NotBuilt(DeliveryError):
    """There is no such image yet."""


@dataclass(frozen=True)
class Image:
    """One built image; sizes in bytes: `size` as a registry keeps it, `unpacked` as it is on a node."""

    service: str
    reference: str
    key: str
    base: str
    digest: str
    archive: str
    size: int
    unpacked: int
    layers: int
    seconds: float
    bill: str | None = None
    packages: int | None = None
    vulnerabilities: int | None = None


def archive_path(service: str) -> Path:
    """Where a service's OCI archive is kept."""
    return FOLDER / f"{service}.tar"


def bill_path(service: str) -> Path:
    """Where the list of what is in the image is kept, by a name that scanners know as SPDX."""
    return FOLDER / f"{service}.spdx.json"


def read_record(service: str) -> Image | None:
    """What was built last, if its archive is still there."""
    file = FOLDER / f"{service}.json"
    if not file.is_file() or not archive_path(service).is_file():
        return None
    try:
        return Image(**json.loads(file.read_text()))
    except (ValueError, TypeError):
        # Of another version of this code.
        return None


def write_record(image: Image) -> None:
    """Keep what was built, at once as a whole."""
    unfinished = FOLDER / f"{image.service}.unfinished"
    unfinished.write_text(json.dumps(asdict(image), indent=2))
    unfinished.replace(FOLDER / f"{image.service}.json")


def archives() -> dict[str, Image]:
    """Every service's image as it was built last; raises NotBuilt where one is missing."""
    found = {service: read_record(service) for service in SERVICES}
    if missing := sorted(service for service, image in found.items() if image is None):
        raise NotBuilt(f"no image of {', '.join(missing)} in {FOLDER}: run `make images` first")
    return {service: image for service, image in found.items() if image is not None}
