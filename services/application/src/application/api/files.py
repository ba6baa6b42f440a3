"""Files: taken in as a stream, described, deleted."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Annotated, Any

import structlog
from anyio import CancelScope
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from application import metrics
from application.api import problems
from application.api.authentication import CallerDep
from application.api.body import Body, paced
from application.api.context import Context, ContextDep
from application.api.cursors import cursor_of, place_of
from application.api.documents import file_document
from application.api.form import FormFile
from application.api.openapi import ONE_FILE, answers
from application.api.schemas import FileDocument, FilePage
from application.engine import Format, InputError, detect_format
from application.errors import TooLarge, TooSlow
from application.file_store import FileInUse
from application.names import checked_name
from application.objects import MEBIBYTE, upload_object
from application.records import File, iso, new_id
from application.settings import ApiSettings
from application.sink import ObjectSink
from application.usage import FILES, StorageFull
from common.problem import Problem

log = structlog.get_logger()
router = APIRouter(prefix="/api/files")

HEAD_BYTES = 65536


@router.post("", status_code=201, responses=answers(201, FileDocument, "The file."), openapi_extra=ONE_FILE)
async def take_in(request: Request, caller: CallerDep, context: ContextDep) -> Response:
    """Take a file in: the body itself with its `name` in the query, or a form with one part, `file`."""
    settings = context.settings
    announced = request.headers.get("content-length", "")
    body = Body(request.receive)
    try:
        if announced.isdigit() and int(announced) > settings.max_file_bytes + HEAD_BYTES:
            raise TooLarge
        await context.call(context.usage.check, caller.subject, size=int(announced) if announced.isdigit() else 0)
        file = await _received(request, body, caller.subject, context)
    except (Problem, InputError, StorageFull, TooLarge, TooSlow) as error:
        raise await _refusal(error, body, settings.max_file_bytes) from error
    log.info("file.taken_in", file=file.id, owner=file.owner, size=file.size, format=file.format.value)
    return JSONResponse(file_document(file), 201, {"location": f"/api/files/{file.id}"})


async def _refusal(error: Exception, body: Body, limit: int) -> Problem:
    """The problem to answer with, once the client is ready to hear it."""
    match error:
        case TooLarge():
            problem = problems.too_large(limit)
        case TooSlow():
            return problems.too_slow()
        case StorageFull():
            problem = problems.storage_full(error)
        case InputError():
            problem = problems.of_input(error)
        case Problem():
            problem = error
        case _:
            raise AssertionError(error)
    return await body.refused(problem)


async def _received(request: Request, body: Body, owner: str, context: Context) -> File:
    settings = context.settings
    given = request.query_params.get("name")
    content_type = request.headers.get("content-type", "")
    form = FormFile(content_type) if content_type.lower().startswith("multipart/form-data") else None
    # A name in the query is checked before anything is read; a form's own is known once its file begins.
    named = checked_name(given or "") if given is not None or form is None else None

    def name_of() -> str:
        return named if named is not None else checked_name((form and form.name) or "")

    async with aclosing(aiter(body)) as stream:
        chunks = paced(stream, settings.upload_window_seconds, settings.upload_window_bytes, settings.max_file_bytes)
        content = chunks if form is None else form.content(chunks)
        return await _kept(content, name_of, owner, context)


async def _kept(content: AsyncIterator[bytes], name_of: Callable[[], str], owner: str, context: Context) -> File:
    """Write what comes to S3 as it comes, then keep the file; nothing is left of one that does not come in whole."""
    file = new_id()
    key = upload_object(file)
    sink = ObjectSink(context.objects, key)
    try:
        head = bytearray()
        async for chunk in content:
            head += chunk
            if len(head) >= HEAD_BYTES:
                break
        name = name_of()
        file_format = detect_format(name, bytes(head[:HEAD_BYTES]))
        await _write(content, head, sink, context)
        await context.call(sink.complete)
        kept = new_file(file, owner, name, sink.size, file_format, context.settings)
        await context.call(context.files.add, kept, context.usage)
    except BaseException:
        with CancelScope(shield=True):
            await context.call(_undo, context, sink, key)
        raise
    metrics.UPLOADED_BYTES.inc(sink.size)
    return kept


async def _write(content: AsyncIterator[bytes], pending: bytearray, sink: ObjectSink, context: Context) -> None:
    async for chunk in content:
        pending += chunk
        if len(pending) >= MEBIBYTE:
            await context.call(sink.write, pending)
            pending = bytearray()
    await context.call(sink.write, pending)


def _undo(context: Context, sink: ObjectSink, key: str) -> None:
    sink.abort()
    context.objects.delete(key)


def new_file(file: str, owner: str, name: str, size: int, file_format: Format, settings: ApiSettings) -> File:
    """A file that has just come in whole."""
    now = time.time()
    expires_at = int(now + settings.retention_days * 86400)
    return File(
        id=file, owner=owner, name=name, size=size, format=file_format, created_at=iso(now), expires_at=expires_at
    )


@router.get("", responses=answers(200, FilePage, "A page of files."))
async def show_all(
    caller: CallerDep,
    context: ContextDep,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    cursor: str | None = None,
) -> dict[str, Any]:
    """The caller's own files, newest first."""
    files, last = await context.call(context.files.of_owner, caller.subject, limit, place_of(cursor, FILES))
    return {"files": [file_document(file) for file in files], "next": cursor_of(last)}


@router.get("/{file}", responses=answers(200, FileDocument, "The file."))
async def show(file: str, caller: CallerDep, context: ContextDep) -> dict[str, Any]:
    """Describe a file."""
    return file_document(await context.file(file, caller))


@router.delete("/{file}", status_code=204)
async def delete(file: str, caller: CallerDep, context: ContextDep) -> None:
    """Delete a file, its jobs and their results."""
    if not await context.call(_delete, context, file, caller.subject):
        raise problems.no_such("file")
    log.info("file.deleted", file=file, owner=caller.subject)


def _delete(context: Context, file: str, owner: str) -> bool:
    try:
        begun = context.files.begin_delete(file, owner)
    except FileInUse as error:
        detail = "A job runs on this file. Cancel it, or wait for it, then delete the file."
        raise Problem(409, "file-in-use", "The file is in use", detail) from error
    if begun is None:
        return False
    found, jobs = begun
    for job in jobs:
        context.objects.clean_results(job.id, job.fence + 1)
    context.objects.delete(upload_object(found.id))
    context.files.finish_delete(found, jobs)
    return True
