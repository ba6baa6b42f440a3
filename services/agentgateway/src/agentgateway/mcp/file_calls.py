"""What each file tool does, as calls of the application's REST interface."""

import asyncio
import base64
from dataclasses import dataclass
from typing import Any, Protocol

from mcp_types import InputRequiredResult

from agentgateway.mcp.access import CallerAccess
from agentgateway.mcp.file_arguments import (
    MAX_INLINE_BYTES,
    CompleteUpload,
    CreateUpload,
    JobMisses,
    JobStatus,
    NoArguments,
    OneFile,
    OneJob,
    OneRecipe,
    OneUpload,
    Page,
    Preview,
    ReviewJob,
    SaveRecipe,
    ShareRecipe,
    ShowRecipe,
    Source,
    SubmitJob,
)
from agentgateway.mcp.file_questions import UNCLEAR, question
from agentgateway.mcp.file_service import FAULTY, ApplicationError, FileService, as_object
from agentgateway.mcp.sse import EventSplitter, data_of

ENDED = frozenset({"succeeded", "failed", "cancelled"})
LARGEST_EVENT_BYTES = 1_000_000


class Progress(Protocol):
    """Tells the client how far its call is."""

    async def __call__(self, progress: float, total: float | None = None, message: str | None = None) -> None:
        """Nothing is sent to a client that did not ask for it."""
        ...


