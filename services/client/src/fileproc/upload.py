"""Sends a file: small ones in one request, large ones as parts in parallel, straight to storage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing.pool import ThreadPool
from pathlib import Path
from threading import Event

from fileproc.errors import FileChanged, FileprocError, InvalidRequest, Unavailable
from fileproc.models import File, Part, Upload
from fileproc.transport import Retry, Transport, parse

LARGE = 64 << 20
PARALLEL_PARTS = 4
_CHUNK = 256 << 10

# S3 also asks for a part to be sent again by 500 (InternalError).
STORAGE_RETRY = Retry(attempts=6, statuses=frozenset({429, 500, 502, 503, 504}))

Advance = Callable[[int], None]
"""Is told bytes as they are sent; a negative number where they have to be sent again. Called from several threads."""


class _Stopped(Exception):
    """Another part has failed, so this one need not go on."""


class FileSlice:
    """Bytes of a file as a request body; each iteration begins anew, so that it can be sent again."""

    def __init__(self, path: Path, offset: int, size: int, advance: Advance, stop: Event) -> None:
        self._path = path
        self._offset = offset
        self._size = size
        self._advance = advance
        self._stop = stop
        self._sent = 0

    def __iter__(self) -> Iterator[bytes]:
        if self._sent:
            self._advance(-self._sent)
            self._sent = 0
        with self._path.open("rb") as file:
            file.seek(self._offset)
            while self._sent < self._size:
                if self._stop.is_set():
                    raise _Stopped
                chunk = file.read(min(_CHUNK, self._size - self._sent))
                if not chunk:
                    raise FileChanged(f"{self._path} became shorter while it was being sent.")
                yield chunk
                self._sent += len(chunk)
                self._advance(len(chunk))

    @property
    def headers(self) -> dict[str, str]:
        """S3 takes no part whose length is not said beforehand."""
        return {"Content-Length": str(self._size), "Content-Type": "application/octet-stream"}


def check_file(path: Path) -> None:
    """See that there is a file, before anything is said or sent.

    Raises:
        InvalidRequest: There is none.
    """
    if not path.is_file():
        raise InvalidRequest(f"{path} {'is not a file' if path.exists() else 'does not exist'}.")


def send_file(api: Transport, storage: Transport, path: Path, name: str, advance: Advance, large: int) -> File:
    """Upload `path` as `name`, in parts from `large` bytes on.

    Raises:
        InvalidRequest: It cannot be read, or the service does not take it.
        FileChanged: It changed meanwhile; what had arrived is removed.
        Unavailable: The service or the storage was not reached.
    """
    check_file(path)
    try:
        before = path.stat()
        if before.st_size < large:
            file = _send_whole(api, path, name, before.st_size, advance)
        else:
            file = _send_parts(api, storage, path, name, before.st_size, advance)
        after = path.stat()
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be read: {error.strerror or error}.") from error
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        with suppress(FileprocError):
            api.request("DELETE", f"/api/files/{file.id}")
        raise FileChanged(f"{path} changed while it was being sent; send it again when nothing writes to it.")
    return file


def _send_whole(api: Transport, path: Path, name: str, size: int, advance: Advance) -> File:
    body = FileSlice(path, 0, size, advance, Event())
    # Sent twice, it is there twice: the copy nobody knows of costs nothing and expires.
    response = api.request("POST", "/api/files", params={"name": name}, content=body, headers=body.headers)
    return parse(response, File)


def _send_parts(api: Transport, storage: Transport, path: Path, name: str, size: int, advance: Advance) -> File:
    upload = parse(api.request("POST", "/api/uploads", json={"name": name, "size": size}), Upload)
    try:
        parts = _put_all(storage, upload, path, size, advance)
        # A second completion, because the answer to the first one was lost, finds what the first one made.
        return parse(api.request("POST", f"/api/uploads/{upload.id}/complete", json={"parts": parts}), File)
    except BaseException:  # Ctrl-C too: parts that nobody completes would be kept, and paid for
        with suppress(FileprocError):
            api.request("DELETE", f"/api/uploads/{upload.id}")
        raise


def _put_all(storage: Transport, upload: Upload, path: Path, size: int, advance: Advance) -> list[dict[str, object]]:
    stop = Event()

    def put(part: Part) -> dict[str, object]:
        offset = (part.number - 1) * upload.part_size
        body = FileSlice(path, offset, min(upload.part_size, size - offset), advance, stop)
        response = storage.request("PUT", part.url, content=body, headers=body.headers)
        if not (etag := response.headers.get("ETag")):
            raise Unavailable(f"The storage did not confirm part {part.number} of {path.name}.")
        return {"number": part.number, "etag": etag}

    # Threads that nobody has to wait for: after Ctrl-C one may hang in a connection until its time limit.
    with ThreadPool(min(PARALLEL_PARTS, len(upload.parts))) as pool:
        try:
            return list(pool.imap_unordered(put, upload.parts))
        finally:
            stop.set()
