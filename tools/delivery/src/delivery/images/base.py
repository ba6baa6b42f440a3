"""Base images made here, for machines that reach Debian's packages but no registry: `--base local`.

They stand in for those that the Dockerfiles pin: the same Debian and Python, one to build in and one to run on.
The latter, like the distroless one, holds Python and what it links to: no shell, no package manager, no other program.
"""

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from delivery.images.builder import Build, Builder, BuildFailed

SUITE = "bookworm"
# Raised where `make_runtime` changes what it makes.
REVISION = 1
# What the base to build in has beyond the essential packages.
BUILD_PACKAGES = ("ca-certificates", "libgomp1", "libstdc++6", "netbase", "python3-venv", "python3.11", "tzdata")
# What the base to run on consists of: the list of gcr.io/distroless/python3-debian12, without bash.
RUN_PACKAGES = (
    *("base-files", "ca-certificates", "gcc-12-base", "libbz2-1.0", "libc6", "libcom-err2", "libcrypt1", "libdb5.3"),
    *("libexpat1", "libffi8", "libgcc-s1", "libgomp1", "libgssapi-krb5-2", "libk5crypto3", "libkeyutils1", "libkrb5-3"),
    *("libkrb5support0", "liblzma5", "libncursesw6", "libnsl2", "libpython3.11-minimal", "libpython3.11-stdlib"),
    *("libreadline8", "libsqlite3-0", "libssl3", "libstdc++6", "libtinfo6", "libtirpc3", "libtirpc-common", "libuuid1"),
    *("media-types", "netbase", "python3.11", "python3.11-minimal", "tzdata", "zlib1g"),
)
LEFT_OUT = (
    *("usr/share/doc", "usr/share/man", "usr/share/lintian", "usr/share/ca-certificates", "usr/sbin"),
    *("usr/bin/pdb3.11", "usr/bin/pydoc3.11", "usr/bin/pygettext3.11"),
)
DOCKERFILE = "FROM scratch\nCOPY . /\n"
ACCOUNTS = {
    "etc/passwd": "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n",
    "etc/group": "root:x:0:\nnonroot:x:65532:\n",
    "etc/nsswitch.conf": "hosts: files dns\n",
}


def local_bases() -> dict[str, str]:
    """The build arguments that name both images."""
    recipe = repr((SUITE, BUILD_PACKAGES, RUN_PACKAGES, LEFT_OUT, DOCKERFILE, sorted(ACCOUNTS.items()), REVISION))
    key = hashlib.sha256(recipe.encode()).hexdigest()[:12]
    return {"BUILD_BASE": f"localhost/python-build-base:{key}", "BASE": f"localhost/python-base:{key}"}


def make_local_bases(builder: Builder, logs: Path) -> None:
    """Make both images."""
    if not shutil.which("debootstrap"):
        raise BuildFailed("debootstrap is missing, which makes base images: apt-get install debootstrap")
    with tempfile.TemporaryDirectory(dir=builder.storage) as folder:
        debian, runtime = Path(folder) / "debian", Path(folder) / "runtime"
        with (logs / "debootstrap.log").open("w") as said:
            command = ["debootstrap", "--variant=minbase", f"--include={','.join(BUILD_PACKAGES)}", SUITE, str(debian)]
            if subprocess.run(command, check=False, stdout=said, stderr=said).returncode:
                raise BuildFailed(f"debootstrap failed (it needs root, and Debian's packages): see {said.name}")
        for volatile in ("var/cache/apt", "var/lib/apt/lists", "var/log", "dev"):
            shutil.rmtree(debian / volatile)
            (debian / volatile).mkdir()
        make_runtime(debian, runtime)
        dockerfile = Path(folder) / "Dockerfile"
        dockerfile.write_text(DOCKERFILE)
        for argument, tree in (("BUILD_BASE", debian), ("BASE", runtime)):
            log = logs / f"{argument.lower()}.log"
            builder.build(Build(local_bases()[argument], dockerfile, tree, log))


def make_runtime(debian: Path, runtime: Path) -> None:
    """Copy the files of RUN_PACKAGES out of an installed Debian, and what installing them has made."""
    runtime.mkdir()
    for name in ("bin", "lib", "lib64", "sbin"):
        (runtime / "usr" / name).mkdir(parents=True, exist_ok=True)
        (runtime / name).symlink_to(f"usr/{name}")
    for package in RUN_PACKAGES:
        for path in package_files(debian, package):
            source, target = debian / path, runtime / path
            if any(path.is_relative_to(folder) for folder in LEFT_OUT) or target.exists() or target.is_symlink():
                continue
            if source.is_symlink() or source.is_file():
                shutil.copy2(source, target, follow_symlinks=False)
            elif source.is_dir():
                target.mkdir(parents=True, mode=source.stat().st_mode & 0o7777)
                target.chmod(source.stat().st_mode & 0o7777)
    certificates = Path("etc/ssl/certs/ca-certificates.crt")
    (runtime / certificates.parent).mkdir(parents=True, exist_ok=True)
    shutil.copy2(debian / certificates, runtime / certificates)
    for name, text in ACCOUNTS.items():
        (runtime / name).write_text(text)
    # Where scanners look for the packages of a distroless image.
    statuses = runtime / "var/lib/dpkg/status.d"
    statuses.mkdir(parents=True)
    for status in (debian / "var/lib/dpkg/status").read_text().split("\n\n"):
        name = status.partition("\n")[0].removeprefix("Package: ")
        if name in RUN_PACKAGES:
            (statuses / name).write_text(f"{status}\n")


def package_files(debian: Path, package: str) -> Iterator[Path]:
    """What a package installed, relative to the root; folders come before what is in them."""
    lists = debian / "var/lib/dpkg/info"
    found = next(
        (file for file in (lists / f"{package}.list", *lists.glob(f"{package}:*.list")) if file.is_file()), None
    )
    if found is None:
        raise BuildFailed(f"debootstrap has not installed {package}")
    for line in found.read_text().splitlines():
        relative = Path(line).relative_to("/")
        first = relative.parts[:1]
        # Packages of this release still name /lib and /bin, which are links into /usr.
        yield Path("usr") / relative if first and first[0] in ("bin", "lib", "lib64", "sbin") else relative