@dataclass(frozen=True, slots=True)
class FileCall:
    """One call of a file tool, on behalf of one caller.

    Each method raises `ApplicationError` or `ValueError`, whose message is for the caller.
    """

    service: FileService
    access: CallerAccess
    progress: Progress
    public_api_url: str

    async def create_upload(self, arguments: CreateUpload) -> dict[str, Any]:
        """Begin a multipart upload."""
        return await self._json("POST", "/api/uploads", arguments.model_dump())

    async def complete_upload(self, arguments: CompleteUpload) -> dict[str, Any]:
        """Put the parts together."""
        parts = [part.model_dump() for part in arguments.parts]
        return await self._json("POST", f"/api/uploads/{arguments.upload}/complete", {"parts": parts})

    async def list_uploads(self, page: Page) -> dict[str, Any]:
        """The caller's uploads on their way."""
        return await self._page("/api/uploads", page)

    async def abort_upload(self, arguments: OneUpload) -> dict[str, Any]:
        """Throw an upload away."""
        return {"aborted": await self._deleted("/api/uploads", arguments.upload)}

    async def list_files(self, page: Page) -> dict[str, Any]:
        """The caller's files."""
        return await self._page("/api/files", page)

    async def delete_file(self, arguments: OneFile) -> dict[str, Any]:
        """Delete a file, its jobs and their results."""
        return {"deleted": await self._deleted("/api/files", arguments.file)}

    async def preview(self, arguments: Preview) -> dict[str, Any]:
        """Enrich the first rows."""
        return await self._with_file(arguments, "/api/preview", {"rows": arguments.rows, **arguments.choices()})

    async def submit_job(self, arguments: SubmitJob) -> dict[str, Any]:
        """Begin a job."""
        return await self._with_file(arguments, "/api/jobs", arguments.choices())

    async def question(self, arguments: SubmitJob, error: ApplicationError) -> InputRequiredResult | None:
        """What to ask the user about a mapping that is not clear; None where nothing can be asked."""
        file = error.file or arguments.file
        if file is None or (error.problem or {}).get("type") != UNCLEAR:
            return None
        document = {"file": file, "rows": 1, **arguments.choices()}
        return question(file, await self._json("POST", "/api/preview", document))

    async def job_status(self, arguments: JobStatus) -> dict[str, Any]:
        """The job, at its end or when the wait is over."""
        if arguments.wait_seconds > 0:
            try:
                async with asyncio.timeout(arguments.wait_seconds):
                    await self._end_of(arguments.job)
            except TimeoutError:
                pass  # how it stands now is the answer
        return await self._json("GET", f"/api/jobs/{arguments.job}")

    async def job_result(self, arguments: OneJob) -> dict[str, Any]:
        """The enriched file, or where it is."""
        path = f"/api/jobs/{arguments.job}/result"
        async with self.service.open(self.access, "GET", path) as response:
            disposition = response.content_disposition
            size = response.content_length
            found: dict[str, Any] = {
                "job": arguments.job,
                "name": disposition.filename if disposition is not None else None,
                "size": size,
            }
            if size is None or size > MAX_INLINE_BYTES:
                return found | {"url": f"{self.public_api_url}{path}"}
            content = await response.read()
        try:
            return found | {"text": content.decode()}
        except UnicodeDecodeError:
            return found | {"base64": base64.b64encode(content).decode()}

    async def job_report(self, arguments: OneJob) -> dict[str, Any]:
        """The report."""
        return await self._json("GET", f"/api/jobs/{arguments.job}/report")

    async def list_jobs(self, page: Page) -> dict[str, Any]:
        """The caller's jobs."""
        return await self._page("/api/jobs", page)

    async def cancel_job(self, arguments: OneJob) -> dict[str, Any]:
        """The job, cancelled."""
        return await self._json("DELETE", f"/api/jobs/{arguments.job}")

    async def retry_job(self, arguments: OneJob) -> dict[str, Any]:
        """The job, queued again."""
        return await self._json("POST", f"/api/jobs/{arguments.job}/retry")

    async def list_misses(self, arguments: JobMisses) -> dict[str, Any]:
        """The first keys of each column that were not found, and how many there are."""
        found = await self._json("GET", f"/api/jobs/{arguments.job}/misses")
        return {"misses": [_first(misses, arguments) for misses in found["misses"]]}

    async def review_job(self, arguments: ReviewJob) -> dict[str, Any]:
        """A new job, with approved keys."""
        document = {"approve": arguments.approve, "keys": arguments.keys}
        return await self._json("POST", f"/api/jobs/{arguments.job}/review", document)

    async def list_recipes(self, _: NoArguments) -> dict[str, Any]:
        """The recipes that the caller may use."""
        return await self._json("GET", "/api/recipes")

    async def show_recipe(self, arguments: ShowRecipe) -> dict[str, Any]:
        """A version of a recipe."""
        params = {} if arguments.version is None else {"version": str(arguments.version)}
        return await self.service.json(self.access, "GET", f"/api/recipes/{arguments.name}", params=params)

    async def save_recipe(self, arguments: SaveRecipe) -> dict[str, Any]:
        """The recipe, with its new version."""
        document = arguments.model_dump(exclude={"name"}, exclude_unset=True)
        return await self._json("PUT", f"/api/recipes/{arguments.name}", document)

    async def share_recipe(self, arguments: ShareRecipe) -> dict[str, Any]:
        """The recipe, shared."""
        return await self._json("PUT", f"/api/recipes/{arguments.name}/groups", {"groups": arguments.groups})

    async def delete_recipe(self, arguments: OneRecipe) -> dict[str, Any]:
        """Delete a recipe with its versions."""
        return {"deleted": await self._deleted("/api/recipes", arguments.name)}

    async def list_departments(self, _: NoArguments) -> dict[str, Any]:
        """The caller's departments."""
        return await self._json("GET", "/api/departments")

    async def _page(self, path: str, page: Page) -> dict[str, Any]:
        params = {name: str(value) for name, value in page.model_dump(exclude_none=True).items()}
        return await self.service.json(self.access, "GET", path, params=params)

    async def _deleted(self, path: str, identifier: str) -> str:
        async with self.service.open(self.access, "DELETE", f"{path}/{identifier}"):
            return identifier

    async def _json(self, method: str, path: str, document: Any = None) -> dict[str, Any]:
        return await self.service.json(self.access, method, path, document=document)

    async def _with_file(self, source: Source, path: str, document: dict[str, object]) -> dict[str, Any]:
        """Send `document` with the file that `source` names or holds."""
        if source.file is not None:
            return await self._json("POST", path, {"file": source.file, **document})
        file = await self._uploaded(source)
        try:
            return {"file_id": file, **await self._json("POST", path, {"file": file, **document})}
        except ApplicationError as error:
            raise ApplicationError(
                f"{error} (The content was kept: give file='{file}' to try again with it.)", error.problem, file
            ) from None

    async def _uploaded(self, source: Source) -> str:
        content, params = source.content(), {"name": source.name or ""}
        async with self.service.open(
            self.access, "POST", "/api/files", params=params, body=content, content_type="application/octet-stream"
        ) as response:
            file = as_object(await response.read()).get("id")
        if not isinstance(file, str):
            raise ApplicationError(FAULTY)
        return file

    async def _end_of(self, job: str) -> None:
        """Follow the job's events until it ends."""
        async with self.service.open(self.access, "GET", f"/api/jobs/{job}/events") as response:
            splitter, told = EventSplitter(), -1
            async for chunk in response.content.iter_any():
                for event in splitter.feed(chunk):
                    if not (data := data_of(event)):
                        continue
                    state = as_object(data)
                    told = await self._tell(state, told)
                    if state.get("status") in ENDED:
                        return
                if splitter.held > LARGEST_EVENT_BYTES:
                    raise ApplicationError(FAULTY)

    async def _tell(self, job: dict[str, Any], told: int) -> int:
        """Report progress beyond the `told` bytes; return the bytes that the client knows of now.

        The value must increase with each notification (MCP, Progress). So it is in bytes, whose total is known from
        the beginning, and a job that is tried again is silent until it is further than it was.
        """
        done = job.get("progress")
        if not isinstance(done, dict) or done.get("bytes", 0) <= told:
            return told
        await self.progress(done["bytes"], done.get("total_bytes"), f"{done.get('rows', 0)} rows done")
        return int(done["bytes"])


def _first(misses: dict[str, Any], arguments: JobMisses) -> dict[str, Any]:
    keys = [each for each in misses["keys"] if arguments.cause in {None, each["cause"]}]
    return misses | {"keys": keys[: arguments.limit], "total": len(keys)}
