"""Files: taken in as a stream, described, deleted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Annotated, Any

from anyio import CancelScope
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from application.aws.objects import MEBIBYTE
from application.aws.sink import ObjectSink
from application.engine import InputError, detect_format
from application.errors import TooLarge, TooSlow
from application.files.names import checked_name
from application.files.service import FileService
from application.files.uploads import HEAD_BYTES
from application.http import problems
from application.http.authentication import CallerDep
from application.http.body import Body, paced
from application.http.cursors import cursor_of, place_of
from application.http.dependencies import FilesDep, SettingsDep, TurnsDep
from application.http.form import FormFile
from application.http.openapi import ONE_FILE, answers
from application.http.representations import file_document
from application.http.schemas import FileDocument, FilePage
from application.http.turns import CallerTurns
from application.records import File
from application.settings import ApiSettings
from application.usage import FILES, StorageFull
from common.problem import Problem

router = APIRouter(prefix="/api/files")


@router.post("", status_code=201, responses=answers(201, FileDocument, "The file."), openapi_extra=ONE_FILE)
async def take_in(
    request: Request, caller: CallerDep, settings: SettingsDep, turns: TurnsDep, files: FilesDep
) -> Response:
    """Take a file in: the body itself with its `name` in the query, or a form with one part, `file`."""
    announced = request.headers.get("content-length", "")
    body = Body(request.receive)
    try:
        if announced.isdigit() and int(announced) > settings.max_file_bytes + HEAD_BYTES:
            raise TooLarge
        await turns.call(files.check_room, caller.subject, int(announced) if announced.isdigit() else 0)
        file = await _received(request, body, caller.subject, settings, turns, files)
    except (Problem, InputError, StorageFull, TooLarge, TooSlow) as error:
        raise await _refusal(error, body, settings.max_file_bytes) from error
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


async def _received(
    request: Request, body: Body, owner: str, settings: ApiSettings, turns: CallerTurns, files: FileService
) -> File:
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
        return await _kept(content, name_of, owner, turns, files)


async def _kept(
    content: AsyncIterator[bytes], name_of: Callable[[], str], owner: str, turns: CallerTurns, files: FileService
) -> File:
    """Write what comes to S3 as it comes, then keep the file; nothing is left of one that does not come in whole."""
    incoming = files.receive()
    try:
        head = bytearray()
        async for chunk in content:
            head += chunk
            if len(head) >= HEAD_BYTES:
                break
        name = name_of()
        file_format = detect_format(name, bytes(head[:HEAD_BYTES]))
        await _write(content, head, incoming.sink, turns)
        return await turns.call(files.keep, incoming, owner, name, file_format)
    except BaseException:
        with CancelScope(shield=True):
            await turns.call(files.discard, incoming)
        raise


async def _write(content: AsyncIterator[bytes], pending: bytearray, sink: ObjectSink, turns: CallerTurns) -> None:
    async for chunk in content:
        pending += chunk
        if len(pending) >= MEBIBYTE:
            await turns.call(sink.write, pending)
            pending = bytearray()
    await turns.call(sink.write, pending)


@router.get("", responses=answers(200, FilePage, "A page of files."))
async def show_all(
    caller: CallerDep,
    turns: TurnsDep,
    files: FilesDep,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    cursor: str | None = None,
) -> dict[str, Any]:
    """The caller's own files, newest first."""
    found, last = await turns.call(files.page, caller.subject, limit, place_of(cursor, FILES))
    return {"files": [file_document(file) for file in found], "next": cursor_of(last)}


@router.get("/{file}", responses=answers(200, FileDocument, "The file."))
async def show(file: str, caller: CallerDep, turns: TurnsDep, files: FilesDep) -> dict[str, Any]:
    """Describe a file."""
    return file_document(await turns.call(files.find, file, caller.subject))


@router.delete("/{file}", status_code=204)
async def delete(file: str, caller: CallerDep, turns: TurnsDep, files: FilesDep) -> None:
    """Delete a file, its jobs and their results."""
    await turns.call(files.delete, file, caller.subject)
