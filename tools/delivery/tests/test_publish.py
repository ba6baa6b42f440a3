"""`python -m delivery.changed` and `delivery.publish`: which images are built again, and what reaches the registry."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import httpx2
import pytest
from tests.helpers.clones import Clone, version_path
from tests.helpers.registry import MANIFEST, oci_archive, running_registry

from delivery.images.inputs import SERVICES
from infrastructure.terraform import cache
from local.kubernetes.tools import tool

pytestmark = pytest.mark.slow

COMMIT: Final = "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567"
# In place of cosign, whose keyless signatures need a workflow's identity: writes down what it is asked for.
COSIGN: Final = """\
#!/bin/sh
for word in "$@" --; do printf '%s\\n' "$word"; done >> "$COSIGN_ASKED"
"""


def built(home: Path, content: bytes, version: str = COMMIT) -> str:
    """The gateway's image as delivery.images leaves it; returns its digest."""
    folder = home / "internal-file-processing-system/images"
    folder.mkdir(parents=True, exist_ok=True)
    digest = oci_archive(folder / "agentgateway.tar", content)
    (folder / "agentgateway.spdx.json").write_text('{"spdxVersion": "SPDX-2.3"}')
    record = {
        "service": "agentgateway",
        "reference": f"localhost/agentgateway:{version}",
        "key": "",
        "base": "pinned",
        "digest": digest,
        "archive": str(folder / "agentgateway.tar"),
        "size": 1,
        "unpacked": 1,
        "layers": 1,
        "seconds": 1.0,
        "bill": str(folder / "agentgateway.spdx.json"),
    }
    (folder / "agentgateway.json").write_text(json.dumps(record))
    return digest


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry in memory: host and port."""
    with running_registry(tmp_path_factory.mktemp("registry") / "log") as running:
        yield running.host


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A cache of its own, with the programs that are built already."""
    programs = tmp_path / "cache/internal-file-processing-system/tools"
    programs.parent.mkdir(parents=True)
    tool("crane")
    programs.symlink_to(cache() / "tools")
    return tmp_path / "cache"


@pytest.fixture
def job(workflow: Clone, registry: str, home: Path, tmp_path: Path) -> Clone:
    """A clone whose registry is that one, and a cosign."""
    cosign = tmp_path / "bin/cosign"
    cosign.parent.mkdir()
    cosign.write_text(COSIGN)
    cosign.chmod(0o755)
    path = version_path("dev", "agentgateway")
    registered = "111122223333.dkr.ecr.ap-southeast-1.amazonaws.com/agentgateway"
    workflow.replace(path, registered, f"{registry}/{tmp_path.name.lower()}/agentgateway")
    environment = {
        "XDG_CACHE_HOME": str(home),
        "PATH": f"{cosign.parent}:{os.environ['PATH']}",
        "COSIGN_ASKED": str(tmp_path / "asked"),
    }
    return replace(workflow, environment={**workflow.environment, **environment})


def asked(tmp_path: Path) -> list[list[str]]:
    """What cosign was asked for."""
    return [words.split("\n") for words in (tmp_path / "asked").read_text().removesuffix("\n--\n").split("\n--\n")]


