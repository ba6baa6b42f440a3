"""S3 objects of gigabytes: moto holds each whole in memory, several times; here their bytes stay in files.

Parts of an upload are joined file to file, and a download is read from the file a piece at a time. All that S3 decides
(does it exist, conditions, headers) is still moto's answer.
"""

import os
import shutil
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from tempfile import SpooledTemporaryFile
from typing import IO, Any, cast
from urllib.parse import parse_qs

from moto.s3.exceptions import EntityTooSmall, InvalidPart, MalformedXML
from moto.s3.models import FakeKey, FakeMultipart, s3_backends
from moto.settings import S3_UPLOAD_PART_MIN_SIZE
from moto.utilities.utils import md5_hash
from werkzeug.datastructures import Headers
from werkzeug.http import parse_range_header
from werkzeug.test import run_wsgi_app
from werkzeug.wrappers import Response
from werkzeug.wsgi import ClosingIterator

from local.names import ACCOUNT

PIECE = 1 << 20
LEAST = 1 << 20
"""Bytes above which an object is sent from its file; moto is quick enough with what is smaller."""

WHOLE_OBJECT_QUERY = {"x-id", "AWSAccessKeyId", "Signature", "Expires"}


class Joined:
    """What a multipart upload becomes: its parts in order, read only when they are written to their place."""

    def __init__(self, parts: list[FakeKey]) -> None:
        """Takes the parts' bytes away from them: moto closes a completed upload's parts before it keeps the object."""
        self._size = sum(part.contentsize for part in parts)
        self._files: list[IO[bytes]] = []
        for part in parts:
            self._files.append(part._value_buffer)  # noqa: SLF001 - moto offers the bytes only as one string
            part._value_buffer = SpooledTemporaryFile()  # noqa: SIM115, SLF001

    def __len__(self) -> int:
        """Bytes of all parts."""
        return self._size

    def write_to(self, target: IO[bytes]) -> None:
        """Copy each part to the end of `target`."""
        for file in self._files:
            with file:
                file.seek(0)
                shutil.copyfileobj(file, target, PIECE)


def complete(upload: FakeMultipart, body: Iterable[tuple[int, str]]) -> tuple[Joined, str, None]:
    """In place of `FakeMultipart.complete`: the same checks, without reading the parts. There is no full checksum."""
    parts: list[FakeKey] = []
    digests = b""
    for number, etag in body:
        part = upload.parts.get(number)
        if part is None or part.etag.strip('"') != etag.strip('"'):
            raise InvalidPart
        if parts and parts[-1].contentsize < S3_UPLOAD_PART_MIN_SIZE:
            raise EntityTooSmall
        parts.append(part)
        digests += bytes.fromhex(part.etag.strip('"'))
    if not parts:
        raise MalformedXML
    digest = md5_hash()
    digest.update(digests)
    return Joined(parts), f"{digest.hexdigest()}-{len(parts)}", None


def install() -> None:
    """Let moto keep what `complete` returns."""
    key_class, upload_class = cast("Any", FakeKey), cast("Any", FakeMultipart)

    def write(key: FakeKey, value: bytes | Joined) -> None:
        buffer = key._value_buffer  # noqa: SLF001 - as in moto's own setter
        buffer.seek(0)
        buffer.truncate()
        key.contentsize = len(value)
        if len(value) > LEAST:
            buffer.rollover()
        if isinstance(value, Joined):
            value.write_to(buffer)
        else:
            buffer.write(value)
        buffer.flush()

    key_class.value = key_class.value.setter(write)
    upload_class.complete = complete


def wants_whole_object(environ: dict[str, Any]) -> bool:
    """Whether a request is a plain GetObject of a path-style URL, signed by header or by query."""
    if environ["REQUEST_METHOD"] != "GET" or environ["PATH_INFO"].strip("/").count("/") < 1:
        return False
    authorization = environ.get("HTTP_AUTHORIZATION", "")
    if authorization and "/s3/aws4_request" not in authorization:
        return False
    names = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    return all(name in WHOLE_OBJECT_QUERY or name.lower().startswith("x-amz-") for name in names)


class ObjectStreams:
    """In front of moto's application: answers GetObject from the object's file, where moto put it in one."""

    def __init__(self, app: Any) -> None:
        """`app` answers all else."""
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """A WSGI application."""
        if not wants_whole_object(environ) or (file := _file(environ)) is None:
            answer: Iterable[bytes] = self._app(environ, start_response)
            return answer
        head = {name: value for name, value in environ.items() if name != "HTTP_RANGE"} | {"REQUEST_METHOD": "HEAD"}
        _, status, headers = run_wsgi_app(self._app, head)
        if not status.startswith("200"):
            os.close(file)
            refusal: Iterable[bytes] = self._app(environ, start_response)
            return refusal
        return _stream(file, environ.get("HTTP_RANGE"), headers)(environ, start_response)


def _file(environ: dict[str, Any]) -> int | None:
    bucket, _, name = environ["PATH_INFO"].lstrip("/").encode("latin-1").decode().partition("/")
    found = s3_backends[ACCOUNT]["aws"].buckets.get(bucket)
    key = found.keys.get(name) if found is not None else None
    if not isinstance(key, FakeKey) or key.contentsize <= LEAST:
        return None
    # A descriptor of our own: the object may be deleted or replaced while it is being sent.
    return os.dup(key._value_buffer.fileno())  # noqa: SLF001


def _stream(file: int, range_header: str | None, headers: Headers) -> Response:
    size = os.fstat(file).st_size
    first, end, status = 0, size, HTTPStatus.OK
    asked = parse_range_header(range_header) if range_header else None
    if asked is not None:
        span = asked.range_for_length(size)
        if span is None:
            os.close(file)
            return Response(status=HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
        (first, end), status = span, HTTPStatus.PARTIAL_CONTENT
        headers["Content-Range"] = f"bytes {first}-{end - 1}/{size}"
        for name in [name for name, _ in headers if name.lower().startswith("x-amz-checksum-")]:
            del headers[name]
    headers["Content-Length"] = str(end - first)
    return Response(ClosingIterator(_pieces(file, first, end), lambda: os.close(file)), status, headers)


def _pieces(file: int, first: int, end: int) -> Iterator[bytes]:
    while first < end and (piece := os.pread(file, min(PIECE, end - first), first)):
        first += len(piece)
        yield piece
