"""Presigned multipart uploads: for large files, whose bytes go to S3 without passing through here."""

from __future__ import annotations

import math
import time
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from application.api import problems
from application.api.authentication import CallerDep
from application.api.context import Context, ContextDep
from application.api.cursors import cursor_of, place_of
from application.api.documents import file_document, upload_document
from application.api.files import HEAD_BYTES, new_file
from application.api.openapi import answers
from application.api.schemas import BegunUpload, FileDocument, UploadPage
from application.engine import InputError, detect_format
from application.errors import Conflict, InvalidParts, ObjectGone, UploadGone
from application.names import checked_name
from application.objects import MEBIBYTE, upload_object
from application.records import File, Upload, iso, new_id
from application.source import ObjectSource
from application.usage import UPLOADS, StorageFull, TooManyUploads
from common.problem import Problem

log = structlog.get_logger()
router = APIRouter(prefix="/api/uploads")

_LEAST_PART = 16 * MEBIBYTE
_MOST_PARTS = 500
"""As many URLs as one answer holds; S3 would take 10,000 parts."""


class NewUpload(BaseModel):
    """What is to be uploaded."""

    model_config = ConfigDict(extra="forbid")

    name: str
    size: int = Field(strict=True, ge=1, description="Bytes in all.")


class Part(BaseModel):
    """A part that was uploaded, with the ETag that S3 answered."""

    model_config = ConfigDict(extra="forbid")

    number: int = Field(strict=True, ge=1, le=10_000)
    etag: str = Field(min_length=1, max_length=100, pattern=r"^[\x21-\x7e]+$")


class Completion(BaseModel):
    """All the parts."""

    model_config = ConfigDict(extra="forbid")

    parts: list[Part] = Field(min_length=1, max_length=10_000)


@router.post("", status_code=201, responses=answers(201, BegunUpload, "The upload."))
async def begin(wanted: NewUpload, caller: CallerDep, context: ContextDep) -> Response:
    """Begin an upload: each part is to be PUT to its URL."""
    name = checked_name(wanted.name)
    most = context.settings.max_file_bytes
    if wanted.size > most:
        raise Problem(
            413,
            "too-large",
            "This is too large",
            f"At most {most} bytes are taken.",
            field="size",
            expected=f"at most {most}",
        )
    return JSONResponse(await context.call(_begin, context, caller.subject, name, wanted.size), 201)


def _begin(context: Context, owner: str, name: str, size: int) -> dict[str, Any]:
    upload = new_id()
    key = upload_object(upload)
    seconds = context.settings.upload_url_seconds
    now = time.time()
    expires_at = int(now) + seconds
    context.usage.check(owner, uploads=1, size=size)
    begun = Upload(
        id=upload,
        owner=owner,
        name=name,
        size=size,
        upload_id=context.objects.start(key),
        created_at=iso(now),
        expires_at=expires_at,
    )
    try:
        context.files.add_upload(begun, context.usage)
    except (StorageFull, TooManyUploads):
        context.objects.abort(key, begun.upload_id)
        raise
    part_size = max(_LEAST_PART, math.ceil(size / _MOST_PARTS / MEBIBYTE) * MEBIBYTE)
    parts = [
        {
            "number": number,
            "url": context.objects.presign_part(key, begun.upload_id, number, min(part_size, size - start), seconds),
        }
        for number, start in enumerate(range(0, size, part_size), 1)
    ]
    return {"id": upload, "part_size": part_size, "parts": parts, "expires_at": iso(expires_at)}


@router.get("", responses=answers(200, UploadPage, "A page of uploads."))
async def show_all(
    caller: CallerDep,
    context: ContextDep,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    cursor: str | None = None,
) -> dict[str, Any]:
    """The caller's own uploads that are neither complete nor aborted, newest first."""
    place = place_of(cursor, UPLOADS)
    uploads, last = await context.call(context.files.uploads_of_owner, caller.subject, limit, place)
    return {"uploads": [upload_document(upload) for upload in uploads], "next": cursor_of(last)}


@router.post("/{upload}/complete", status_code=201, responses=answers(201, FileDocument, "The file."))
async def complete(upload: str, completion: Completion, caller: CallerDep, context: ContextDep) -> Response:
    """Make the parts a file. A completion that is refused ends the upload, and leaves nothing of it."""
    parts = [(part.number, part.etag) for part in completion.parts]
    file = await context.call(_complete, context, upload, caller.subject, parts)
    return JSONResponse(file_document(file), 201, {"location": f"/api/files/{file.id}"})


def _complete(context: Context, upload: str, owner: str, parts: list[tuple[int, str]]) -> File:
    begun = context.files.get_upload(upload, owner)
    if begun is None:
        # A repeated completion, whose first answer was lost, finds what it made.
        done = context.files.get(upload, owner)
        if done is None:
            raise problems.no_such("upload")
        return done
    # Where there is no room the upload stays: its owner can make room, and complete it then.
    context.usage.check(owner, size=begun.size)
    try:
        return _file_of_parts(context, begun, sorted(parts))
    except (Problem, InputError, StorageFull):
        _discard(context, begun)
        raise


def _file_of_parts(context: Context, begun: Upload, parts: list[tuple[int, str]]) -> File:
    key = upload_object(begun.id)
    try:
        context.objects.complete(key, begun.upload_id, parts)
    except UploadGone:
        # An earlier completion may have got this far and no further; the object tells.
        log.info("upload.completed_before", upload=begun.id)
    except InvalidParts as error:
        detail = "A part is missing, is under 5 MiB and not the last, or was answered with another ETag."
        raise Problem(
            422, "invalid-parts", "The parts are not those that were uploaded", detail, field="parts"
        ) from error
    try:
        size = context.objects.head(key)
    except ObjectGone as error:
        raise problems.no_such("upload") from error
    if size != begun.size:
        detail = f"{size} bytes were uploaded, but {begun.size} were announced."
        raise Problem(422, "wrong-size", "The upload has another size", detail, expected=f"{begun.size} bytes")
    source = ObjectSource(context.objects, key, size, tries=3)
    try:
        file_format = detect_format(begun.name, source.read(HEAD_BYTES))
    finally:
        source.close()
    file = new_file(begun.id, begun.owner, begun.name, size, file_format, context.settings)
    try:
        context.files.finish_upload(begun, file, context.usage)
    except Conflict as error:
        done = context.files.get(begun.id, begun.owner)
        if done is None:
            context.objects.delete(key)
            raise problems.no_such("upload") from error
        return done
    log.info("file.uploaded", file=file.id, owner=file.owner, size=file.size, format=file.format.value)
    return file


def _discard(context: Context, begun: Upload) -> None:
    """Throw away what was uploaded, unless it has become a file meanwhile."""
    try:
        context.files.remove_upload(begun)
    except Conflict:
        return
    key = upload_object(begun.id)
    context.objects.abort(key, begun.upload_id)
    context.objects.delete(key)


@router.delete("/{upload}", status_code=204)
async def abort(upload: str, caller: CallerDep, context: ContextDep) -> None:
    """Give an upload up, and throw away its parts."""
    begun = await context.call(context.files.get_upload, upload, caller.subject)
    if begun is None:
        raise problems.no_such("upload")
    await context.call(_discard, context, begun)