def test_an_image_is_pushed_as_it_was_built_signed_and_with_its_parts(
    job: Clone, registry: str, home: Path, tmp_path: Path
) -> None:
    digest = built(home, b"one")
    image = f"{registry}/{tmp_path.name.lower()}/agentgateway"
    assert job.succeed("publish", "agentgateway", COMMIT) == f"{image}:{COMMIT}@{digest}\n"
    repository = image.partition("/")[2]
    there = httpx2.get(f"http://{registry}/v2/{repository}/manifests/{COMMIT}", headers={"Accept": MANIFEST})
    assert f"sha256:{hashlib.sha256(there.content).hexdigest()}" == digest
    # By this tag the registry counts which images it keeps.
    counted = httpx2.get(f"http://{registry}/v2/{repository}/manifests/build-{COMMIT}", headers={"Accept": MANIFEST})
    assert counted.content == there.content
    layer = there.json()["layers"][0]["digest"]
    assert httpx2.get(f"http://{registry}/v2/{repository}/blobs/{layer}").content == b"one"
    # Signed is what was built, not what a tag stands for.
    bill = str(home / "internal-file-processing-system/images/agentgateway.spdx.json")
    assert asked(tmp_path) == [
        ["sign", "--yes", f"{image}@{digest}"],
        ["attest", "--yes", "--type", "spdxjson", "--predicate", bill, f"{image}@{digest}"],
    ]
    assert (tmp_path / "output").read_text() == f"image={image}\ndigest={digest}\n"

    # A run that is repeated pushes nothing, and signs what is there.
    assert job.succeed_json("publish", "agentgateway", COMMIT) == {"image": image, "version": COMMIT, "digest": digest}
    assert len(asked(tmp_path)) == 4

    built(home, b"another")
    said = job.refuse("publish", "agentgateway", COMMIT)
    assert f"{image}:{COMMIT} is there already with another content" in said
    assert len(asked(tmp_path)) == 4
    assert httpx2.get(f"http://{registry}/v2/{repository}/manifests/{COMMIT}").content == there.content


def test_the_image_that_prod_runs_gets_a_tag_that_the_registry_keeps(
    job: Clone, registry: str, home: Path, tmp_path: Path
) -> None:
    image = f"{registry}/{tmp_path.name.lower()}/agentgateway"
    for service in {*SERVICES} - {"agentgateway"}:
        shutil.rmtree((job.folder / version_path("prod", service)).parent)
    shutil.copy(job.folder / version_path("dev", "agentgateway"), job.folder / version_path("prod", "agentgateway"))
    job.succeed("version", "agentgateway", COMMIT)
    job.succeed("promote", "agentgateway")
    assert job.refuse("keep").splitlines()[-1] == f"error: {image}:{COMMIT} is not in the registry"

    digest = built(home, b"one")
    job.succeed("publish", "agentgateway", COMMIT)
    assert job.succeed("keep") == f"{image}:prod-{COMMIT}\n"
    repository = image.partition("/")[2]
    there = httpx2.get(f"http://{registry}/v2/{repository}/manifests/prod-{COMMIT}", headers={"Accept": MANIFEST})
    assert f"sha256:{hashlib.sha256(there.content).hexdigest()}" == digest
    assert job.succeed("keep") == "nothing to do: the images of prod are tagged\n"


def test_what_was_not_built_here_as_that_version_is_refused(job: Clone, home: Path) -> None:
    again = f"run python -m delivery.images --version {COMMIT} agentgateway"
    assert job.refuse("publish", "agentgateway", COMMIT) == f"error: no image of agentgateway was built here: {again}"
    built(home, b"one", version="0.1.0")
    said = job.refuse("publish", "agentgateway", COMMIT)
    assert said == f"error: what was built here is localhost/agentgateway:0.1.0, not {COMMIT}: {again}"


def test_without_cosign_that_is_said(job: Clone, home: Path, tmp_path: Path) -> None:
    built(home, b"one")
    shutil.rmtree(tmp_path / "bin")
    assert "cosign is missing: install it, and put it on PATH" in job.refuse("publish", "agentgateway", COMMIT)


def test_only_images_of_which_something_changed_are_built_again(workflow: Clone, tmp_path: Path) -> None:
    services = sorted(SERVICES)
    # 0.1.0 is no commit, so nobody knows what it was made of.
    assert workflow.succeed_json("changed") == services
    assert (tmp_path / "output").read_text() == f"services={json.dumps(services)}\n"
    workflow.succeed("version", *services, workflow.git("rev-parse", "HEAD"))
    workflow.commit("All of this commit")
    assert workflow.succeed("changed") == "\n"

    workflow.write("docs/new.md", "Nothing that is in an image.\n")
    workflow.write("services/mcp-server/src/mcp_server/new.py", "")
    workflow.commit("One service")
    assert workflow.succeed("changed") == "mcp-server\n"

    workflow.write("services/common/src/common/new.py", "")
    workflow.commit("What services share")
    assert {"agentgateway", "application", "mcp-server"} <= set(workflow.succeed_json("changed"))
