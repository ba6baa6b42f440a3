"""Fetches a result: as a stream that survives broken connections, and as a file that is there whole or not at all."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2

from fileproc.errors import OutputExists, ResultChanged, Unavailable
from fileproc.transport import Transport, unreachable

_FRUITLESS_ATTEMPTS = 5


def stream(api: Transport, path: str) -> Iterator[bytes]:
    """The body of `path`, in order and once; after a broken connection the rest is asked for by range.

    Raises:
        ResultChanged: What is there now is not what the first bytes came from.
        Unavailable: The connection broke too often without a byte in between, or more bytes came than were announced.
        FileprocError: The service refuses it.
    """
    received, total, etag, fruitless = 0, None, None, 0
    while True:
        before = received
        # The bytes of the file itself, so that they can be counted and asked for by range.
        headers = {"Accept-Encoding": "identity"}
        if etag:
            headers |= {"Range": f"bytes={received}-", "If-Range": etag}
        failure: Unavailable | None = None
        try:
            with api.stream(path, headers=headers) as response:
                if total is None:
                    total, etag = _announced(response)
                skip = received - _first_byte(response, received, etag)
                for chunk in response.iter_bytes():  # as they come: what is gathered is lost when the connection breaks
                    fresh, skip = chunk[skip:], max(0, skip - len(chunk))
                    if fresh:
                        received += len(fresh)
                        yield fresh
        except httpx2.TransportError as error:
            failure = unreachable(error)
        except Unavailable as error:
            if not received:
                raise
            failure = error
        if received == total or (failure is None and total is None):
            return
        fruitless = fruitless + 1 if received == before else 0
        if etag is None or (total is not None and received > total) or fruitless >= _FRUITLESS_ATTEMPTS:
            raise failure or Unavailable(f"{received:,} bytes of the result came, not {total:,} as announced.")


def _announced(response: httpx2.Response) -> tuple[int | None, str | None]:
    """The size in bytes and the strong ETag; a weak one does not vouch for bytes (RFC 9110, section 8.8.1)."""
    length = response.headers.get("Content-Length", "")
    etag = response.headers.get("ETag")
    return int(length) if length.isdecimal() else None, None if etag is None or etag.startswith("W/") else etag


def _first_byte(response: httpx2.Response, received: int, etag: str | None) -> int:
    """The position in the result of the first byte that this answer carries: 0 where no range was honoured."""
    if received and response.headers.get("ETag") != etag:
        raise ResultChanged("The result changed while it was being fetched; fetch it again.")
    if response.status_code != httpx2.codes.PARTIAL_CONTENT:
        return 0
    match = re.fullmatch(r"bytes (\d+)-\d+/(?:\d+|\*)", response.headers.get("Content-Range", ""))
    if match is None or int(match[1]) > received:
        raise ResultChanged("Another part of the result came than was asked for.")
    return int(match[1])


def save(chunks: Iterator[bytes], path: Path, *, overwrite: bool, advance: Callable[[int], None]) -> int:
    """Write `chunks` beside `path` and give them that name when they are complete and on the disk.

    Returns:
        The size in bytes.

    Raises:
        OutputExists: `path` is there, and `overwrite` is not set.
        OSError: It cannot be written.
    """
    check_absent(path, overwrite=overwrite)
    if overwrite:
        path = path.resolve()  # what a link leads to is overwritten, as by any other program
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as file:
            for chunk in chunks:
                file.write(chunk)
                advance(len(chunk))
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        _publish(part, path, overwrite=overwrite)
    finally:
        part.unlink(missing_ok=True)
    return size


def check_absent(path: Path, *, overwrite: bool) -> None:
    """Raise `OutputExists` where `path` must not be written: a folder or a device never gives way to a file."""
    if path.exists() and not path.is_file():
        raise OutputExists(f"{path} is no regular file.")
    if not overwrite and (path.exists() or path.is_symlink()):
        raise OutputExists(f"{path} is there already.")


def _publish(part: Path, path: Path, *, overwrite: bool) -> None:
    if not overwrite:
        try:
            path.hardlink_to(part)  # unlike a rename, never replaces what someone put there meanwhile
        except FileExistsError:
            raise OutputExists(f"{path} is there already.") from None
        except OSError:  # a file system without hard links
            check_absent(path, overwrite=False)
        else:
            return
    part.replace(path)
