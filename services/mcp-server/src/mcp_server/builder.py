"""Builds versions from S3: a large one in a process of its own, so that requests do not wait and memory is given back.

`python -m mcp_server.builder` is that process. It takes a `Work` as JSON, and says line by line how far it is.
"""

import asyncio
import io
import os
import resource
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import orjson
from pydantic import BaseModel

from common.departments import Dataset
from mcp_server.building import Limits, build
from mcp_server.errors import BrokenObject, ObjectMissing
from mcp_server.s3 import DepartmentObjects, Place, StorageUnavailable, Version
from mcp_server.versions import Versions

SMALL_BYTES: Final = 4 << 20
"""Of an object that is built within a second, where a process would take longer to start."""

READ_BYTES: Final = 8 << 20
"""Of one request to S3, where an object is read from its beginning to its end."""

BUILD_MEMORY: Final = 400 << 20
"""What a build may take besides the interpreter and its libraries."""

_ERRORS: Final[dict[str, type[Exception]]] = {
    error.__name__: error for error in (BrokenObject, ObjectMissing, StorageUnavailable)
}
_ENVIRONMENT: Final = {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "2"}


class Work(BaseModel):
    """What is to be built, and from where."""

    spec: Dataset
    version: Version
    folder: Path
    place: Place
    versions: Versions

    def do(self, progress: Callable[[float], None]) -> None:
        """Build it here; `progress` gets the share of the object that has been read, 0 to 1.

        Raises:
            BrokenObject: The object cannot be served.
            ObjectMissing: It is gone.
            StorageUnavailable: S3 does not give it, or has another one by now.
        """
        objects = DepartmentObjects(self.place)
        reader = objects.open(self.spec.object, self.version)

        def read_share() -> float:
            share = reader.tell() / max(1, self.version.size)
            progress(share)
            return share

        limits = Limits(self.versions.free_bytes, read_share)
        # Parquet's reader has buffers of its own.
        source = reader if self.spec.object.endswith(".parquet") else io.BufferedReader(reader, READ_BYTES)
        build(self.spec, self.version.etag, cast("BinaryIO", source), self.folder, limits)


class BuildFailed(Exception):
    """A build ended in a way that nobody thought of."""


class Builder:
    """Builds large versions one at a time."""

    def __init__(self) -> None:
        self._one = asyncio.Semaphore(1)

    async def build(self, work: Work, progress: Callable[[float], None]) -> None:
        """Do the work; raises what it raises, and `BuildFailed`."""
        if work.version.size <= SMALL_BYTES:
            await asyncio.to_thread(work.do, progress)
            return
        async with self._one:
            await _in_process(work, progress)


async def _in_process(work: Work, progress: Callable[[float], None]) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "mcp_server.builder"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, **_ENVIRONMENT},
    )
    failure: dict[str, str] | None = None
    try:
        assert process.stdin is not None  # noqa: S101 - a pipe was asked for
        assert process.stdout is not None  # noqa: S101
        process.stdin.write(work.model_dump_json(by_alias=True).encode())
        process.stdin.close()
        async for line in process.stdout:
            told: dict[str, Any] = orjson.loads(line)
            if "read" in told:
                progress(told["read"])
            else:
                failure = told
        status = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if failure is not None:
        raise _ERRORS.get(failure["error"], BuildFailed)(failure["message"])
    if status != 0:
        raise BrokenObject(f"{work.spec.object} cannot be loaded: the process that built it ended with status {status}")


def _tell(**told: object) -> None:
    sys.stdout.buffer.write(orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE))
    sys.stdout.buffer.flush()


def main() -> None:
    """Do the work that standard input has."""
    work = Work.model_validate_json(sys.stdin.buffer.read())
    if sys.platform == "linux":
        status = Path("/proc/self/status").read_text().splitlines()
        taken = next(int(line.split()[1]) << 10 for line in status if line.startswith("VmData"))
        resource.setrlimit(resource.RLIMIT_DATA, (taken + BUILD_MEMORY, taken + BUILD_MEMORY))
    try:
        work.do(lambda share: _tell(read=share))
    except tuple(_ERRORS.values()) as error:
        _tell(error=type(error).__name__, message=str(error))
    except Exception:  # noqa: BLE001 - it is the server that logs it
        _tell(error="", message=traceback.format_exc())


if __name__ == "__main__":
    main()
