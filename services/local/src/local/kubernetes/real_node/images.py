"""Images of one program each, without a base: what the node itself needs, and nobody publishes in a Go module."""

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

TYPE = "application/vnd.oci.image"


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
    listed = _descriptor("manifest.v1+json", blobs[2]) | {"annotations": {"io.containerd.image.name": name}}
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
