"""The node's images: those that `make images` built, and those of one program each that it needs itself."""

import gzip
import hashlib
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

TYPE = "application/vnd.oci.image"
# The first is containerd's own, the second OCI's.
NAMES = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
SERVICES = sorted(file.parent.name for file in Path(__file__).parents[6].glob("services/*/Dockerfile"))
TAG = "local"


def built_images() -> dict[str, Path]:
    """The archives that `make images` has made, by what overlays/real calls their images."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "internal-file-processing-system"
    archives = {service: cache / "images" / f"{service}.tar" for service in SERVICES}
    return {f"localhost/{service}:{TAG}": archive for service, archive in archives.items() if archive.is_file()}


def image_name(archive: Path) -> str:
    """What the one image of an OCI archive is called in it.

    Raises:
        KeyError: It has no name.
        tarfile.TarError: It is no archive.
    """
    with tarfile.open(archive) as content:
        index = content.extractfile("index.json")
        assert index is not None  # noqa: S101 - it is a file in every OCI archive
        annotations = json.load(index)["manifests"][0].get("annotations", {})
    return str(next(annotations[name] for name in NAMES if name in annotations))


def write_image(file: Path, name: str, program: Path) -> None:
    """Write an OCI archive whose image has one static program, `/<program's name>`, which it runs.

    Args:
        file: Where the archive is written.
        name: What the image is called, with its tag.
        program: The program.
    """
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as content:
        entry = tarfile.TarInfo(program.name)
        entry.mode, entry.size = 0o755, program.stat().st_size
        with program.open("rb") as source:
            content.addfile(entry, source)
    packed = gzip.compress(layer.getvalue(), compresslevel=1, mtime=0)
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": [f"/{program.name}"]},
        "rootfs": {"type": "layers", "diff_ids": [_digest(layer.getvalue())]},
    }
    blobs = [packed, json.dumps(config).encode()]
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{TYPE}.manifest.v1+json",
        "config": _descriptor("config.v1+json", blobs[1]),
        "layers": [_descriptor("layer.v1.tar+gzip", blobs[0])],
    }
    blobs.append(json.dumps(manifest).encode())
    listed = _descriptor("manifest.v1+json", blobs[2]) | {"annotations": {NAMES[0]: name}}
    with tarfile.open(file, "w") as archive:
        _add(archive, "oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
        _add(archive, "index.json", json.dumps({"schemaVersion": 2, "manifests": [listed]}).encode())
        for blob in blobs:
            _add(archive, f"blobs/{_digest(blob).replace(':', '/')}", blob)


def _digest(blob: bytes) -> str:
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"


def _descriptor(kind: str, blob: bytes) -> dict[str, Any]:
    return {"mediaType": f"{TYPE}.{kind}", "digest": _digest(blob), "size": len(blob)}


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))
