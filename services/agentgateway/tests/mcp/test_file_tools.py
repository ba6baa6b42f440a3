"""An agent does the main job by the file tools."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.client.session import ClientRequestContext
from mcp_types import ElicitRequestFormParams, ElicitRequestParams, ElicitResult, TextContent
from services.agentgateway.tests.mcp.files import LARGE, Files, encoded
from services.agentgateway.tests.mcp.harness import API_URL, Gateway, Served, gateway, with_lifespan

from common.file_options import FORMATS

pytestmark = pytest.mark.slow

MAPPING = {"vendor_id": ["finance.vendors"]}
CSV = "vendor_id\nV-00001\n"


@pytest.fixture
def files() -> Files:
    return Files()


@pytest.fixture
def front(files: Files, tmp_path: Path) -> Iterator[Gateway]:
    application = Served(with_lifespan(files.app()))
    with application, gateway(tmp_path, {}, application_url=application.url) as running:
        yield running


async def result(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    answer = await client.call_tool(tool, arguments)
    assert not answer.is_error, answer
    return dict(answer.structured_content or {})


async def error(client: Client, tool: str, **arguments: Any) -> str:
    answer = await client.call_tool(tool, arguments)
    assert answer.is_error
    (content,) = answer.content
    assert isinstance(content, TextContent)
    return content.text


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_small_file_goes_in_and_comes_out_enriched(front: Gateway, files: Files, mode: str) -> None:
    seen: list[tuple[float, float | None]] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        seen.append((progress, total))

    async with front.client("alice", mode=mode) as client:
        chosen = {
            "mapping": MAPPING,
            "departments": ["finance"],
            "approve": ["typo"],
            "keys": {"finance.vendors": {"1": "2"}},
        }
        job = await result(client, "files_submit_job", name="a ü.csv", text=CSV, **chosen)
        assert files.files[job["file_id"]] == ("alice", "a ü.csv", CSV.encode())
        assert job["asked"] == {"file": job["file_id"], **chosen}
        assert (await result(client, "files_job_status", job=job["id"]))["status"] == "queued"
        waited = await client.call_tool(
            "files_job_status", {"job": job["id"], "wait_seconds": 20}, progress_callback=note
        )
        assert (waited.structured_content or {})["status"] == "succeeded"
        assert seen == [(10, 40), (20, 40), (40, 40)]
        enriched = await result(client, "files_job_result", job=job["id"])
        assert enriched == {"job": job["id"], "name": "a ü.csv", "size": 9, "text": "enriched\n"}
        assert await result(client, "files_job_report", job=job["id"]) == {"job": job["id"], "rows": 4}
        assert [each["id"] for each in (await result(client, "files_list_jobs"))["jobs"]] == [job["id"]]
        assert (await result(client, "files_cancel_job", job=job["id"]))["status"] == "cancelled"
        assert (await result(client, "files_retry_job", job=job["id"]))["status"] == "queued"
    assert ("alice", None, "files_submit_job", "ok") in front.audit
    assert "V-00001" not in repr(front.audit)


async def test_keys_that_were_not_found_are_listed_and_repaired(front: Gateway) -> None:
    async with front.client("alice") as client:
        job = (await result(client, "files_submit_job", name="a.csv", text=CSV, mapping=MAPPING))["id"]
        (listed,) = (await result(client, "files_list_misses", job=job))["misses"]
        assert (listed["dataset"], len(listed["keys"]), listed["total"]) == ("finance.vendors", 100, 300)
        (typos,) = (await result(client, "files_list_misses", job=job, cause="typo", limit=2))["misses"]
        assert ([each["key"] for each in typos["keys"]], typos["total"]) == (["1", "3"], 150)
        decided = {"approve": ["leading_zeros"], "keys": {"finance.vendors": {"1": "V-00001"}}}
        assert await result(client, "files_review_job", job=job, **decided) == {"review_of": job, "asked": decided}
        assert "approve" in await error(client, "files_review_job", job=job, approve=["unknown"])


async def test_recipes_are_kept_shown_shared_deleted_and_used(front: Gateway, files: Files) -> None:
    chosen = {"mapping": MAPPING, "approve": ["typo"]}
    async with front.client("alice") as client:
        asked: list[tuple[str, dict[str, Any], str]] = [
            ("list", {}, "GET /api/recipes"),
            ("show", {"name": "month-end", "version": 2}, "GET /api/recipes/month-end"),
            ("save", {"name": "month-end", "from_job": "job-0"}, "PUT /api/recipes/month-end"),
            ("save", {"name": "month-end", "choices": chosen}, "PUT /api/recipes/month-end"),
            ("share", {"name": "month-end", "groups": ["finance"]}, "PUT /api/recipes/month-end/groups"),
        ]
        for verb, arguments, request in asked:
            answer = await result(client, f"files_{verb}_recipe{'s' if verb == 'list' else ''}", **arguments)
            sent = {name: str(value) if name == "version" else value for name, value in arguments.items()}
            sent.pop("name", None)
            assert (files.asked[-1], answer["asked"]) == (request, sent)
        assert await result(client, "files_delete_recipe", name="month-end") == {"deleted": "month-end"}
        used = {"file": "file-x", "recipe": "month-end", "recipe_version": 2, "anyway": True}
        assert (await result(client, "files_preview", **used))["asked"] == {**used, "rows": 10}
        assert "give one of" in await error(client, "files_save_recipe", name="month-end")


async def test_a_large_file_goes_in_by_parts(front: Gateway) -> None:
    async with front.client("alice") as client:
        upload = await result(client, "files_create_upload", name="big.csv", size=10**10)
        assert upload["parts"] == [{"number": 1, "url": "https://bucket.example/part"}]
        parts = [{"number": 1, "etag": '"abc"'}]
        file = await result(client, "files_complete_upload", upload=upload["id"], parts=parts)
        assert file == {"id": "file-x", "parts": parts}
        job = await result(client, "files_submit_job", file=file["id"], mapping=MAPPING)
        assert job["asked"] == {"file": "file-x", "mapping": MAPPING}
        shown = await result(client, "files_preview", file=file["id"], columns={"finance.vendors": ["name"]}, rows=3)
        assert shown["asked"] == {"file": "file-x", "columns": {"finance.vendors": ["name"]}, "rows": 3}


async def test_options_are_passed_on_and_a_wrong_one_is_refused_in_words(front: Gateway) -> None:
    options = {"sheet": 2, "header_row": 3, "add_only": ["finance.vendors.name"]}
    async with front.client("alice") as client:
        for tool in ("files_submit_job", "files_preview"):
            done = await result(client, tool, file="file-x", mapping=MAPPING, options=options)
            assert done["asked"]["options"] == options
        wrong = await error(client, "files_preview", file="file-x", options={"encoding": "klingon"})
        assert wrong.startswith("field 'options.encoding': 'klingon' is not valid; give one of: utf-8")
        tools = {tool.name: tool.input_schema for tool in (await client.list_tools()).tools}
    described = tools["files_preview"]["$defs"]["FileOptions"]["properties"]
    assert set(described) == set(FORMATS)
    assert all(each["description"] for each in described.values())


async def test_binary_files_travel_as_base64(front: Gateway, files: Files) -> None:
    content = bytes(range(256))
    files.result = content
    async with front.client("alice") as client:
        job = await result(client, "files_submit_job", name="a.xlsx", base64=encoded(content), mapping=MAPPING)
        assert files.files[job["file_id"]][2] == content
        assert (await result(client, "files_job_result", job=job["id"]))["base64"] == encoded(content)


async def test_a_large_result_is_an_address(front: Gateway, files: Files) -> None:
    files.result = b"x" * LARGE
    async with front.client("alice") as client:
        job = (await result(client, "files_submit_job", name="a.csv", text=CSV, mapping=MAPPING))["id"]
        enriched = await result(client, "files_job_result", job=job)
    assert enriched == {"job": job, "name": "a ü.csv", "size": LARGE, "url": f"{API_URL}/api/jobs/{job}/result"}


async def test_what_was_inline_can_be_tried_again_when_the_mapping_was_not_clear(front: Gateway, files: Files) -> None:
    async with front.client("alice") as client:
        answer = await client.call_tool("files_submit_job", {"name": "a.csv", "text": CSV})
        assert answer.is_error
        (content,) = answer.content
        assert isinstance(content, TextContent)
        assert content.text == (
            "The mapping is not clear: Column 'id' may mean two data sets. Say which in 'mapping'. "
            "(The content was kept: give file='file-0' to try again with it.)"
        )
        problem = (answer.structured_content or {})["problem"]
        assert problem["questions"][0]["candidates"] == ["finance.vendors", "hr.employees"]
        await result(client, "files_submit_job", file="file-0", mapping=MAPPING)
    assert ("alice", None, "files_submit_job", "tool_error") in front.audit


@pytest.mark.parametrize(
    ("chosen", "mapping"),
    [
        ("hr.employees", {"vendor": ["finance.vendors"], "id": ["hr.employees"]}),
        ("none", {"vendor": ["finance.vendors"]}),
    ],
)
async def test_an_unclear_mapping_is_asked_of_the_user(
    front: Gateway, files: Files, chosen: str, mapping: dict[str, list[str]]
) -> None:
    forms = []

    async def answer(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        assert isinstance(params, ElicitRequestFormParams)
        forms.append(params.requested_schema["properties"]["column_1"])
        return ElicitResult(action="accept", content={"column_1": chosen})

    async with front.client("alice", answer=answer) as client:
        job = await result(client, "files_submit_job", name="a.csv", text=CSV, approve=["typo"])
    assert job["asked"] == {"file": "file-0", "mapping": mapping, "approve": ["typo"]}
    assert list(files.files) == ["file-0"], "the content is sent once"
    (form,) = forms
    assert (form["title"], form["description"]) == ("id", "Is it a key?")
    assert [each["const"] for each in form["oneOf"]] == ["finance.vendors", "hr.employees", "none"]
    assert ("alice", None, "files_submit_job", "input_required") in front.audit


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_user_who_does_not_answer_gets_the_refusal(front: Gateway, files: Files, mode: str) -> None:
    async def decline(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        return ElicitResult(action="decline")

    async with front.client("alice", mode=mode, answer=decline) as client:
        assert "Column 'id' may mean two data sets" in await error(client, "files_submit_job", name="a.csv", text=CSV)
    assert list(files.files) == ["file-0"]


@pytest.mark.parametrize("state", ["", "{}", '{"file": "../jobs", "mapping": {}, "columns": []}'])
async def test_a_state_that_is_not_the_tools_own_is_refused(front: Gateway, files: Files, state: str) -> None:
    params = {"name": "files_submit_job", "arguments": {"file": "file-x"}, "requestState": state}
    answer = await front.post("alice", "tools/call", params)
    assert "error" in answer.json() or answer.json()["result"]["isError"], answer.text
    assert files.asked == []


async def test_another_callers_job_is_as_one_that_does_not_exist(front: Gateway) -> None:
    async with front.client("alice") as client:
        job = (await result(client, "files_submit_job", name="a.csv", text=CSV, mapping=MAPPING))["id"]
    async with front.client("bob") as client:
        for tool in ("job_status", "job_result", "job_report", "cancel_job", "retry_job", "list_misses", "review_job"):
            foreign = await error(client, f"files_{tool}", job=job)
            assert foreign.replace(job, "job-9") == await error(client, f"files_{tool}", job="job-9")
        assert (await result(client, "files_list_jobs"))["jobs"] == []


@pytest.mark.parametrize(
    ("tool", "arguments", "message"),
    [
        ("submit_job", {}, "give file (an uploaded file's id), or name with one of text and base64"),
        ("submit_job", {"name": "a.csv"}, "give file (an uploaded file's id), or name with one of text and base64"),
        ("submit_job", {"file": "x", "name": "a.csv"}, "give either file, or name with text or base64, not both"),
        ("submit_job", {"name": "a.csv", "base64": "%"}, "field 'base64': is not base64 (RFC 4648, section 4)"),
        (
            "submit_job",
            {"name": "a.csv", "text": "x" * LARGE},
            f"the content has {LARGE} bytes, and 1000000 can",
        ),
        ("create_upload", {"name": "a.csv", "size": True}, "field 'size': Input should be a valid integer"),
        ("preview", {"file": "x", "rows": 0}, "field 'rows': Input should be greater than or equal to 1"),
        ("preview", {"file": "x", "row": 1}, "field 'row': Extra inputs are not permitted"),
        ("job_status", {"job": "../files/x"}, "field 'job': String should match pattern"),
        ("job_status", {"job": ".."}, "field 'job': String should match pattern"),
        (
            "job_status",
            {"job": "x", "wait_seconds": 1e9},
            "field 'wait_seconds': Input should be less than or",
        ),
        (
            "create_upload",
            {"name": "", "size": "many"},
            "should have at least 1 character; field 'size'",
        ),
    ],
)
async def test_arguments_that_are_wrong(
    front: Gateway, files: Files, tool: str, arguments: dict[str, Any], message: str
) -> None:
    async with front.client("alice") as client:
        assert message in await error(client, f"files_{tool}", **arguments)
    assert files.asked == []


async def test_a_wait_ends_with_the_job_as_it_stands(front: Gateway) -> None:
    async with front.client("alice") as client:
        columns = {"finance.vendors": ["name"]}
        job = await result(client, "files_submit_job", name="a.csv", text=CSV, mapping=MAPPING, columns=columns)
        status = await result(client, "files_job_status", job=job["id"], wait_seconds=0.2)
    assert status["status"] == "queued"


async def test_what_is_too_long_to_read_is_only_in_the_structured_content(front: Gateway) -> None:
    async with front.client("alice") as client:
        answer = await client.call_tool("files_list_departments", {})
    assert len(str((answer.structured_content or {})["departments"])) > 70_000
    (content,) = answer.content
    assert isinstance(content, TextContent)
    assert content.text == "The structured content has departments."


async def test_the_application_is_down(tmp_path: Path) -> None:
    with gateway(tmp_path, {}) as front:
        async with front.client("alice") as client:
            assert "The file service is not available at the moment" in await error(client, "files_list_jobs")


async def test_a_call_that_takes_too_long(files: Files, tmp_path: Path) -> None:
    timeouts = {"mcp_tool_timeouts": {"files_job_status": 0.3}}
    with (
        Served(with_lifespan(files.app())) as application,
        gateway(tmp_path, {}, application_url=application.url, **timeouts) as front,
    ):
        files.jobs["slow"] = {"id": "slow", "status": "running", "owner": "alice", "asked": {"columns": {"a": []}}}
        async with front.client("alice") as client:
            message = await error(client, "files_job_status", job="slow", wait_seconds=20)
    assert message == "files_job_status did not finish within 0.3 s. Call files_list_jobs to see what took effect."
