"""What builds images on this machine: buildah, podman or docker, behind the same few calls."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from delivery.errors import DeliveryError

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "internal-file-processing-system"
# The same for every file and image, so that the same content has the same digest on any day; ZIP knows none before.
TIMESTAMP = 315532800
# In the order of preference: the first two make the same image each time by themselves, and need no server.
TOOLS = ("buildah", "podman", "docker")
# Where build machines keep the certificates they trust; a company's proxy may have added its own.
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


PULL_SECONDS = 300


class BuildFailed(DeliveryError):
    """An image cannot be built here; says why."""


@dataclass(frozen=True)
class Build:
    """One image to build: `reference` is name and tag, all that the tool says goes to `log`."""

    reference: str
    dockerfile: Path
    context: Path
    log: Path
    arguments: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, Path] = field(default_factory=dict)
    cached: bool = True


def secrets() -> dict[str, Path]:
    """How this machine reaches packages, as files that are mounted while building: by the id that Dockerfiles use."""
    candidates = {
        "certificates": os.environ.get("SSL_CERT_FILE") or str(CERTIFICATES),
        "pip.conf": os.environ.get("PIP_CONFIG_FILE") or "/etc/pip.conf",
        "uv.toml": os.environ.get("UV_CONFIG_FILE") or "/etc/uv/uv.toml",
    }
    return {name: Path(path) for name, path in candidates.items() if Path(path).is_file()}


class Builder:
    """One of the tools, with a storage of its own that no other use of it on this machine sees."""

    def __init__(self, tool: str, *, storage: Path | None = None) -> None:
        self.tool = tool
        self.storage = storage or CACHE / "buildah"
        self._environment = {**os.environ, "SOURCE_DATE_EPOCH": str(TIMESTAMP)}
        self._prefix = [tool]
        if tool != "docker":
            self.storage.mkdir(parents=True, exist_ok=True)
            # Also where buildah keeps what `--mount=type=cache` asks for.
            (self.storage / "tmp").mkdir(exist_ok=True)
            self._environment |= {"BUILDAH_ISOLATION": "chroot", "TMPDIR": str(self.storage / "tmp")}
            self._prefix += ["--root", str(self.storage / "storage"), "--runroot", str(self.storage / "run")]
            self._prefix += ["--storage-driver", self._driver()]

    @classmethod
    def find(cls) -> "Builder":
        """Whatever is there and answers."""
        said = []
        for tool in TOOLS:
            if not shutil.which(tool):
                continue
            answer = subprocess.run([tool, "info"], capture_output=True, text=True, check=False)
            if answer.returncode == 0:
                return cls(tool)
            said.append(f"{tool} is there, but says: {(answer.stderr.strip() or answer.stdout.strip())[-200:]}")
        raise BuildFailed("; ".join(said) or f"none of {', '.join(TOOLS)} is installed: apt-get install buildah")

    def _driver(self) -> str:
        """Overlay where the kernel lets us, else whole copies of each layer."""
        answer = subprocess.run(
            [*self._prefix, "--storage-driver", "overlay", "info"],
            capture_output=True,
            check=False,
            env=self._environment,
        )
        return "vfs" if answer.returncode else "overlay"

    def build(self, build: Build) -> None:
        """Build an image; unchanged steps are taken from the storage if `build.cached`."""
        arguments = [part for name, value in build.arguments.items() for part in ("--build-arg", f"{name}={value}")]
        for name, path in build.secrets.items():
            arguments += ["--secret", f"id={name},src={path}"]
        arguments += ["--tag", build.reference, "--file", str(build.dockerfile)]
        if not build.cached:
            arguments.append("--no-cache")
        if self.tool == "docker":
            command = [*self._prefix, "buildx", "build", "--provenance=false", *arguments]
            command += ["--output", "type=docker,rewrite-timestamp=true"]
        else:
            command = [
                *self._prefix,
                "build",
                "--layers",
                "--identity-label=false",
                f"--timestamp={TIMESTAMP}",
                *arguments,
            ]
        build.log.parent.mkdir(parents=True, exist_ok=True)
        with build.log.open("w") as log:
            code = subprocess.run(
                [*command, str(build.context)],
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
            ).returncode
        if code:
            last = "\n".join(build.log.read_text(errors="replace").splitlines()[-15:])
            raise BuildFailed(f"{build.reference} could not be built; {build.log} has all of it, and ends so:\n{last}")

    def export(self, reference: str, archive: Path) -> None:
        """Write an image as an OCI archive, at once as a whole."""
        archive.parent.mkdir(parents=True, exist_ok=True)
        unfinished = archive.with_suffix(".unfinished")
        unfinished.unlink(missing_ok=True)
        if self.tool == "docker":
            self._output("save", "--output", str(unfinished), reference)
        else:
            self._output("push", reference, f"oci-archive:{unfinished}:{reference}")
        unfinished.replace(archive)

    def pull(self, reference: str) -> bool:
        """Whether a registry's image is here or can be brought here."""
        command = [*self._prefix, "pull", "--quiet", reference]
        try:
            answer = subprocess.run(
                command, capture_output=True, check=False, env=self._environment, timeout=PULL_SECONDS
            )
        except subprocess.TimeoutExpired:
            return False
        return answer.returncode == 0

    def remove(self, reference: str) -> None:
        """Forget an image, with the steps that led to nothing else; one that is in use stays."""
        with suppress(BuildFailed):
            self._output("rmi", reference)

    def references(self) -> list[str]:
        """Names and tags of what is in the storage."""
        template = "{{.Repository}}:{{.Tag}}" if self.tool == "docker" else "{{.Name}}:{{.Tag}}"
        return self._output("images", "--format", template).splitlines()

    def _output(self, *arguments: str) -> str:
        answer = subprocess.run(
            [*self._prefix, *arguments], capture_output=True, text=True, check=False, env=self._environment
        )
        if answer.returncode:
            raise BuildFailed(f"{self.tool} {arguments[0]} failed: {answer.stderr.strip()[-500:]}")
        return answer.stdout
