"""What is in an OCI archive: its manifest, its configuration and its layers."""

import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any


@dataclass(frozen=True)
class Manifest:
    """The manifest and configuration of the one image in an archive; `size` in bytes is what a node pulls."""

    digest: str
    layers: tuple[str, ...]
    size: int
    config: dict[str, Any]

    @property
    def labels(self) -> dict[str, str]:
        """The image's labels."""
        return dict(self.config["config"].get("Labels") or {})


def read_manifest(archive: Path) -> Manifest:
    """Read an archive's manifest."""
    with tarfile.open(archive) as tar:
        entry = _document(tar, "index.json")["manifests"][0]
        manifest = _document(tar, _blob(entry["digest"]))
        config = _document(tar, _blob(manifest["config"]["digest"]))
    layers = tuple(layer["digest"] for layer in manifest["layers"])
    size = sum(layer["size"] for layer in manifest["layers"]) + manifest["config"]["size"]
    return Manifest(entry["digest"], layers, size, config)


@contextmanager
def open_layer(archive: Path, digest: str) -> Iterator[tarfile.TarFile]:
    """One layer, to be read from its start to its end."""
    with tarfile.open(archive) as tar, tarfile.open(fileobj=_open(tar, _blob(digest)), mode="r|*") as layer:
        yield layer


def unpacked_size(archive: Path) -> int:
    """Bytes of all files in all layers."""
    total = 0
    for digest in read_manifest(archive).layers:
        with open_layer(archive, digest) as layer:
            total += sum(member.size for member in layer)
    return total


def _blob(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _open(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    found = tar.extractfile(name)
    if found is None:
        raise ValueError(f"{name} is no file")
    return found


def _document(tar: tarfile.TarFile, name: str) -> Any:
    return json.load(_open(tar, name))
