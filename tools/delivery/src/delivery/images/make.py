"""Builds those images whose inputs have changed."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from delivery.git import Repository
from delivery.images.archive import read_manifest, unpacked_size
from delivery.images.base import local_bases, make_local_bases
from delivery.images.bill import write_bill, write_vulnerabilities
from delivery.images.builder import CACHE, Build, Builder, secrets
from delivery.images.inputs import Inputs, pinned_bases, read_inputs
from delivery.images.record import FOLDER, Image, archive_path, bill_path, read_record, write_record

LOGS = FOLDER / "logs"
ADVISORIES = CACHE / "advisories"
# Each build is mostly one process that waits for disk and network, then compiles.
PARALLEL = max(1, min(3, os.cpu_count() or 1))
PROGRESS_SECONDS = 15.0


@dataclass(frozen=True)
class Wish:
    """What is asked for: `base` is `pinned`, `local`, or `auto`, which is `pinned` where registries are reached."""

    services: Sequence[str]
    base: str = "auto"
    version: str | None = None
    scan: bool = False
    cached: bool = True


def say(text: str) -> None:
    """Progress, on standard error: standard output is the answer's."""
    print(text, file=sys.stderr, flush=True)


def make_images(wish: Wish, repository: Repository) -> list[Image]:
    """Build what has changed; all images that were asked for, in that order."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    LOGS.mkdir(exist_ok=True)
    with _alone():
        choices = [{}, local_bases()] if wish.base == "auto" else [{} if wish.base == "pinned" else local_bases()]
        unchanged = {
            service: record
            for service in wish.services
            if wish.cached
            and (record := read_record(service))
            and record.key in [read_inputs(repository, service, bases, wish.version).key for bases in choices]
        }
        changed = [service for service in wish.services if service not in unchanged]
        built = _build(wish, repository, changed) if changed else {}
        found = unchanged | built
        return [_look_into(found[service], scan=wish.scan) for service in wish.services]


@contextmanager
def _alone() -> Iterator[None]:
    """One process at a time builds; the others wait, and then find everything built."""
    with (FOLDER / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another process is building images: waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(wish: Wish, repository: Repository, services: Sequence[str]) -> dict[str, Image]:
    builder = Builder.find()
    bases = _choose_bases(wish.base, builder, repository)
    say(f"Building {', '.join(services)} with {builder.tool}; logs are in {LOGS}")

    def build(service: str) -> Image:
        inputs = read_inputs(repository, service, bases, wish.version)
        return _build_one(builder, inputs, repository.folder, bases, cached=wish.cached)

    with ThreadPoolExecutor(PARALLEL) as pool:
        built = _with_progress({pool.submit(build, service): service for service in services})
    # Not while others build: the tool cannot list what is being removed.
    for reference in builder.references():
        service = reference.removeprefix("localhost/").partition(":")[0]
        if service in built and reference != built[service].reference:
            builder.remove(reference)
    return built


def _choose_bases(base: str, builder: Builder, repository: Repository) -> Mapping[str, str]:
    if base == "pinned":
        return {}
    if base == "auto":
        unreachable = [name for name in pinned_bases(repository) if not builder.pull(name)]
        if not unreachable:
            return {}
        say(f"{unreachable[0].partition('@')[0]} cannot be pulled here: base images are made of Debian's packages")
    names = local_bases()
    if not set(names.values()) <= set(builder.references()):
        say("Making base images with debootstrap: the first time only, about a minute")
        make_local_bases(builder, LOGS)
    return names


def _labelled(dockerfile: Path, inputs: Inputs) -> Path:
    """A service's Dockerfile that ends by saying which build it is.

    Not by build arguments in a LABEL: buildah takes that step from its storage, whatever their values are now. Nor by
    `--label`: it labels the steps as well, and their identifiers are in the image's history.
    """
    labels = " ".join(f"{name}={json.dumps(value)}" for name, value in inputs.labels.items())
    LOGS.mkdir(parents=True, exist_ok=True)
    written = LOGS / f"{inputs.service}.Dockerfile"
    written.write_text(f"{dockerfile.read_text().rstrip()}\nLABEL {labels}\n")
    return written


def _build_one(builder: Builder, inputs: Inputs, root: Path, bases: Mapping[str, str], *, cached: bool) -> Image:
    started = time.monotonic()
    service = inputs.service
    builder.build(
        Build(
            reference=inputs.reference,
            dockerfile=_labelled(root / "services" / service / "Dockerfile", inputs),
            context=root,
            log=LOGS / f"{service}.log",
            arguments=bases,
            secrets=secrets(),
            cached=cached,
        )
    )
    builder.export(inputs.reference, archive_path(service))
    seconds = time.monotonic() - started
    manifest = read_manifest(archive_path(service))
    image = Image(
        service=service,
        reference=inputs.reference,
        key=inputs.key,
        base="local" if bases else "pinned",
        digest=manifest.digest,
        archive=str(archive_path(service)),
        size=manifest.size,
        unpacked=unpacked_size(archive_path(service)),
        layers=len(manifest.layers),
        seconds=round(seconds, 1),
    )
    write_record(image)
    return image


def _with_progress(running: Mapping[Future[Image], str]) -> dict[str, Image]:
    started = time.monotonic()
    built: dict[str, Image] = {}
    open_futures = set(running)
    while open_futures:
        done, open_futures = wait(open_futures, PROGRESS_SECONDS, FIRST_COMPLETED)
        for future in done:
            image = future.result()
            built[image.service] = image
            say(f"  {image.service}: {image.size / 1e6:.0f} MB in {image.seconds:.0f} s")
        if not done:
            names = ", ".join(sorted(running[future] for future in open_futures if future.running()))
            say(f"  {time.monotonic() - started:.0f} s: {names}")
    return built


def _look_into(image: Image, *, scan: bool) -> Image:
    """The image with its bill, and with the number of known vulnerabilities where there are advisories."""
    archive, bill = archive_path(image.service), bill_path(image.service)
    if image.bill is None and (syft := _tool("syft")):
        say(f"  {image.service}: listing its packages")
        count = write_bill(syft, archive, bill, image.service, image.reference.rpartition(":")[2])
        image = replace(image, bill=str(bill), packages=count)
    if image.bill and (scan or ADVISORIES.is_dir()) and (scanner := _tool("osv-scanner")):
        report = FOLDER / f"{image.service}.vulnerabilities.json"
        image = replace(image, vulnerabilities=write_vulnerabilities(scanner, bill, report, ADVISORIES, download=scan))
    write_record(image)
    return image


def _tool(name: str) -> Path | None:
    """A program of tools/, which is built the first time; None without Go, which is said once."""
    if not shutil.which("go"):
        say(f"  {name} is left out: it is built with Go, which is not installed")
        return None
    answer = subprocess.run(["tools/build", name], stdout=subprocess.PIPE, text=True, check=False)
    return Path(answer.stdout.strip()) if answer.returncode == 0 else None
