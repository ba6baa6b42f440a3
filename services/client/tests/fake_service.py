"""A server that speaks the service's contract, on loopback, and goes wrong where a test says so."""

import asyncio
import hashlib
import json
import re
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from services.client.tests.fake_answers import DEPARTMENTS, LATER, NOW, PREVIEW, RECIPE, REPORT, TOKEN
from services.client.tests.fake_login import FakeLogin
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

Answer = Callable[[Request], Response | Awaitable[Response]]


async def never(request: Request) -> Response:
    """No answer, for as long as somebody waits for one."""
    while not await request.is_disconnected():
        await asyncio.sleep(0.01)
    return Response()


@dataclass
class Fault:
    """Answers the next request that fits, in place of the service; `skip` of them pass first."""

    method: str
    path: str
    answer: Answer
    skip: int = 0


def problem(status: int, slug: str, detail: str, **extra: Any) -> Response:
    body = {"type": f"urn:fileproc:problem:{slug}", "title": slug, "status": status, "detail": detail, **extra}
    return Response(json.dumps(body), status, media_type="application/problem+json")


def status(code: int, **headers: str) -> Answer:
    """An answer as from a load balancer: no problem document."""
    return lambda _: PlainTextResponse("<html>", code, {name.replace("_", "-"): text for name, text in headers.items()})


def at_once(code: int) -> Answer:
    """The same, and the client need not wait before it tries again."""
    return status(code, Retry_After="0")


