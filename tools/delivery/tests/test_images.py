"""The images themselves: built by `make images`' command, looked into, and started as a node would start them."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.helpers.images import command, environment, mounted, running
from tests.helpers.stack import free_port

from delivery.images.archive import open_layer, read_manifest
from delivery.images.bill import packages, write_vulnerabilities
from delivery.images.builder import Builder
from delivery.images.inputs import SERVICES
from delivery.images.record import Image, archives

ROOT = Path(__file__).parents[3]
# The first time, the base images and all five are built.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

# The only folder that a pod can write to.
WRITABLE = "/tmp"  # noqa: S108 - mounted for each

NOBODY = "http://127.0.0.1:9"
"""An address where nobody answers."""

FACTS = {
    "AWS_REGION": "ap-southeast-1",
    "AWS_ENDPOINT_URL": NOBODY,
    "CLUSTER_ISSUER": NOBODY,
    "COGNITO_CLIENT_IDS": '["page"]',
    "COGNITO_DOMAIN_URL": NOBODY,
    "COGNITO_ISSUER": NOBODY,
    "COGNITO_PUBLIC_CLIENT_ID": "page",
    "DATA_DIRECTORY": f"{WRITABLE}/data",
    "DEPARTMENT": "finance",
    "DEPARTMENT_DATA_BUCKET": "data",
    "DEPARTMENT_FILE": f"{WRITABLE}/department.yaml",
    "EXCHANGES_TABLE": "exchanges",
    "FILES_BUCKET": "files",
    "GATEWAY_SIGNING_KEY_ID": "key",
    "HOME": WRITABLE,
    "HOST": "127.0.0.1",
    "JOBS_QUEUE_URL": f"{NOBODY}/jobs",
    "JOBS_TABLE": "jobs",
    "KUBERNETES_API_URL": NOBODY,
    "PUBLIC_API_URL": "https://api.example.com",
    "PUBLIC_APP_URL": "https://app.example.com",
    "SECRET_KEY": "s" * 43,
    "SERVICE_ACCOUNT": "application",
    "STATE_DIR": f"{WRITABLE}/state",
    "TMPDIR": WRITABLE,
}
"""What pods are told; each service reads what it needs."""


def make_images(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "delivery.images", "--base", "local", "--json", *arguments],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def images() -> dict[str, Image]:
    answer = make_images()
    assert answer.returncode == 0, answer.stderr
    return archives()


@pytest.fixture(scope="module")
def builder() -> Builder:
    return Builder.find()


@pytest.fixture(params=SERVICES)
def image(request: pytest.FixtureRequest, images: dict[str, Image]) -> Image:
    return images[request.param]


@pytest.fixture
def config(image: Image) -> dict[str, Any]:
    return dict(read_manifest(Path(image.archive)).config["config"])


@pytest.fixture
def root(image: Image, builder: Builder) -> Iterator[Path]:
    with mounted(builder, image.reference) as folder:
        yield folder


def names(image: Image) -> Iterator[tuple[str, int]]:
    """Every path of every layer, and its mode's bits."""
    for digest in read_manifest(Path(image.archive)).layers:
        with open_layer(Path(image.archive), digest) as layer:
            yield from ((member.name, member.mode if member.isfile() else 0) for member in layer)


def test_an_unchanged_tree_builds_nothing(images: dict[str, Image]) -> None:
    started = time.monotonic()
    again = make_images()
    assert again.returncode == 0, again.stderr
    assert [Image(**each) for each in json.loads(again.stdout)] == [images[service] for service in SERVICES]
    assert "Building" not in again.stderr
    assert time.monotonic() - started < 60


def test_sizes_are_printed(images: dict[str, Image], report_figure: Callable[[str], None]) -> None:
    for image in images.values():
        assert 0 < image.size < image.unpacked
        report_figure(
            f"image {image.service}: {image.size / 1e6:.0f} MB pulled, {image.unpacked / 1e6:.0f} MB unpacked, "
            f"{image.packages} packages, built in {image.seconds:.0f} s"
        )


def test_it_runs_as_nobody_and_says_what_it_is(image: Image, config: dict[str, Any]) -> None:
    assert config["User"] == "65532:65532"
    labels = {name.removeprefix("org.opencontainers.image."): value for name, value in config["Labels"].items()}
    assert set(labels) >= {"title", "description", "version", "revision", "source"}
    assert labels["title"] == image.service
    assert image.reference == f"localhost/{image.service}:{labels['version']}"
    assert re.fullmatch(r"[0-9a-f]{40}(-modified)?", labels["revision"])


def test_python_is_the_only_program_and_nothing_can_be_written(image: Image) -> None:
    files = dict(names(image))
    programs = {Path(name).name for name, mode in files.items() if re.match(r"(usr/)?(local/)?s?bin/.", name) and mode}
    assert programs == {"python3.11"}
    assert not [name for name, mode in files.items() if mode & 0o6002]


