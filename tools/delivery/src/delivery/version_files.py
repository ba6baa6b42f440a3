"""`overlays/<environment>/<service>/version/kustomization.yaml`: the one place that says which image runs there."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from delivery.errors import DeliveryError

DEV, PROD = "dev", "prod"
COMMIT = re.compile(r"[0-9a-f]{40}")
SEMANTIC = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?")
TAG_LENGTH = 128  # of a tag in a registry: OCI distribution specification, "Pulling manifests"
TAG_LINE = re.compile(r"^(?P<before>[ -]*newTag:[ \t]*)(?P<tag>[^#\n]*?)(?P<after>[ \t]*(?:#[^\n]*)?)$", re.MULTILINE)


@dataclass(frozen=True)
class VersionFile:
    """The version of one service in one environment.

    Attributes:
        root: The folder of the repository.
    """

    root: Path
    environment: str
    service: str

    @property
    def path(self) -> str:
        """Where it is, from the repository's root."""
        return f"overlays/{self.environment}/{self.service}/version/kustomization.yaml"

    @property
    def image(self) -> str:
        """The image without its tag: `<registry>/<service>`."""
        return str(self._entry()["newName"])

    @property
    def version(self) -> str:
        """The image's tag."""
        return str(self._entry()["newTag"])

    def read(self) -> str:
        """The file's text; raises DeliveryError where there is none."""
        try:
            return (self.root / self.path).read_text()
        except FileNotFoundError:
            raise DeliveryError(f"{self.path} is missing") from None

    def write(self, text: str) -> None:
        """Replace the file."""
        (self.root / self.path).write_text(text)

    def with_version(self, version: str) -> str:
        """The file's text with another version; everything else in it, comments too, stays as it is."""
        text = self.read()
        if self.version == version:
            return text
        if len(TAG_LINE.findall(text)) != 1:
            raise DeliveryError(f"{self.path} must have one line newTag: <version>")
        # A commit of digits alone, or such as 12e4…, is a number to YAML and must be quoted.
        plain = yaml.safe_load(version) == version
        return TAG_LINE.sub(rf"\g<before>{version if plain else repr(version)}\g<after>", text)

    def _entry(self) -> dict[str, Any]:
        try:
            images = yaml.safe_load(self.read())["images"]
            (entry,) = (each for each in images if each["name"] == self.service)
            if not all(isinstance(entry[key], str) for key in ("newName", "newTag")):
                raise TypeError
        except (yaml.YAMLError, KeyError, TypeError, ValueError):
            raise DeliveryError(
                f"{self.path} must have, under images:, one entry of name: {self.service} with newName: and newTag:"
            ) from None
        return dict(entry)


def services(root: Path, environment: str) -> list[str]:
    """The services that have a version in an environment, sorted."""
    found = sorted(file.parts[-3] for file in (root / "overlays" / environment).glob("*/version/kustomization.yaml"))
    if not found:
        raise DeliveryError(f"overlays/{environment} has no <service>/version/kustomization.yaml")
    return found


def version_file(root: Path, environment: str, service: str) -> VersionFile:
    """The version file of a service; raises DeliveryError with what there is where there is no such service."""
    known = services(root, environment)
    if service not in known:
        raise DeliveryError(f"unknown service {service}: overlays/{environment} has versions of {', '.join(known)}")
    return VersionFile(root, environment, service)


def check_version(version: str) -> str:
    """The version, if it is one that images are tagged by."""
    if not (COMMIT.fullmatch(version) or (SEMANTIC.fullmatch(version) and len(version) <= TAG_LENGTH)):
        raise DeliveryError(
            f"{version!r} is no version of an image: that is a full commit (40 hexadecimal digits, in lower case: "
            "git rev-parse HEAD) or a semantic version such as 1.4.2"
        )
    return version