@dataclass
class FakeService:
    """What the service holds, and what was asked of it."""

    url: str = ""
    login: FakeLogin = field(default_factory=FakeLogin)
    files: dict[str, bytes] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    parts: dict[str, dict[int, bytes]] = field(default_factory=dict)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    wishes: list[dict[str, Any]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    # What each stream of events tells: rows done; None breaks it; "hold" waits until the job is cancelled.
    streams: list[list[int | str | None]] = field(default_factory=list)
    outcome: dict[str, Any] = field(default_factory=lambda: {"status": "succeeded"})
    part_size: int = 5 << 20
    result: bytes | None = None
    tokens: set[str] = field(default_factory=lambda: {TOKEN})
    misses: list[dict[str, Any]] = field(default_factory=list)
    reviews: list[dict[str, Any]] = field(default_factory=list)
    saved: list[dict[str, Any]] = field(default_factory=list)
    previews: list[dict[str, Any]] = field(default_factory=list)

    def fail(self, method: str, path: str, *answers: Answer, skip: int = 0) -> None:
        self.faults += [Fault(method, path, answer, skip) for answer in answers]

    def asked(self, method: str, path: str) -> list[Request]:
        return [r for r in self.requests if r.method == method and re.fullmatch(path, r.url.path)]

    def fault(self, request: Request) -> Answer | None:
        for fault in self.faults:
            if fault.method == request.method and re.fullmatch(fault.path, request.url.path):
                if fault.skip:
                    fault.skip -= 1
                    continue
                self.faults.remove(fault)
                return fault.answer
        return None

    # -- files

    def file(self, file_id: str) -> dict[str, Any]:
        size = len(self.files[file_id])
        return {
            "id": file_id, "name": self.names[file_id], "size": size, "format": "csv",
            "created_at": NOW, "expires_at": LATER,
        }  # fmt: skip

    def keep(self, name: str, content: bytes) -> Response:
        file_id = f"file-{len(self.names) + 1}"
        self.files[file_id], self.names[file_id] = content, name
        return JSONResponse(self.file(file_id), 201, {"Location": f"/api/files/{file_id}"})

    async def post_file(self, request: Request) -> Response:
        return self.keep(request.query_params["name"], await request.body())

    async def one_file(self, request: Request) -> Response:
        file_id = request.path_params["id"]
        if file_id not in self.files:
            return problem(404, "not-found", "There is no such file.")
        if request.method == "DELETE":
            del self.files[file_id]
            return Response(status_code=204)
        return JSONResponse(self.file(file_id))

    async def post_upload(self, request: Request) -> Response:
        wish = await request.json()
        upload_id = f"upload-{len(self.parts) + 1}"
        self.parts[upload_id], self.names[upload_id] = {}, wish["name"]
        count = -(-wish["size"] // self.part_size)
        parts = [
            {"number": n, "url": f"{self.url}/storage/{upload_id}/{n}?X-Amz-Signature=x"} for n in range(1, count + 1)
        ]
        return JSONResponse({"id": upload_id, "part_size": self.part_size, "parts": parts, "expires_at": LATER}, 201)

    async def put_part(self, request: Request) -> Response:
        content = await request.body()
        self.parts[request.path_params["id"]][request.path_params["number"]] = content
        return Response(headers={"ETag": f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'})

    async def complete_upload(self, request: Request) -> Response:
        upload_id = request.path_params["id"]
        parts = self.parts.pop(upload_id)
        told = {part["number"]: part["etag"] for part in (await request.json())["parts"]}
        etags = {n: f'"{hashlib.md5(c, usedforsecurity=False).hexdigest()}"' for n, c in parts.items()}
        if told != etags:
            return problem(422, "invalid-parts", "The parts are not those that arrived.")
        return self.keep(self.names[upload_id], b"".join(parts[n] for n in sorted(parts)))

    async def delete_upload(self, request: Request) -> Response:
        if self.parts.pop(request.path_params["id"], None) is None:
            return problem(404, "not-found", "There is no such upload.")
        return Response(status_code=204)

    async def list_files(self, _: Request) -> Response:
        return JSONResponse({"files": [self.file(file_id) for file_id in reversed(self.files)], "next": None})

    async def list_uploads(self, _: Request) -> Response:
        uploads = [
            {"id": upload, "name": self.names[upload], "size": 7, "created_at": NOW, "expires_at": LATER}
            for upload in reversed(self.parts)
        ]
        return JSONResponse({"uploads": uploads, "next": None})

    # -- jobs

    async def post_job(self, request: Request) -> Response:
        wish, key = await request.json(), request.headers.get("Idempotency-Key", "")
        self.wishes.append(wish)
        if key in self.keys:
            return JSONResponse(self.jobs[self.keys[key]], 202)
        file = self.file(wish["file"])
        job_id = f"job-{len(self.jobs) + 1}"
        self.keys[key] = job_id
        self.jobs[job_id] = {
            "id": job_id,
            "file": {name: file[name] for name in ("id", "name", "size", "format")},
            "status": "queued",
            "departments": wish.get("departments", ["finance"]),
            "mapping": [{"column": "vendor_id", "dataset": "finance.vendors", "columns": ["name"], "evidence": []}],
            "attempts": 1,
            "progress": self.progress(0),
            "error": None, "retryable": False, "result": None,
            "created_at": NOW, "updated_at": NOW, "finished_at": None, "expires_at": LATER,
        }  # fmt: skip
        return JSONResponse(self.jobs[job_id], 202)

    def progress(self, rows: int) -> dict[str, Any]:
        left = {"rows_per_second": 1500.0, "seconds_left": 65.0} if rows else {}
        return {"rows": rows, "total_rows": None, "bytes": rows, "total_bytes": 3000, **left}

    async def list_jobs(self, request: Request) -> Response:
        newest = list(reversed(self.jobs.values()))
        start, limit = int(request.query_params.get("cursor", 0)), int(request.query_params["limit"])
        after = start + limit
        following = str(after) if after < len(newest) else None
        return JSONResponse({"jobs": newest[start:after], "next": following})

    async def one_job(self, request: Request) -> Response:
        job = self.jobs.get(request.path_params["id"])
        if job is None:
            return problem(404, "not-found", "There is no such job.")
        if request.method == "DELETE":
            if job["status"] not in ("queued", "running"):
                return problem(409, "job-finished", "The job has finished already.")
            job |= {"status": "cancelled", "finished_at": NOW, "retryable": True}
            return JSONResponse(job, 202)
        if not self.streams and job["status"] in ("queued", "running"):
            self.finish(job)
        return JSONResponse(job)

    async def retry_job(self, request: Request) -> Response:
        job = self.jobs[request.path_params["id"]]
        if not job["retryable"]:
            return problem(409, "job-not-retryable", "The job has succeeded; there is nothing to try again.")
        job |= {"status": "queued", "error": None, "retryable": False, "attempts": job["attempts"] + 1}
        return JSONResponse(job, 202)

    def finish(self, job: dict[str, Any]) -> None:
        job |= {"finished_at": NOW, "progress": self.progress(3000), **self.outcome}
        if job["status"] == "succeeded":
            job["result"] = {"name": "invoices.enriched.csv", "size": len(self.content(job)), "found": 2, "keys": 3}

    async def events(self, request: Request) -> Response:
        job = self.jobs[request.path_params["id"]]
        script = self.streams.pop(0) if self.streams else []
        return StreamingResponse(self.tell(job, script), media_type="text/event-stream")

    async def tell(self, job: dict[str, Any], script: list[int | str | None]) -> AsyncIterator[str]:
        yield ": hello\n\n"
        for step in script:
            if step is None:
                return
            if step == "hold":
                while job["status"] != "cancelled":
                    await asyncio.sleep(0.01)
                yield f"event: done\ndata: {json.dumps(job)}\n\n"
                return
            job |= {"status": "running", "progress": self.progress(int(step))}
            yield f"event: progress\ndata: {json.dumps(job)}\n\n"
            await asyncio.sleep(0.05)
        if job["status"] in ("queued", "running"):
            self.finish(job)
        yield f"event: done\ndata: {json.dumps(job)}\n\n"

    # -- results

    def content(self, job: dict[str, Any]) -> bytes:
        return self.result or self.files[job["file"]["id"]].replace(b"\n", b",ACME\n")

    async def get_result(self, request: Request) -> Response:
        job = self.jobs[request.path_params["id"]]
        if job["status"] != "succeeded":
            return problem(409, "job-not-finished", "The job has no result yet.")
        return serve(request, self.content(job))

    async def get_report(self, request: Request) -> Response:
        form = request.query_params.get("format", "json")
        if form == "json":
            return JSONResponse(REPORT)
        return PlainTextResponse(f"Enrichment report as {form}: 2 of 3\n")

    async def get_misses(self, request: Request) -> Response:
        return JSONResponse({"misses": self.misses})

    async def post_review(self, request: Request) -> Response:
        self.reviews.append(await request.json())
        reviewed = self.jobs[request.path_params["id"]]
        job = {**reviewed, "id": f"job-{len(self.jobs) + 1}", "review_of": reviewed["id"], "status": "queued"}
        self.jobs[job["id"]] = job
        return JSONResponse(job, 202)

    async def post_preview(self, request: Request) -> Response:
        self.previews.append(await request.json())
        return JSONResponse(PREVIEW)

    async def list_recipes(self, _: Request) -> Response:
        return JSONResponse({"recipes": [RECIPE]})

    async def one_recipe(self, request: Request) -> Response:
        if request.path_params["name"] != RECIPE["name"]:
            return problem(404, "recipe-not-found", "There is no recipe that you may use.")
        if request.method == "DELETE":
            return Response(status_code=204)
        if request.method == "PUT":
            self.saved.append(await request.json())
        return JSONResponse({**RECIPE, "version": int(request.query_params.get("version", 3))})

    async def get_departments(self, _: Request) -> Response:
        return JSONResponse(DEPARTMENTS)


def serve(request: Request, content: bytes, *, cut: int | None = None, etag: str | None = None) -> Response:
    """`content`, or the range of it that was asked for; `cut` breaks the connection after so many bytes."""
    etag = etag or f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'
    start = 0
    headers = {"ETag": etag, "Content-Disposition": 'attachment; filename="invoices.enriched.csv"'}
    if (match := re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))) and request.headers.get(
        "If-Range", etag
    ) == etag:
        start = int(match[1])
        headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
    rest = content[start:]
    headers["Content-Length"] = str(len(rest))

    async def body() -> AsyncIterator[bytes]:
        yield rest[:cut]

    return StreamingResponse(body(), 206 if start else 200, headers)


class App:
    """The application in front of whichever `FakeService` the running test has."""

    def __init__(self) -> None:
        self.service = FakeService()
        routes: list[tuple[str, str, str]] = [
            ("POST", "/api/files", "post_file"),
            ("GET", "/api/files", "list_files"),
            ("GET", "/api/uploads", "list_uploads"),
            ("GET DELETE", "/api/files/{id}", "one_file"),
            ("POST", "/api/uploads", "post_upload"),
            ("PUT", "/storage/{id}/{number:int}", "put_part"),
            ("POST", "/api/uploads/{id}/complete", "complete_upload"),
            ("DELETE", "/api/uploads/{id}", "delete_upload"),
            ("POST", "/api/jobs", "post_job"),
            ("GET", "/api/jobs", "list_jobs"),
            ("GET DELETE", "/api/jobs/{id}", "one_job"),
            ("POST", "/api/jobs/{id}/retry", "retry_job"),
            ("GET", "/api/jobs/{id}/events", "events"),
            ("GET", "/api/jobs/{id}/result", "get_result"),
            ("GET", "/api/jobs/{id}/report", "get_report"),
            ("GET", "/api/jobs/{id}/misses", "get_misses"),
            ("POST", "/api/jobs/{id}/review", "post_review"),
            ("POST", "/api/preview", "post_preview"),
            ("GET", "/api/recipes", "list_recipes"),
            ("GET PUT DELETE", "/api/recipes/{name}", "one_recipe"),
            ("PUT", "/api/recipes/{name}/groups", "one_recipe"),
            ("GET", "/api/departments", "get_departments"),
        ]
        self.asgi = Starlette(
            routes=[
                *(Route(path, self.handler(name), methods=methods.split()) for methods, path, name in routes),
                Route("/{path:path}", self.log_in, methods=["GET", "POST"]),
            ]
        )

    def handler(self, name: str) -> Callable[[Request], Any]:
        async def handle(request: Request) -> Response:
            service = self.service
            service.requests.append(request)
            if answer := service.fault(request):
                await request.body()
                answered = answer(request)
                return answered if isinstance(answered, Response) else await answered
            token = request.headers.get("Authorization", "").removeprefix("Bearer ")
            if request.url.path.startswith("/api/") and token not in service.tokens:
                return problem(401, "unauthenticated", "The token has expired.")
            response: Response = await getattr(service, name)(request)
            return response

        return handle

    async def log_in(self, request: Request) -> Response:
        self.service.requests.append(request)
        if request.url.path.startswith("/api/"):
            return problem(404, "not-found", "Not Found")
        return await self.service.login.answer(request, self.service)


@contextmanager
def running(app: App) -> Iterator[str]:
    """Serve `app` on loopback, in a thread. Yields its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app.asgi, log_level="critical", timeout_graceful_shutdown=1, lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listener.close()