def test_it_starts_on_a_read_only_root(
    image: Image, config: dict[str, Any], root: Path, tmp_path: Path, report_figure: Callable[[str], None]
) -> None:
    if image.service == "department-operator":
        # It can do nothing at all without an API server, and says so.
        answer = subprocess.run(
            command(root, config),
            env=environment(config, FACTS),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert "setting CLUSTER_NAME: Field required" in answer.stderr
        return
    settings = {**FACTS, "PORT": str(free_port()), "METRICS_PORT": str(free_port())}
    log, started = tmp_path / "log", time.monotonic()
    with running(root, config, settings, log) as process:
        while not answers(f"http://127.0.0.1:{settings['PORT']}/healthz"):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() - started < 180, log.read_text()
            time.sleep(0.1)
        assert "\nUid:\t65532\t65532\t65532\t65532\n" in Path(f"/proc/{process.pid}/status").read_text()
    report_figure(f"image {image.service}: answers {time.monotonic() - started:.1f} s after its start")


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own address
            return bool(answer.status == 200)
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False


def test_it_names_the_setting_that_is_missing(image: Image, config: dict[str, Any], root: Path) -> None:
    answer = subprocess.run(
        command(root, config), env=environment(config, {}), capture_output=True, text=True, check=False, timeout=120
    )
    assert answer.returncode == 2, answer.stderr
    assert "setting AWS_REGION: Field required" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_its_packages_were_chosen_for_the_python_that_runs_them(
    image: Image, config: dict[str, Any], root: Path
) -> None:
    """What a package needs differs between patches of Python, and the base to build in has a newer one."""
    prints = {**config, "Cmd": ["-c", "import platform; print(platform.python_version())"]}
    answer = subprocess.run(
        command(root, prints), env=environment(config, {}), capture_output=True, text=True, check=True, timeout=120
    )
    dockerfile = (ROOT / "services" / image.service / "Dockerfile").read_text()
    assert f"ARG PYTHON_VERSION={answer.stdout.strip()}\n" in dockerfile


def test_no_cache_no_setting_of_the_building_machine_and_no_test_is_in_it(image: Image, config: dict[str, Any]) -> None:
    unwanted = re.compile(r"(^|/)(\.git|\.cache|pip\.conf|uv\.toml|uv_cache\.json|\.netrc|[^/]+\.(whl|pth))(/|$)")
    unwanted_of_ours = re.compile(r"^app/(.*/)?tests?/")
    found = [name for name, _ in names(image) if unwanted.search(name) or unwanted_of_ours.match(name)]
    assert not found
    assert not re.search(r"https?://", json.dumps(config["Env"]))
    history = read_manifest(Path(image.archive)).config["history"]
    assert not re.search(r"https?://|secret", json.dumps([step.get("created_by", "") for step in history]))


def test_its_bill_lists_the_packages_of_the_lock_and_of_debian(image: Image) -> None:
    assert image.bill
    listed = {
        match[1].lower()
        for reference in packages(Path(image.bill))
        if (match := re.match(r"pkg:pypi/([^?]+@[^?]+)", reference))
    }
    frontend = image.service == "frontend"
    own = {"frontend", "client"} if frontend else {image.service, "common"}
    folder = ROOT / "services" / "frontend" if frontend else ROOT
    arguments = ["--no-emit-local"] if frontend else ["--no-emit-local", "--package", image.service]
    exported = subprocess.run(
        [ROOT / "tools" / "uv", "export", "--frozen", "--no-dev", "--no-hashes", "--no-annotate", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    locked: dict[str, set[str]] = {}
    for line in exported.splitlines():
        if (match := re.match(r"([\w.-]+)(?:\[[^]]*\])?==([^ ;]+)", line)) and "sys_platform == 'win32'" not in line:
            locked.setdefault(match[1].lower(), set()).add(f"{match[1]}@{match[2]}".lower())
    assert locked
    # Where the lock has a version for each of several releases of Python, it is one of them. Beside these there may be
    # what a package brings inside itself, as setuptools does.
    assert [name for name, versions in locked.items() if not versions & listed] == []
    assert listed >= {f"{name}@0.1.0" for name in own}
    assert [reference for reference in packages(Path(image.bill)) if reference.startswith("pkg:deb/debian/libssl3@")]


def test_the_same_inputs_give_the_same_image_however_packages_are_reached(
    images: dict[str, Image], tmp_path: Path
) -> None:
    certificates, pip, uv = tmp_path / "certificates.crt", tmp_path / "pip.conf", tmp_path / "uv.toml"
    certificates.write_text(Path(os.environ.get("SSL_CERT_FILE") or "/etc/ssl/certs/ca-certificates.crt").read_text())
    with certificates.open("a") as file:
        file.write("\n# canary-5dc1\n")
    pip.write_text("# canary-5dc1\n[global]\ntimeout = 61\n")
    uv.write_text("concurrent-downloads = 3 # canary-5dc1\n")
    secrets = {"SSL_CERT_FILE": str(certificates), "PIP_CONFIG_FILE": str(pip), "UV_CONFIG_FILE": str(uv)}
    answer = make_images("--no-cache", "department-operator", **secrets)
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)[0]["digest"] == images["department-operator"].digest


def test_known_vulnerabilities_are_found_without_a_network(images: dict[str, Image], tmp_path: Path) -> None:
    bill = Path(images["agentgateway"].bill or "")
    name, version = next(text for text in packages(bill).values() if text.startswith("starlette ")).split()
    advisory = {
        "id": "GHSA-0000-0000-0000",
        "modified": "2026-01-01T00:00:00Z",
        "published": "2026-01-01T00:00:00Z",
        "schema_version": "1.6.0",
        "affected": [{"package": {"ecosystem": "PyPI", "name": name}, "versions": [version]}],
    }
    for ecosystem, known in (("PyPI", {"GHSA-0000-0000-0000.json": json.dumps(advisory)}), ("Debian", {})):
        folder = tmp_path / "osv-scalibr" / ecosystem
        folder.mkdir(parents=True)
        with zipfile.ZipFile(folder / "all.zip", "w") as database:
            for file, text in known.items():
                database.writestr(file, text)
    built = subprocess.run([ROOT / "tools" / "build", "osv-scanner"], capture_output=True, text=True, check=True)
    report = tmp_path / "report.json"
    assert write_vulnerabilities(Path(built.stdout.strip()), bill, report, tmp_path, download=False) == 1
    assert "GHSA-0000-0000-0000" in report.read_text()
