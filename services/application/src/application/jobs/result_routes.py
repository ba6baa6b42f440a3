"""Results and reports: given to the owner who may see all that is in them now."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from functools import partial
from typing import Literal

import structlog
from anyio import CancelScope
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse

from application import metrics
from application.aws.objects import MEBIBYTE
from application.aws.source import ObjectSource
from application.engine import Format, Report, render_html, render_text
from application.errors import ObjectGone
from application.files.names import content_disposition, is_packed, result_name
from application.http import problems
from application.http.authentication import CallerDep
from application.http.conditions import is_known, require_match
from application.http.dependencies import JobsDep, TurnsDep
from application.http.openapi import Responses, answers, content
from application.http.schemas import MissesDocument
from application.http.turns import CallerTurns
from application.records import Job, JobResult
from common.accept import media_ranges
from common.problem import Problem

log = structlog.get_logger()
router = APIRouter(prefix="/api/jobs")

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
_MEDIA_TYPES = {
    Format.CSV: "text/csv",
    Format.TSV: "text/tab-separated-values",
    Format.JSON: "application/json",
    Format.JSON_LINES: "application/jsonl",
    Format.PARQUET: "application/vnd.apache.parquet",
    Format.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    Format.TEXT: "text/plain",
    Format.MARKDOWN: "text/markdown",
    Format.PDF: "application/pdf",
    Format.DOCX: "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
}
_GZIP = "application/gzip"
_DOWNLOAD = {
    **content(200, "The enriched file.", *_MEDIA_TYPES.values(), _GZIP),
    **content(206, "The range of it that was asked for.", *_MEDIA_TYPES.values(), _GZIP),
    304: {"description": "The client has it already."},
}
_REPORT: Responses = {
    200: {**content(200, "The report.", "text/plain", "text/html")[200], "model": Report},
}
_HTML_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"


@router.head("/{job}/result", include_in_schema=False)
@router.get("/{job}/result", responses=_DOWNLOAD)
async def download(job: str, request: Request, caller: CallerDep, turns: TurnsDep, jobs: JobsDep) -> Response:
    """The enriched file. One range of bytes may be asked for."""
    found, result = await turns.call(jobs.finished, job, caller)
    headers = {
        "accept-ranges": "bytes",
        "cache-control": "private, no-store",
        "content-disposition": content_disposition(result_name(found.file_name)),
        "etag": result.etag,
        "x-content-type-options": "nosniff",
    }
    require_match(request.headers.get("if-match"), result.etag)
    if is_known(request.headers.get("if-none-match"), result.etag):
        return Response(status_code=304, headers=headers)
    start, end, status = 0, result.size, 200
    if request.headers.get("if-range", result.etag) == result.etag:
        start, end, status = _asked_range(request.headers.get("range", ""), result.size)
    if status == 206:
        headers["content-range"] = f"bytes {start}-{end - 1}/{result.size}"
    headers["content-length"] = str(end - start)
    # As a header: Starlette would add "charset=utf-8" to a media type of text.
    headers["content-type"] = _media_type(found, result)
    if request.method == "HEAD":
        return Response(None, status, headers)
    source = jobs.result(found, result, end)
    source.seek(start)
    # The first bytes are read before anything is promised: what fails now is still told as a problem.
    try:
        first = await turns.call(source.read, MEBIBYTE)
    except ObjectGone as error:
        raise problems.result_gone() from error
    return StreamingResponse(_content(first, source, turns), status, headers)


def _media_type(job: Job, result: JobResult) -> str:
    """The result's type, with the character set that the file came in: it is kept."""
    if is_packed(job.file_name):
        return _GZIP
    name = _MEDIA_TYPES[job.file_format]
    return f"{name}; charset={result.charset}" if name.startswith("text/") and result.charset else name


async def _content(first: bytes, source: ObjectSource, turns: CallerTurns) -> AsyncIterator[bytes]:
    try:
        async with aclosing(read_ahead(first, partial(turns.call, source.read, MEBIBYTE))) as chunks:
            async for chunk in chunks:
                yield chunk
                metrics.DOWNLOADED_BYTES.inc(len(chunk))
    finally:
        source.close()


async def read_ahead(chunk: bytes, read: Callable[[], Awaitable[bytes]]) -> AsyncGenerator[bytes, None]:
    """``chunk`` and what ``read`` gives until it is empty; one is read while one is sent, so neither waits for both."""
    reading: asyncio.Future[bytes] | None = None
    try:
        while chunk:
            reading = asyncio.ensure_future(read())
            yield chunk
            chunk = await reading
    finally:
        if reading is not None:
            # A client that is gone leaves a read under way, which must end before what it reads from is closed.
            with CancelScope(shield=True):
                await asyncio.wait((reading,))


def _asked_range(header: str, size: int) -> tuple[int, int, int]:
    """First byte, byte after the last, and status; the whole file where it is not one range (RFC 9110, 14.2)."""
    match = _RANGE.fullmatch(header.strip())
    if match is None or (not match[1] and not match[2]):
        return 0, size, 200
    if match[1]:
        start, end = int(match[1]), min(size, int(match[2]) + 1 if match[2] else size)
        if match[2] and int(match[2]) < start:
            return 0, size, 200
    else:
        start, end = max(0, size - int(match[2])), size
    if start >= size or start >= end:
        headers = {"content-range": f"bytes */{size}"}
        raise Problem(416, "range-not-satisfiable", "There is no such range", f"The file has {size} bytes.", headers)
    return start, end, 206


@router.get("/{job}/report", responses=_REPORT)
async def report(
    job: str,
    request: Request,
    caller: CallerDep,
    turns: TurnsDep,
    jobs: JobsDep,
    format: Literal["json", "text", "html"] | None = None,  # noqa: A002 - the parameter's public name
) -> Response:
    """What the job did: rows, matches, unmatched keys, versions of the data; as JSON, text or HTML."""
    found, _ = await turns.call(jobs.finished, job, caller)
    kept = await turns.call(jobs.report, found)
    if kept is None:
        raise problems.no_such("report")
    match format or _preferred(request.headers.get("accept", "")):
        case "text":
            return PlainTextResponse(render_text(kept, found.file_name))
        case "html":
            return HTMLResponse(render_html(kept, found.file_name), headers={"content-security-policy": _HTML_POLICY})
        case _:
            return Response(kept.model_dump_json(), media_type="application/json")


@router.get("/{job}/misses", responses=answers(200, MissesDocument, "The keys."))
async def misses(job: str, caller: CallerDep, turns: TurnsDep, jobs: JobsDep) -> Response:
    """The keys that were not found, up to 10,000 of a column: why, and which ones may have been meant."""
    found, _ = await turns.call(jobs.finished, job, caller)
    document = MissesDocument(misses=list(await turns.call(jobs.misses, found)))
    return Response(document.model_dump_json(), media_type="application/json")


def _preferred(accept: str) -> str:
    """The type of ours that the client wants most; of equals, the one that it lists first, and JSON in any case."""
    ranges = media_ranges(accept)
    names = {"text/html": "html", "text/plain": "text", "application/json": "json"}
    listed = sorted((media_type for media_type in ranges if media_type in names), key=lambda each: -ranges[each])
    return next((names[media_type] for media_type in listed if ranges[media_type] > 0), "json")
