"""A registry of images in memory, and an image small enough to push there in a test."""

import hashlib
import io
import json
import re
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from local.kubernetes.tools import tool

MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"


@dataclass(frozen=True, slots=True)
class Registry:
    """A registry: host and port, and the file to which it writes each request."""

    host: str
    log: Path

    def asked(self) -> list[str]:
        """Method and path of each request so far, without the query."""
        return re.findall(r"((?:GET|HEAD|POST|PUT|PATCH) /v2/[^ ?\n]*)", self.log.read_text())


@contextmanager
def running_registry(log: Path) -> Iterator[Registry]:
    """A registry for as long as the context lasts."""
    with log.open("w") as said:
        process = subprocess.Popen([str(tool("registry")), "-port=0"], stdout=said, stderr=said)
    try:
        deadline = time.monotonic() + 60
        while not (found := re.search(r"serving on port ([0-9]+)", log.read_text())):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, "the registry does not start"
            time.sleep(0.05)
        yield Registry(f"localhost:{found[1]}", log)
    finally:
        process.kill()
        process.wait()


def oci_archive(file: Path, content: bytes) -> str:
    """An OCI archive of one layer, as small as one can be; returns the digest of its manifest."""
    blobs: dict[str, bytes] = {}

    def blob(data: bytes, kind: str) -> dict[str, Any]:
        digest = hashlib.sha256(data).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = data
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(data)}

    layer = blob(content, "application/vnd.oci.image.layer.v1.tar")
    root = {"type": "layers", "diff_ids": [layer["digest"]]}
    config = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": root}
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": blob(json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json"),
        "layers": [layer],
    }
    entry = blob(json.dumps(manifest).encode(), MANIFEST)
    blobs["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()
    blobs["oci-layout"] = b'{"imageLayoutVersion": "1.0.0"}'
    with tarfile.open(file, "w") as tar:
        for name, data in blobs.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return str(entry["digest"])
