"""A stand-in for the application's REST interface: keeps files and jobs in memory, each its owner's."""

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from common.caller import CALLER_HEADER, Caller
from common.problem import Problem, install_problem_handlers

LARGE = 1_000_001
QUESTIONS = [{"column": "id", "candidates": ["finance.vendors", "hr.employees"], "detail": "Is it a key?"}]


class Files:
    """What callers uploaded and submitted."""

    def __init__(self) -> None:
        self.files: dict[str, tuple[str, str, bytes]] = {}
        self.jobs: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []
        self.result = b"enriched\n"
        self.step = asyncio.Event()

    def app(self) -> Starlette:
        app = Starlette(
            routes=[
                Route("/api/files", self.upload, methods=["POST"]),
                Route("/api/uploads", self.begin, methods=["POST"]),
                Route("/api/uploads/{id}/complete", self.complete, methods=["POST"]),
                Route("/api/preview", self.preview, methods=["POST"]),
                Route("/api/jobs", self.submit, methods=["POST"]),
                Route("/api/jobs", self.list, methods=["GET"]),
                Route("/api/jobs/{id}", self.job, methods=["GET", "DELETE"]),
                Route("/api/jobs/{id}/retry", self.job, methods=["POST"]),
                Route("/api/jobs/{id}/events", self.events, methods=["GET"]),
                Route("/api/jobs/{id}/result", self.download, methods=["GET"]),
                Route("/api/jobs/{id}/report", self.report, methods=["GET"]),
                Route("/api/jobs/{id}/misses", self.misses, methods=["GET"]),
                Route("/api/jobs/{id}/review", self.review, methods=["POST"]),
                Route("/api/recipes", self.recipes, methods=["GET"]),
                Route("/api/recipes/{name}", self.recipes, methods=["GET", "PUT"]),
                Route("/api/recipes/{name}", self.forget, methods=["DELETE"]),
                Route("/api/recipes/{name}/groups", self.recipes, methods=["PUT"]),
                Route("/api/departments", self.departments, methods=["GET"]),
            ]
        )
        install_problem_handlers(app)
        return app

    def owner(self, request: Request) -> str:
        assert request.headers["authorization"] == "Bearer service-token-for-application"
        self.asked.append(f"{request.method} {request.url.path}")
        return Caller.from_header(request.headers[CALLER_HEADER]).username

    def mine(self, request: Request) -> dict[str, Any]:
        owner, job = self.owner(request), self.jobs.get(request.path_params["id"])
        if job is None or job["owner"] != owner:
            raise Problem(404, "not-found", "Not found", f"There is no job '{request.path_params['id']}'.")
        return job

    async def upload(self, request: Request) -> Response:
        file = f"file-{len(self.files)}"
        self.files[file] = (self.owner(request), request.query_params["name"], await request.body())
        return JSONResponse({"id": file}, 201)

    async def begin(self, request: Request) -> Response:
        self.owner(request)
        asked = await request.json()
        part = {"number": 1, "url": "https://bucket.example/part"}
        return JSONResponse({"id": f"upload-of-{asked['size']}", "part_size": 5 << 20, "parts": [part]}, 201)

    async def complete(self, request: Request) -> Response:
        self.owner(request)
        return JSONResponse({"id": "file-x", "parts": (await request.json())["parts"]}, 201)

    async def preview(self, request: Request) -> Response:
        self.owner(request)
        found = [{"column": "vendor", "dataset": "finance.vendors"}]
        return JSONResponse({"columns": ["a"], "asked": await request.json(), "mapping": found, "questions": QUESTIONS})

    async def submit(self, request: Request) -> Response:
        owner, asked = self.owner(request), await request.json()
        if "mapping" not in asked:
            detail = "Column 'id' may mean two data sets. Say which in 'mapping'."
            raise Problem(422, "unclear-mapping", "The mapping is not clear", detail, questions=QUESTIONS)
        job = {"id": f"job-{len(self.jobs)}", "status": "queued", "owner": owner, "asked": asked}
        job["progress"] = {"rows": 0, "total_rows": 4, "bytes": 0, "total_bytes": 40}
        self.jobs[job["id"]] = job
        return JSONResponse(job, 202)

    async def list(self, request: Request) -> Response:
        owner = self.owner(request)
        jobs = [job for job in self.jobs.values() if job["owner"] == owner]
        return JSONResponse({"jobs": jobs, "next": None, "query": dict(request.query_params)})

    async def job(self, request: Request) -> Response:
        job = self.mine(request)
        if request.method == "DELETE":
            job["status"] = "cancelled"
        elif request.method == "POST":
            job["status"] = "queued"
        return JSONResponse(job)

    async def events(self, request: Request) -> Response:
        job = self.mine(request)

        async def stream() -> AsyncIterator[bytes]:
            yield b": alive\n\n"
            # The number of rows is not known at first, and the third event is of a second attempt.
            for rows, total in ((1, None), (2, None), (0, None), (2, 4), (4, 4)):
                job["progress"] = {"rows": rows, "total_rows": total, "bytes": rows * 10, "total_bytes": 40}
                yield b"event: progress\ndata: " + orjson.dumps(job) + b"\n\n"
            if job["asked"].get("columns"):
                await asyncio.sleep(60)
            job["status"] = "succeeded"
            yield b"event: done\ndata: " + orjson.dumps(job) + b"\n\n"

        return StreamingResponse(stream(), media_type="text/event-stream")

    async def download(self, request: Request) -> Response:
        self.mine(request)
        return Response(self.result, headers={"content-disposition": "attachment; filename*=utf-8''a%20%C3%BC.csv"})

    async def report(self, request: Request) -> Response:
        return JSONResponse({"job": self.mine(request)["id"], "rows": 4})

    async def misses(self, request: Request) -> Response:
        self.mine(request)
        keys = [{"key": str(number), "cause": "typo" if number % 2 else "name"} for number in range(300)]
        return JSONResponse({"misses": [{"column": "id", "dataset": "finance.vendors", "keys": keys}]})

    async def review(self, request: Request) -> Response:
        return JSONResponse({"review_of": self.mine(request)["id"], "asked": await request.json()}, 202)

    async def recipes(self, request: Request) -> Response:
        self.owner(request)
        asked = await request.json() if request.method == "PUT" else dict(request.query_params)
        return JSONResponse({"asked": asked})

    async def forget(self, request: Request) -> Response:
        self.owner(request)
        return Response(status_code=204)

    async def departments(self, request: Request) -> Response:
        self.owner(request)
        return JSONResponse({"departments": [{"name": "finance", "padding": "x" * 70_000}]})


def encoded(content: bytes) -> str:
    """Content as the tools take and give it."""
    return base64.b64encode(content).decode()
