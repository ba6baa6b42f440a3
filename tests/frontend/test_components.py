"""The components on a canvas: they act as who runs them, say errors in sentences, and do nothing for nobody."""

import json
import re
import subprocess
import uuid
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from tests.frontend.test_login import TOKEN, alb_token
from tests.helpers.stack import ROOT, Stack

from local.services import FRONTEND_PYTHON

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

FRONTEND = ROOT / "services" / "frontend"


class Canvas:
    """Langflow's editor as one user."""

    def __init__(self, site: Stack, user: str) -> None:
        headers = {TOKEN: alb_token(site, user), "origin": site.app}
        # Any replica: what one knows, all know.
        self._clients = [
            httpx2.Client(base_url=f"http://127.0.0.1:{site.addresses.frontend_port(i)}", headers=headers, timeout=60)
            for i in range(sum(service.name.startswith("frontend") for service in site.services))
        ]
        self._next = 0

    def request(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """Ask the next replica."""
        self._next += 1
        return self._clients[self._next % len(self._clients)].request(method, path, **options)

    def templates(self) -> dict[str, Any]:
        """Our components as the editor has them, by name."""
        found = self.request("GET", "/api/v1/all").json()["file_processing"]
        return {re.sub(r"^ext:file_processing:(.+)@extra$", r"\1", name): each for name, each in found.items()}

    def run(self, component: str, **values: Any) -> dict[str, Any]:
        """Put one component on a new canvas, run it; its outputs, or the error."""
        template = self.templates()[component]
        for name, value in values.items():
            template["template"][name]["value"] = value
        node_id = f"{component}-one"
        node = {"id": node_id, "type": "genericNode", "position": {"x": 0, "y": 0}}
        node["data"] = {"id": node_id, "type": component, "node": template}
        data = {"nodes": [node], "edges": [], "viewport": {"x": 0, "y": 0, "zoom": 1}}
        flow = self.request("POST", "/api/v1/flows/", json={"name": f"test {uuid.uuid4()}", "data": data}).json()
        answer = self.request("POST", f"/api/v1/build/{flow['id']}/flow?event_delivery=direct", json={})
        assert answer.status_code == 200, answer.text
        events = [json.loads(line) for line in answer.text.splitlines() if line.strip()]
        ended = next(event for event in events if event["event"] in {"end_vertex", "error"})
        return dict(ended["data"])

    def close(self) -> None:
        """Close the connections."""
        for client in self._clients:
            client.close()


@pytest.fixture
def canvas(site: Stack, request: pytest.FixtureRequest) -> Iterator[Canvas]:
    """The editor as the user whom the test is for."""
    opened = Canvas(site, request.param)
    yield opened
    opened.close()


def said(outcome: dict[str, Any]) -> str:
    """Everything that a run says."""
    return json.dumps(outcome, ensure_ascii=False)


@pytest.mark.parametrize("canvas", ["alice"], indirect=True)
def test_our_components_are_a_category_of_their_own(canvas: Canvas) -> None:
    assert set(canvas.templates()) == {"FileEnrichment", "DepartmentLookup", "DepartmentTools", "Departments"}


@pytest.mark.parametrize(
    ("canvas", "mine", "others"), [("alice", "Finance", "hr."), ("bob", "Human", "finance.")], indirect=["canvas"]
)
def test_departments_lists_what_the_user_may_use(canvas: Canvas, mine: str, others: str) -> None:
    text = said(canvas.run("Departments"))
    assert mine in text
    assert others not in text


@pytest.mark.parametrize(("canvas", "sees"), [("alice", False), ("frank", True)], indirect=["canvas"])
def test_a_lookup_gives_the_columns_that_the_user_may_see(canvas: Canvas, sees: bool) -> None:
    text = said(canvas.run("DepartmentLookup", dataset="finance.vendors", keys="V-00017, V-00042"))
    assert "V-00042" in text
    assert ("bank_account" in text) is sees


def test_without_a_login_a_component_does_nothing() -> None:
    program = """
import asyncio
from frontend import context, enrichment
async def main():
    async with context.client():
        print("a client without a user")
try:
    asyncio.run(main())
except enrichment.Refusal as refusal:
    print(refusal)
"""
    done = subprocess.run([FRONTEND_PYTHON, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.startswith("Your sign-in has ended.")


def test_every_setting_is_in_the_readme() -> None:
    program = "from frontend.settings import Settings; print(*(name.upper() for name in Settings.model_fields))"
    done = subprocess.run([FRONTEND_PYTHON, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    readme = (FRONTEND / "README.md").read_text()
    missing = [name for name in done.stdout.split() if f"`{name}`" not in readme]
    assert done.stdout.split()
    assert not missing
