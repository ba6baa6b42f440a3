"""Files that are attached in the Playground: they go on to the service as a stream, and Langflow gets a name."""

import re
import uuid
from collections.abc import AsyncIterator
from pathlib import PurePath
from typing import Final

import httpx
from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import JSONResponse
from langflow.api.utils import CurrentActiveUser, DbSession
from langflow.services.database.models.flow.model import Flow

from frontend import context

router = APIRouter(prefix="/fileproc", include_in_schema=False)

NAME: Final = re.compile(r"(?P<stem>.+)__(?P<file>[0-9a-f]{32})(?P<extension>\.[A-Za-z0-9]+)")
TIMEOUT = httpx.Timeout(30, read=300)


def reference(flow: uuid.UUID, file_id: str, name: str) -> str:
    """What Langflow keeps in the place of a path: it names the file of the service."""
    path = PurePath(re.sub(r"[^A-Za-z0-9._ -]", "_", name))
    return f"{flow}/{path.stem}__{file_id}{path.suffix}"


def file_of(path: str) -> tuple[str, str] | None:
    """The file's identifier and name, of a reference; None for a path of Langflow's own."""
    match = NAME.fullmatch(PurePath(path).name)
    return (match["file"], match["stem"] + match["extension"]) if match else None


@router.post("/attachments/{flow_id}", status_code=201)
async def attach(flow_id: uuid.UUID, request: Request, user: CurrentActiveUser, session: DbSession) -> JSONResponse:
    """Hand the form on as it comes, piece by piece; the service takes the same form."""
    flow = await session.get(Flow, flow_id)
    if flow is None or flow.user_id != user.id:
        raise HTTPException(404, "Flow not found")
    # The connection to the database would be held until the last byte, however long that takes.
    await session.close()
    passed = {name: value for name in ("content-type", "content-length") if (value := request.headers.get(name))}
    headers = {**passed, "authorization": f"Bearer {context.token()}"}
    async with httpx.AsyncClient(base_url=context.settings().gateway_url, timeout=TIMEOUT, trust_env=False) as http:
        try:
            answer = await http.post("/api/files", content=_body(request), headers=headers)
        except httpx.TransportError:
            return JSONResponse({"detail": "The service does not answer. Try again in a few minutes."}, 503)
    document = answer.json()
    if not answer.is_success:
        return JSONResponse({"detail": str(document.get("detail") or document.get("title"))}, answer.status_code)
    path = reference(flow_id, document["id"], document["name"])
    return JSONResponse({"flowId": str(flow_id), "file_path": path}, 201)


async def _body(request: Request) -> AsyncIterator[bytes]:
    async for piece in request.stream():
        yield piece
