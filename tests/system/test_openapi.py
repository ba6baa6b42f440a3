"""The OpenAPI document, through the gateway: schemathesis finds nothing undocumented."""

from collections.abc import Callable
from typing import Any, Final

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import positive_data_acceptance
from tests.helpers.kustomize import ROOT
from tests.helpers.rest import Rest, bearer
from tests.helpers.stack import Stack

from agentgateway.rest.paths import ROUTES

pytestmark = pytest.mark.slow

EXAMPLES: Final = 20
"""Of each operation, of requests that follow the document and of requests that do not."""


@pytest.fixture(scope="module")
def api(stack: Stack) -> Any:
    """The document as a client gets it, tried as alice."""
    headers = bearer(stack.tokens["alice"])
    # A parameter that the document does not name is ignored, as most of the web does.
    config = SchemathesisConfig.from_dict({"generation": {"allow-extra-parameters": False}})
    return schemathesis.openapi.from_url(f"{stack.api}/api/openapi.json", headers=headers, config=config)


def test_the_api_does_what_its_document_says(api: Any, stack: Stack) -> None:
    headers = bearer(stack.tokens["alice"])
    checked = set()
    for found in api.get_all_operations():
        operation = found.ok()

        @given(case=operation.as_strategy(GenerationMode.POSITIVE) | operation.as_strategy(GenerationMode.NEGATIVE))
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,  # what it finds, it finds on every run
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def conforms(case: Case[Any]) -> None:
            # What a schema allows may still be wrong: a name with a slash, a mapping to a column that is not there.
            case.call_and_validate(headers=headers, timeout=60, excluded_checks=[positive_data_acceptance])

        conforms()
        checked.add(operation.label)
    assert len(checked) > 15


def test_what_a_client_gets_on_its_way_is_as_the_document_says(api: Any, stack: Stack) -> None:
    """With identifiers that exist, which random requests do not meet."""
    headers = bearer(stack.tokens["alice"])
    done = set()

    def step(method: str, path: str, **parts: Any) -> Any:
        operation = api[path][method]
        done.add(operation.label)
        return operation.Case(**parts).call_and_validate(headers=headers, timeout=60)

    content = (ROOT / "tools/local/samples/invoices.csv").read_bytes()
    sent = {"query": {"name": "a.csv"}, "body": content, "media_type": "application/octet-stream"}
    file = step("POST", "/api/files", **sent).json()["id"]
    step("GET", "/api/files", query={"limit": 1})
    step("GET", "/api/files/{file}", path_parameters={"file": file})
    step("GET", "/api/departments")
    as_json = {"media_type": "application/json"}
    wish = {"body": {"file": file}, **as_json}
    step("POST", "/api/preview", **wish)
    job = {"path_parameters": {"job": step("POST", "/api/jobs", **wish).json()["id"]}}
    step("GET", "/api/jobs/{job}/events", **job)
    step("GET", "/api/jobs", query={"limit": 1})
    assert step("GET", "/api/jobs/{job}", **job).json()["status"] == "succeeded"
    step("GET", "/api/jobs/{job}/result", **job)
    for form in ("json", "text", "html"):
        step("GET", "/api/jobs/{job}/report", query={"format": form}, **job)
    dataset = step("GET", "/api/jobs/{job}/misses", **job).json()["misses"][0]
    decided = {"keys": {dataset["dataset"]: {dataset["keys"][0]["key"]: "V-00001"}}}
    step("POST", "/api/jobs/{job}/review", body=decided, media_type="application/json", **job)
    recipe = {"path_parameters": {"recipe": "as-documented"}}
    step("PUT", "/api/recipes/{recipe}", body={"from_job": job["path_parameters"]["job"]}, **as_json, **recipe)
    step("GET", "/api/recipes")
    step("GET", "/api/recipes/{recipe}", query={"version": 1}, **recipe)
    step("PUT", "/api/recipes/{recipe}/groups", body={"groups": ["finance"]}, **as_json, **recipe)
    step("POST", "/api/preview", body={"file": file, "recipe": "as-documented"}, **as_json)
    step("DELETE", "/api/recipes/{recipe}", **recipe)
    step("DELETE", "/api/jobs/{job}", **job)
    step("POST", "/api/jobs/{job}/retry", **job)
    step("DELETE", "/api/files/{file}", path_parameters={"file": file})

    wanted = {"body": {"name": "a.csv", "size": len(content)}, "media_type": "application/json"}
    begun = step("POST", "/api/uploads", **wanted).json()
    step("GET", "/api/uploads")
    etag = httpx2.put(begun["parts"][0]["url"], content=content, timeout=60).headers["etag"]
    parts = {"body": {"parts": [{"number": 1, "etag": etag}]}, "media_type": "application/json"}
    upload = {"path_parameters": {"upload": begun["id"]}}
    step("POST", "/api/uploads/{upload}/complete", **parts, **upload)
    step("DELETE", "/api/uploads/{upload}", **upload)
    assert done == {found.ok().label for found in api.get_all_operations()}


async def test_the_document_has_every_path_of_the_gateway_and_no_other(rest: Callable[[str], Rest]) -> None:
    document = (await rest("alice").good("GET", "/api/openapi.json")).json
    described = {
        (method.upper(), path.replace("{" + name + "}", "{id}"))
        for path, operations in document["paths"].items()
        for method in operations
        for name in ("file", "upload", "job", "recipe")
        if "{" not in path or "{" + name + "}" in path
    }
    reachable = {(method, path) for path, methods in ROUTES.items() for method in methods if method != "HEAD"}
    assert described == reachable - {("GET", "/api/openapi.json")}


async def test_the_document_is_for_callers_who_are_known(stack: Stack, rest: Callable[[str], Rest]) -> None:
    assert (await Rest(rest("alice").session, stack.api, {}).call("GET", "/api/openapi.json")).status == 401
