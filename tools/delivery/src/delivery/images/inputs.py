"""What an image is made of, as a key: while that stays the same there is nothing to build."""

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from delivery.git import GitFailed, Repository

FOLDERS = sorted(file.parent for file in Path(__file__).parents[5].glob("services/*/Dockerfile"))
# In the order in which they are built. A service with a lock of its own has hundreds of packages: it takes longest.
SERVICES = tuple(folder.name for folder in sorted(FOLDERS, key=lambda folder: not (folder / "uv.lock").is_file()))
PINNED = re.compile(r"^ARG (?:BUILD_)?BASE=(\S+)$", re.MULTILINE)
COPIED = re.compile(r"^COPY (?!--from)(.+) \S+$", re.MULTILINE)


@dataclass(frozen=True)
class Inputs:
    """What decides one image."""

    service: str
    revision: str
    source: str
    version: str
    key: str

    @property
    def reference(self) -> str:
        """Name and tag of the image on this machine."""
        return f"localhost/{self.service}:{self.version}"

    @property
    def labels(self) -> dict[str, str]:
        """Which build it is, by OCI's names for labels; the Dockerfile says what it is."""
        said = {"version": self.version, "revision": self.revision, "source": self.source}
        return {f"org.opencontainers.image.{name}": value for name, value in said.items()}


def read_inputs(repository: Repository, service: str, bases: Mapping[str, str], version: str | None = None) -> Inputs:
    """The inputs of a service's image as they are in the work tree.

    Without a version it is the package's own with the key's first characters, so that another content is another tag.
    """
    root = repository.folder
    dockerfile = root / "services" / service / "Dockerfile"
    paths = [str(dockerfile.relative_to(root)), ".dockerignore"]
    for sources in COPIED.findall(dockerfile.read_text()):
        paths += sources.split()
    listed = repository.git("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *paths).split("\0")
    files = sorted(name for name in listed if name and "/tests/" not in name and (root / name).is_file())
    revision, source = _revision(repository, files), _source(repository)
    digest = hashlib.sha256(repr((service, revision, source, version, sorted(bases.items()))).encode())
    for name in files:
        content = (root / name).read_bytes()
        digest.update(repr((name, (root / name).stat().st_mode & 0o111, len(content))).encode() + content)
    key = digest.hexdigest()
    project = tomllib.loads((root / "services" / service / "pyproject.toml").read_text())["project"]
    return Inputs(service, revision, source, version or f"{project['version']}-{key[:12]}", key)


def pinned_bases(repository: Repository) -> tuple[str, ...]:
    """The base images that the Dockerfiles name."""
    files = [repository.folder / "services" / service / "Dockerfile" for service in SERVICES]
    return tuple(sorted({name for file in files for name in PINNED.findall(file.read_text())}))


def _revision(repository: Repository, files: list[str]) -> str:
    """The last commit that changed one of the files, so that other commits change no image."""
    try:
        commit = repository.git("log", "--max-count=1", "--format=%H", "--", *files)
        changed = repository.git("status", "--porcelain", "--", *files)
    except GitFailed:
        return "unknown"
    return f"{commit}-modified" if changed else commit


def _source(repository: Repository) -> str:
    """Where the repository is published, if it is on the web; never who fetched it."""
    try:
        url = repository.git("remote", "get-url", "origin")
    except GitFailed:
        return "unknown"
    return re.sub(r"^https://[^@/]*@", "https://", url) if url.startswith("https://") else "unknown"
