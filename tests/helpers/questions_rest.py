"""Every question that a caller can ask about files: previews, jobs, what belongs to others."""

import json
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from typing import Any

from tests.helpers.data import DataSet
from tests.helpers.files import DOCUMENTS
from tests.helpers.matrix import Probe, World, as_id
from tests.helpers.rest import Answer, Rest

JOB_PATHS = (
    ("GET", "/api/jobs/{}"),
    ("GET", "/api/jobs/{}/events"),
    ("GET", "/api/jobs/{}/result"),
    ("GET", "/api/jobs/{}/report"),
    ("GET", "/api/jobs/{}/report?format=html"),
    ("GET", "/api/jobs/{}/report?format=text"),
    ("POST", "/api/jobs/{}/retry"),
    ("DELETE", "/api/jobs/{}"),
)
JOB_TOOLS = ("job_status", "job_result", "job_report", "cancel_job", "retry_job")


def file_questions(world: World, user: str, files: Mapping[str, str]) -> Iterator[Probe]:
    """Previews by each format and column, jobs by each data set; `files` are this user's, by format.

    A column that its user may see, or whose department is not theirs, is asked for by itself with the CSV alone: with
    the other formats all columns of the data set are asked for at once, and each cell is looked at.
    """
    rest, browser, csv = world.rest(user), world.browser(user), files["csv"]
    yield Probe("REST departments", user, "", True, lambda _: rest.call("GET", "/api/departments"), "")
    yield Probe("browser departments", user, "", True, lambda _: browser.call("GET", "/api/departments"), "")
    tools = world.wire(user, "/mcp", "modern")
    yield Probe("MCP file tools", user, "", True, lambda _: tools.tool("files_list_departments"), "")
    for data_set in world.data_sets:
        for column in (None, *data_set.columns):
            restricted = data_set.permits(user) and column not in data_set.visible(user)
            for extension, file in files.items():
                if column is None or restricted or extension == "csv":
                    interface = f"REST preview {extension}"
                    yield _choice(world, interface, user, rest, "preview", extension, file, data_set, column)
            if data_set.permits(user) and (column is None or column in data_set.visible(user)):
                continue
            yield _choice(world, "REST jobs refused", user, rest, "jobs", "csv", csv, data_set, column)
        yield _choice(world, "browser preview csv", user, browser, "preview", "csv", csv, data_set, None)
        yield _tool_preview(world, user, csv, data_set)
    for department, data_set in world.departments.items():
        for path in () if data_set.permits(user) else ("/api/preview", "/api/jobs"):

            def ask(word: str, path: str = path) -> Awaitable[Answer]:
                return rest.call("POST", path, body={"file": csv, "departments": [word]})

            yield Probe("REST departments chosen", user, department, False, ask, _said(world, department))


def _said(world: World, *more: str | None) -> str:
    """What this user sent: the file's names and keys, and `more`."""
    return " ".join([json.dumps(world.rows()), *(part for part in more if part)])


def _choice(
    world: World,
    interface: str,
    user: str,
    rest: Rest,
    path: str,
    extension: str,
    file: str,
    data_set: DataSet,
    column: str | None,
) -> Probe:
    """A preview or a job on one data set, for one of its columns or for all."""
    visible = data_set.visible(user)
    where = "text" if extension in DOCUMENTS else data_set.key
    by_column = data_set.permits(user) and column is not None and column not in visible
    wanted = visible if column is None else (column,)

    def ask(word: str) -> Awaitable[Answer]:
        ref = data_set.ref if by_column else word
        body: dict[str, Any] = {"file": file, "mapping": {where: [ref]}}
        if column is not None:
            body["columns"] = {ref: [word if by_column else column]}
        return rest.call("POST", f"/api/{path}", body=body)

    def verify(answer: Answer) -> bool:
        document = answer.json
        added = len(document["columns"]) - len(wanted)
        if document["columns"][added:] != [f"{where}.{data_set.department}.{name}" for name in wanted]:
            return False
        rows = [dict(zip(wanted, row[added:], strict=True)) for row in document["rows"] if any(row[added:])]
        return bool(rows) and all(row in world.values(data_set, wanted) for row in rows)

    word = column if by_column and column is not None else data_set.ref
    allowed = data_set.permits(user) and not by_column
    return Probe(interface, user, word, allowed, ask, _said(world, data_set.ref, column), verify)


def _tool_preview(world: World, user: str, file: str, data_set: DataSet) -> Probe:
    def ask(word: str) -> Awaitable[Answer]:
        return world.wire(user, "/mcp", "modern").tool("files_preview", file=file, mapping={data_set.key: [word]})

    return Probe("MCP file tools", user, data_set.ref, data_set.permits(user), ask, _said(world, data_set.ref))


def questions_about_others(world: World, user: str, files: Sequence[str], jobs: Sequence[str]) -> Iterator[Probe]:
    """`files` and `jobs` are not `user`'s: they must be as if they did not exist."""
    for file in files:
        for method in ("GET", "DELETE"):
            yield _foreign(world, user, file, method, "/api/files/{}")
        for path in ("/api/preview", "/api/jobs"):

            def ask(word: str, path: str = path) -> Awaitable[Answer]:
                return world.rest(user).call("POST", path, body={"file": as_id(word)})

            yield Probe("REST others' files", user, file, False, ask, file)
    for job in jobs:
        for method, path in JOB_PATHS:
            yield _foreign(world, user, job, method, path)
        for tool in JOB_TOOLS:

            def ask_tool(word: str, tool: str = tool) -> Awaitable[Answer]:
                return world.wire(user, "/mcp", "modern").tool(f"files_{tool}", job=as_id(word))

            yield Probe("MCP others' jobs", user, job, False, ask_tool, job)


def _foreign(world: World, user: str, identity: str, method: str, path: str) -> Probe:
    def ask(word: str) -> Awaitable[Answer]:
        return world.rest(user).call(method, path.format(as_id(word)))

    return Probe("REST others' files and jobs", user, identity, False, ask, identity)
