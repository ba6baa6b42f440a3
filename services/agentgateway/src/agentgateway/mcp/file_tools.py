"""The file tools: what the application's REST interface does, for agents."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from mcp_types import CallToolResult, InputRequiredResult, TextContent, Tool, ToolAnnotations
from pydantic import ValidationError

from agentgateway.mcp.access import CallerAccess
from agentgateway.mcp.file_arguments import (
    Arguments,
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
    SubmitJob,
)
from agentgateway.mcp.file_calls import FileCall, Progress
from agentgateway.mcp.file_service import ApplicationError, FileService
from agentgateway.mcp.settings import McpSettings

LONGEST_TEXT = 64 * 1024

Run = Callable[[FileCall, Any], Awaitable[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class FileTool:
    """One tool: how agents see it, and what it does."""

    name: str
    title: str
    description: str
    arguments: type[Arguments]
    run: Run
    reads: bool = False
    destroys: bool = False

    def listed(self) -> dict[str, Any]:
        """The tool as `tools/list` has it."""
        tool = Tool(
            name=self.name,
            title=self.title,
            description=self.description,
            input_schema=self.arguments.model_json_schema(),
            annotations=ToolAnnotations(
                read_only_hint=self.reads,
                destructive_hint=self.destroys,
                idempotent_hint=self.reads or self.destroys,
                open_world_hint=False,
            ),
        )
        return tool.model_dump(by_alias=True, exclude_none=True, mode="json")


TOOLS = (
    FileTool(
        "files_create_upload",
        "Begin an upload",
        "Begin the upload of a file of any size. Answers the address of each part: PUT part_size bytes to each (the "
        "last one may be smaller), keep each response's ETag, then call files_complete_upload. Up to 1 MB can be "
        "given to files_submit_job directly.",
        CreateUpload,
        FileCall.create_upload,
    ),
    FileTool(
        "files_complete_upload",
        "Complete an upload",
        "Complete an upload when all its parts have been put. Answers the file, whose id files_preview and "
        "files_submit_job take.",
        CompleteUpload,
        FileCall.complete_upload,
    ),
    FileTool(
        "files_list_uploads",
        "List your uploads",
        "List your uploads that are neither complete nor aborted, the newest first.",
        Page,
        FileCall.list_uploads,
        reads=True,
    ),
    FileTool(
        "files_abort_upload",
        "Abort an upload",
        "Abort an upload that is not complete, and throw its parts away.",
        OneUpload,
        FileCall.abort_upload,
        destroys=True,
    ),
    FileTool(
        "files_list_files",
        "List your files",
        "List your files, the newest first, with their sizes and when they expire.",
        Page,
        FileCall.list_files,
        reads=True,
    ),
    FileTool(
        "files_delete_file",
        "Delete a file",
        "Delete a file, its jobs and their results.",
        OneFile,
        FileCall.delete_file,
        destroys=True,
    ),
    FileTool(
        "files_preview",
        "Preview the enrichment",
        "Show the first rows of a file as they would be enriched, how the file was read and why, which column was "
        "taken for which key and why, and what is unclear.",
        Preview,
        FileCall.preview,
    ),
    FileTool(
        "files_submit_job",
        "Enrich a file",
        "Enrich a file with the departments' data: a file that was uploaded, or up to 1 MB inline. Answers the job; "
        "follow it by files_job_status, and get the enriched file by files_job_result.",
        SubmitJob,
        FileCall.submit_job,
    ),
    FileTool(
        "files_job_status",
        "See how a job stands",
        "See how a job stands. With wait_seconds, wait for its end and report progress.",
        JobStatus,
        FileCall.job_status,
        reads=True,
    ),
    FileTool(
        "files_job_result",
        "Get the enriched file",
        "Get the enriched file of a job that succeeded: up to 1 MB as text or base64, a larger one as the address to "
        "download it from with your access token.",
        OneJob,
        FileCall.job_result,
        reads=True,
    ),
    FileTool(
        "files_job_report",
        "Read a job's report",
        "Read the report of a job: rows, matched and unmatched keys, versions of the data.",
        OneJob,
        FileCall.job_report,
        reads=True,
    ),
    FileTool(
        "files_list_jobs",
        "List your jobs",
        "List your jobs, the newest first.",
        Page,
        FileCall.list_jobs,
        reads=True,
    ),
    FileTool(
        "files_cancel_job",
        "Cancel a job",
        "Cancel a job that has not ended.",
        OneJob,
        FileCall.cancel_job,
        destroys=True,
    ),
    FileTool("files_retry_job", "Retry a job", "Run a failed or cancelled job again.", OneJob, FileCall.retry_job),
    FileTool(
        "files_list_misses",
        "List keys that were not found",
        "List the keys that a job did not find, by column: why, and which keys may have been meant.",
        JobMisses,
        FileCall.list_misses,
        reads=True,
    ),
    FileTool(
        "files_review_job",
        "Repair keys that were not found",
        "Enrich the file of a job again, with other keys in place of those that were not found: only those that the "
        "user has approved. The cells stay as they are; a column matched_key says which key was used. Answers the new "
        "job.",
        ReviewJob,
        FileCall.review_job,
    ),
    FileTool(
        "files_list_recipes",
        "List the recipes",
        "List the recipes that you may use: your own, and those that are shared with your groups. A recipe keeps "
        "choices for a file under a name; files_preview and files_submit_job use it.",
        NoArguments,
        FileCall.list_recipes,
        reads=True,
    ),
    FileTool(
        "files_show_recipe",
        "Show a recipe",
        "Show what a recipe has, its versions, and which groups it is shared with.",
        ShowRecipe,
        FileCall.show_recipe,
        reads=True,
    ),
    FileTool(
        "files_save_recipe",
        "Keep a recipe",
        "Keep choices under a name: those of a finished job, of an earlier version, or given ones. An existing recipe "
        "gets a new version.",
        SaveRecipe,
        FileCall.save_recipe,
    ),
    FileTool(
        "files_share_recipe",
        "Share a recipe",
        "Let the members of groups of yours read and use your recipe; an empty list takes it back. Only if the user "
        "has asked for it.",
        ShareRecipe,
        FileCall.share_recipe,
    ),
    FileTool(
        "files_delete_recipe",
        "Delete a recipe",
        "Delete your recipe with all its versions.",
        OneRecipe,
        FileCall.delete_recipe,
        destroys=True,
    ),
    FileTool(
        "files_list_departments",
        "List the departments",
        "List the departments that you may use, with their data sets, keys and columns.",
        NoArguments,
        FileCall.list_departments,
        reads=True,
    ),
)


class FileTools:
    """Lists the file tools, and calls them."""

    def __init__(self, service: FileService, settings: McpSettings, public_api_url: str) -> None:
        """`public_api_url` is where callers download what is too large to be answered."""
        self._service = service
        self._settings = settings
        self._public_api_url = public_api_url
        self._tools: Mapping[str, FileTool] = {tool.name: tool for tool in TOOLS}
        self.listed = [tool.listed() for tool in TOOLS]
        """The tools as `tools/list` has them, in their order of use."""

    @property
    def names(self) -> Mapping[str, FileTool]:
        """The tools by name."""
        return self._tools

    async def call(
        self, name: str, arguments: Mapping[str, Any], access: CallerAccess, progress: Progress, *, asks: bool = False
    ) -> CallToolResult | InputRequiredResult:
        """Call the tool `name`, which exists; a failure becomes the tool's error.

        Where the client `asks` its user, an unclear mapping is a question instead.
        """
        tool = self._tools[name]
        seconds = self._settings.mcp_tool_timeouts.get(name, self._settings.mcp_timeout_seconds)
        call = FileCall(self._service, access, progress, self._public_api_url)
        try:
            async with asyncio.timeout(seconds):
                given = tool.arguments.model_validate(arguments)
                try:
                    return _result(await tool.run(call, given))
                except ApplicationError as error:
                    asked = await call.question(given, error) if asks and isinstance(given, SubmitJob) else None
                    if asked is None:
                        raise
                    return asked
        except ValidationError as error:
            return _error(_in_words(error))
        except (ApplicationError, ValueError) as error:
            return _error(str(error), error.problem if isinstance(error, ApplicationError) else None)
        except TimeoutError:
            return _error(f"{name} did not finish within {seconds:g} s. Call files_list_jobs to see what took effect.")

    def schema(self, name: str) -> Mapping[str, Any] | None:
        """The input schema of a tool."""
        tool = self._tools.get(name)
        return None if tool is None else tool.arguments.model_json_schema()


def _result(document: dict[str, Any]) -> CallToolResult:
    text = orjson.dumps(document).decode()
    if len(text) > LONGEST_TEXT:
        text = f"The structured content has {', '.join(document)}."
    return CallToolResult(content=[TextContent(text=text)], structured_content=document)


def _error(message: str, problem: Mapping[str, Any] | None = None) -> CallToolResult:
    return CallToolResult(
        content=[TextContent(text=message)],
        structured_content=None if problem is None else {"problem": problem},
        is_error=True,
    )


def _in_words(error: ValidationError) -> str:
    problems = []
    for problem in error.errors(include_url=False, include_input=False):
        field = ".".join(str(part) for part in problem["loc"])
        message = problem["msg"].removeprefix("Value error, ")
        problems.append(f"field '{field}': {message}" if field else message)
    return "; ".join(problems)
