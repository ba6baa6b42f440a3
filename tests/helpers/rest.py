"""The REST interface as a program uses it, by plain HTTP."""

import asyncio
import io
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import aiohttp

JOB_SECONDS = 60
SELDOM = 0.5
FINISHED = {"succeeded", "failed", "cancelled"}


@dataclass(frozen=True)
class Answer:
    """An answer as it came, all of it."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def slug(self) -> str:
        """The kind of problem."""
        return str(self.json["type"]).removeprefix("urn:fileproc:problem:")


class Refused(AssertionError):
    """The service answered a problem where the test expects none."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"{answer.status} {answer.body[:2000]!r}")
        self.answer = answer


@dataclass
class Rest:
    """One caller at one address."""

    session: aiohttp.ClientSession
    url: str
    headers: Mapping[str, str]

    async def call(
        self, method: str, path: str, *, data: Any = None, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Any request; `body` goes as JSON, `data` as it is."""
        async with self.session.request(
            method,
            f"{self.url}{path}",
            json=body,
            # As a stream: aiohttp warns of large bodies that are not one.
            data=io.BytesIO(data) if isinstance(data, bytes) else data,
            headers={**self.headers, **(headers or {})},
            allow_redirects=False,
        ) as response:
            return Answer(response.status, response.headers.copy(), await response.read())

    async def good(self, method: str, path: str, **options: Any) -> Answer:
        """A request that must succeed."""
        answer = await self.call(method, path, **options)
        if answer.status >= 400:
            raise Refused(answer)
        return answer

    async def upload(self, name: str, data: Any) -> str:
        """A file's identifier."""
        answer = await self.good("POST", f"/api/files?name={quote(name, safe='')}", data=data)
        return str(answer.json["id"])

    async def submit(self, file: str, **choices: Any) -> str:
        """A job's identifier."""
        answer = await self.good("POST", "/api/jobs", body={"file": file, **choices})
        return str(answer.json["id"])

    async def job(self, job: str) -> dict[str, Any]:
        """A job as it is now."""
        return dict((await self.good("GET", f"/api/jobs/{job}")).json)

    async def finished(self, job: str, seconds: float = JOB_SECONDS, *, every: float = 0.05) -> dict[str, Any]:
        """A job when it has ended, in whatever way.

        Looks at it after `every` so many seconds, then less and less often: each look takes time of four processes, and
        the job runs on the same processors.
        """
        deadline = time.monotonic() + seconds
        while (state := await self.job(job))["status"] not in FINISHED:
            assert time.monotonic() < deadline, f"job not finished in {seconds:g} s: {state}"
            await asyncio.sleep(every)
            every = max(every, min(1.5 * every, SELDOM))
        return state

    async def enrich(self, name: str, data: Any, **choices: Any) -> tuple[dict[str, Any], bytes]:
        """The main job: upload, submit, wait, result; all of it must succeed."""
        job = await self.finished(await self.submit(await self.upload(name, data), **choices))
        assert job["status"] == "succeeded", job
        return job, (await self.good("GET", f"/api/jobs/{job['id']}/result")).body


@asynccontextmanager
async def http_session() -> AsyncIterator[aiohttp.ClientSession]:
    """A pool of connections; closed without a sound."""
    timeout = aiohttp.ClientTimeout(total=120)
    async with aiohttp.ClientSession(timeout=timeout, auto_decompress=True) as session:
        yield session


def bearer(token: str) -> dict[str, str]:
    """The header of a caller with an access token."""
    return {"Authorization": f"Bearer {token}"}
