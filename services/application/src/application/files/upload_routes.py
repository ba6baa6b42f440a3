"""Presigned multipart uploads: for large files, whose bytes go to S3 without passing through here."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from application.files.names import checked_name
from application.http.authentication import CallerDep
from application.http.cursors import cursor_of, place_of
from application.http.dependencies import TurnsDep, UploadsDep
from application.http.openapi import answers
from application.http.representations import begun_upload, file_document, upload_document
from application.http.schemas import BegunUpload, FileDocument, UploadPage
from application.usage import UPLOADS

router = APIRouter(prefix="/api/uploads")


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
async def begin(wanted: NewUpload, caller: CallerDep, turns: TurnsDep, uploads: UploadsDep) -> Response:
    """Begin an upload: each part is to be PUT to its URL."""
    begun = await turns.call(uploads.begin, caller.subject, checked_name(wanted.name), wanted.size)
    return JSONResponse(begun_upload(begun), 201)


@router.get("", responses=answers(200, UploadPage, "A page of uploads."))
async def show_all(
    caller: CallerDep,
    turns: TurnsDep,
    uploads: UploadsDep,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    cursor: str | None = None,
) -> dict[str, Any]:
    """The caller's own uploads that are neither complete nor aborted, newest first."""
    found, last = await turns.call(uploads.page, caller.subject, limit, place_of(cursor, UPLOADS))
    return {"uploads": [upload_document(upload) for upload in found], "next": cursor_of(last)}


@router.post("/{upload}/complete", status_code=201, responses=answers(201, FileDocument, "The file."))
async def complete(
    upload: str, completion: Completion, caller: CallerDep, turns: TurnsDep, uploads: UploadsDep
) -> Response:
    """Make the parts a file. A completion that is refused ends the upload, and leaves nothing of it."""
    parts = [(part.number, part.etag) for part in completion.parts]
    file = await turns.call(uploads.complete, upload, caller.subject, parts)
    return JSONResponse(file_document(file), 201, {"location": f"/api/files/{file.id}"})


@router.delete("/{upload}", status_code=204)
async def abort(upload: str, caller: CallerDep, turns: TurnsDep, uploads: UploadsDep) -> None:
    """Give an upload up, and throw away its parts."""
    await turns.call(uploads.abort, upload, caller.subject)
