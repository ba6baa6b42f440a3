"""What calls the application, against its OpenAPI document: the client, the file tools and the page."""

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from pydantic import TypeAdapter
from tests.helpers.kustomize import ROOT
from tests.helpers.rest import Rest

import fileproc.models
from agentgateway.mcp.file_tools import TOOLS
from agentgateway.rest.paths import ROUTES

pytestmark = pytest.mark.slow

ANSWERS: Final = {
    "File": "FileDocument",
    "FilePage": "FilePage",
    "UploadPage": "UploadPage",
    "Upload": "BegunUpload",
    "Preview": "PreviewDocument",
    "Job": "JobDocument",
    "JobPage": "JobPage",
    "MissesList": "MissesDocument",
    "RecipeList": "RecipeList",
    "Recipe": "RecipeDocument",
    "Report": "Report",
    "Departments": "DepartmentList",
}
"""What the client reads, and what the service calls it."""
QUESTIONS: Final = {
    "files_submit_job": ("JobRequest", {"name", "text", "base64"}),
    "files_preview": ("PreviewRequest", {"name", "text", "base64"}),
    "files_review_job": ("Review", {"job"}),
    "files_save_recipe": ("SavedRecipe", {"name"}),
    "files_share_recipe": ("Sharing", {"name"}),
}
"""Tools, the body that they send, and what they take beyond it."""


@pytest.fixture
async def document(rest: Callable[[str], Rest]) -> dict[str, Any]:
    return dict((await rest("alice").good("GET", "/api/openapi.json")).json)


def resolved(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    return dict(schemas[schema["$ref"].rpartition("/")[2]]) if "$ref" in schema else schema


def misfits(
    asked: dict[str, Any], own: dict[str, Any], told: dict[str, Any], theirs: dict[str, Any], place: str
) -> Iterator[str]:
    """Where something that is read as ``asked`` may not be there in what is written as ``told``."""
    asked, told = resolved(asked, own), resolved(told, theirs)
    for member in ("anyOf", "items", "prefixItems"):
        if member in asked and member in told:
            pairs = zip(*([each[member]] if member == "items" else each[member] for each in (asked, told)), strict=True)
            for one, other in pairs:
                yield from misfits(one, own, other, theirs, place)
    if "enum" in asked and asked["enum"] != told.get("enum"):
        yield f"{place}: {asked['enum']} is not {told.get('enum')}"
    for name, schema in asked.get("properties", {}).items():
        there = told.get("properties", {}).get(name)
        if there is None:
            yield f"{place}.{name}: is never written"
            continue
        yield from misfits(schema, own, there, theirs, f"{place}.{name}")


@pytest.mark.parametrize(("name", "written"), ANSWERS.items())
def test_the_client_reads_what_the_service_writes(document: dict[str, Any], name: str, written: str) -> None:
    model = TypeAdapter(getattr(fileproc.models, name)).json_schema()
    schemas = document["components"]["schemas"]
    assert list(misfits(model, model.get("$defs", {}), schemas[written], schemas, name)) == []


@pytest.mark.parametrize("tool", QUESTIONS)
def test_a_file_tool_takes_what_its_request_takes(document: dict[str, Any], tool: str) -> None:
    body, beyond = QUESTIONS[tool]
    (found,) = (each.arguments.model_json_schema() for each in TOOLS if each.name == tool)
    schemas = document["components"]["schemas"]
    assert set(found["properties"]) - beyond == set(schemas[body]["properties"])
    assert list(misfits(schemas[body], schemas, found, found.get("$defs", {}), tool)) == []
    for name, schema in schemas[body]["properties"].items():
        own = found["properties"][name]
        assert own.get("maximum") == schema.get("maximum"), name


def test_the_page_calls_addresses_that_there_are() -> None:
    pages = ROOT / "services/frontend/src/frontend/pages"
    text = "".join(file.read_text() for file in pages.glob("*.js"))
    called = set(re.findall(r"[`\"](?:\$\{api\})?(/(?:files|uploads|jobs|preview|recipes|departments)[^`\"?]*)", text))
    assert {"/jobs/${job.id}/review", "/preview", "/uploads/${begun.id}/complete"} <= called
    addresses = {re.sub(r"\$\{[^}]*\}", "{id}", f"/api{path}") for path in called}
    assert addresses - ROUTES.keys() == set()
