"""The components on a canvas: they act as who runs them, say errors in sentences, and do nothing for nobody."""

import json
import os
import random
import re
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.frontend.site import Site
from tests.frontend.test_login import TOKEN, alb_token
from tests.helpers.stack import ROOT

from local.services import FRONTEND_PYTHON

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


FRONTEND = ROOT / "services" / "frontend"


class Canvas:
    """Langflow's editor as one user."""

    def __init__(self, site: Site, user: str) -> None:
        headers = {TOKEN: alb_token(site, user), "origin": site.app}
        self._clients = [
            httpx2.Client(base_url=f"http://127.0.0.1:{site.addresses.frontend_port(i)}", headers=headers, timeout=60)
            for i in range(len(site.pages))
        ]

    def request(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """Ask any replica, as the load balancer does: what one knows, all know."""
        return random.choice(self._clients).request(method, path, **options)

    def templates(self) -> dict[str, Any]:
        """Our components as the editor has them, by name."""
        found = self.request("GET", "/api/v1/all").json()["file_processing"]
        return {re.sub(r"^ext:file_processing:(.+)@extra$", r"\1", name): each for name, each in found.items()}

    def run(self, component: str, *, code: str = "", **values: Any) -> dict[str, Any]:
        """Put one component on a new canvas, run it; its outputs, or the error. `code` is added to the component's."""
        template = self.templates()[component]
        for name, value in values.items():
            template["template"][name]["value"] = value
        template["template"]["code"]["value"] += code
        return self.run_node(component, template)

    def run_node(self, kind: str, template: dict[str, Any]) -> dict[str, Any]:
        """The same with a component that may be anything."""
        node_id = f"{kind}-one"
        node = {"id": node_id, "type": "genericNode", "position": {"x": 0, "y": 0}}
        node["data"] = {"id": node_id, "type": kind, "node": template}
        data = {"nodes": [node], "edges": [], "viewport": {"x": 0, "y": 0, "zoom": 1}}
        flow = self.request("POST", "/api/v1/flows/", json={"name": f"test {uuid.uuid4()}", "data": data}).json()
        answer = self.request("POST", f"/api/v1/build/{flow['id']}/flow?event_delivery=direct", json={})
        if answer.status_code == 400:
            return dict(answer.json())
        assert answer.status_code == 200, answer.text
        events = [json.loads(line) for line in answer.text.splitlines() if line.strip()]
        ended = next(event for event in events if event["event"] in {"end_vertex", "error"})
        return dict(ended["data"])

    def close(self) -> None:
        """Close the connections."""
        for client in self._clients:
            client.close()


@pytest.fixture
def canvas(site: Site, request: pytest.FixtureRequest) -> Iterator[Canvas]:
    """The editor as the user whom the test is for."""
    opened = Canvas(site, request.param)
    yield opened
    opened.close()


def said(outcome: dict[str, Any]) -> str:
    """Everything that a run says."""
    return json.dumps(outcome, ensure_ascii=False)


def printed(program: str, token: str, environment: Mapping[str, str]) -> list[str]:
    """The lines that a program prints in the page's own Python; the token is its argument."""
    command = [str(FRONTEND_PYTHON), "-c", program, token]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=200, check=False, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()


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


@pytest.mark.parametrize("canvas", ["carol"], indirect=True)
def test_a_lookup_in_another_department_is_refused_in_a_sentence(canvas: Canvas) -> None:
    text = said(canvas.run("DepartmentLookup", dataset="finance.vendors", keys="V-00017"))
    assert "There is no data set finance.vendors that you may use. The component Departments lists yours" in text
    assert "Traceback" not in text
    assert str(ROOT) not in text
    assert "bank_account" not in text


@pytest.mark.parametrize("canvas", ["alice"], indirect=True)
@pytest.mark.parametrize(
    ("dataset", "keys", "sentence"),
    [("vendors", "V-00017", "such as finance.vendors"), ("finance.vendors", " ", "Write at least one key")],
)
def test_what_is_written_wrongly_is_said(canvas: Canvas, dataset: str, keys: str, sentence: str) -> None:
    assert sentence in said(canvas.run("DepartmentLookup", dataset=dataset, keys=keys))


@pytest.mark.parametrize(
    ("canvas", "department", "mine"),
    [("alice", "", {"finance"}), ("dana", "", {"finance", "hr", "legal"}), ("dana", "hr", {"hr"})],
    indirect=["canvas"],
)
def test_the_tools_of_ones_departments_are_there_for_an_agent(canvas: Canvas, department: str, mine: set[str]) -> None:
    text = said(canvas.run("DepartmentTools", department=department))
    found = set(re.findall(r"\b(finance|hr|legal|files)_[a-z_]+", text))
    assert found == mine


@pytest.fixture(scope="module")
def in_python(site: Site) -> list[str]:
    """What components say to a program that calls them: without a login, then as alice."""
    program = """
import asyncio, sys
from frontend import context, enrichment, identity
from frontend.components.file_processing.department_tools import DepartmentTools
async def main():
    try:
        async with context.client():
            print("a client without a user")
    except enrichment.Refusal as refusal:
        print(refusal)
    identity.begin(identity.Person("alice", "alice", sys.argv[1], float("inf")))
    tools = {tool.name: tool for tool in await DepartmentTools().build_tools()}
    print(await tools["finance_lookup_vendors"].ainvoke({"keys": ["V-00017"]}))
    print(await tools["finance_lookup_vendors"].ainvoke({"keys": ["V-00017"], "columns": ["bank_account"]}))
asyncio.run(main())
"""
    service = next(service for service in site.services if service.name == "frontend")
    return printed(program, site.token("alice"), service.environment)[-3:]


def test_without_a_login_a_component_does_nothing(in_python: list[str]) -> None:
    assert in_python[0].startswith("Your session has expired.")


def test_an_agents_tool_answers_as_its_user_and_refuses_in_a_sentence(in_python: list[str]) -> None:
    _, rows, refusal = in_python
    assert json.loads(rows)["rows"][0]["values"]["name"]
    assert "bank_account" not in rows
    assert "columns: vendors does not have all of them" in refusal


MINE = """

from pathlib import Path
Path({mark!r}).touch()
"""
"""What a user would add to a component's code, to see it run."""


@pytest.mark.parametrize("canvas", ["alice"], indirect=True)
def test_altered_code_in_a_stored_flow_does_not_run(canvas: Canvas, tmp_path: Path) -> None:
    mark = tmp_path / "it ran"
    text = said(canvas.run("Departments", code=MINE.format(mark=str(mark))))
    assert "Finance" in text, "the component itself runs, as this version has it"
    assert not mark.exists()


@pytest.mark.parametrize("canvas", ["alice"], indirect=True)
def test_a_component_of_ones_own_in_a_stored_flow_does_not_run(canvas: Canvas, tmp_path: Path) -> None:
    mark = tmp_path / "it ran"
    template = canvas.templates()["Departments"]
    template["display_name"] = "Mine"
    template["template"]["code"]["value"] += MINE.format(mark=str(mark))
    text = said(canvas.run_node("Mine", template))
    assert "Mine" in text
    assert "Finance" not in text
    assert not mark.exists()


@pytest.mark.parametrize("canvas", ["frank"], indirect=True)
def test_ones_flow_has_the_components_of_this_version_when_it_is_opened(canvas: Canvas) -> None:
    def stored() -> tuple[str, dict[str, Any]]:
        opened = canvas.request("GET", "/fileproc/playground").headers["location"]
        found = re.fullmatch(r"/flow/([0-9a-f-]+)#playground", opened)
        assert found
        return found[1], canvas.request("GET", f"/api/v1/flows/{found[1]}").json()

    def enrichment(flow: dict[str, Any]) -> dict[str, Any]:
        node = next(node for node in flow["data"]["nodes"] if node["data"]["type"] == "FileEnrichment")
        return dict(node["data"]["node"]["template"])

    flow_id, flow = stored()
    before = enrichment(flow)["code"]["value"]
    enrichment(flow)["code"]["value"] += "# of the version before\n"
    enrichment(flow)["departments"]["value"] = "finance"
    assert canvas.request("PATCH", f"/api/v1/flows/{flow_id}", json={"data": flow["data"]}).status_code == 200
    again_id, again = stored()
    assert again_id == flow_id
    assert enrichment(again)["code"]["value"] == before
    assert enrichment(again)["departments"]["value"] == "finance", "what a user set is kept"


def test_message_says_how_the_file_is_read_in_the_lines_that_the_preview_shows() -> None:
    program = """
import json
from fileproc.models import Detected
from frontend.enrichment import detected_text, mapping_in, options_in
how = {"value": ";", "reason": "a guess"}
row = {"value": 3, "reason": "a | b"}
sheet = {"name": "a`b", "header_row": 2, "has_keys": True, "used": True}
lines = detected_text(Detected(format="csv", delimiter=how, header_row=row, sheets=[sheet]))
said = '''delimiter = ;
header row = 3
no-header = yes
add_only = a.b.c, d
sheet = Data
vendor = finance.vendors'''
print(json.dumps([lines[2:], options_in(said), mapping_in(said), options_in("hello = you")]))
"""
    done = subprocess.run([FRONTEND_PYTHON, "-c", program], capture_output=True, text=True, timeout=200, check=True)
    assert json.loads(done.stdout) == [
        [
            "- `delimiter = ;` a guess",
            r"- `header_row = 3` a \| b",
            "- `` sheet = a`b `` gets columns, header in row 2",
        ],
        {"delimiter": ";", "header_row": 3, "no_header": True, "add_only": ["a.b.c", "d"], "sheet": "Data"},
        {"vendor": ["finance.vendors"]},
        None,
    ]


def test_the_result_says_why_keys_were_not_found_and_which_were_meant() -> None:
    program = """
import json
from fileproc.models import Report
from frontend.enrichment import missing_text
proposals = [{"key": "V-00001", "score": 98, "reason": "differs in leading zeros only"}]
mapping = {
    "column": "vendor|id", "dataset": "finance.vendors", "matched": 1, "unmatched": 2, "empty": 0,
    "unmatched_distinct": 2, "unmatched_sample": [{"key": "V1", "row": 2, "proposals": proposals}, {"key": "x`y"}],
    "causes": [{"cause": "leading_zeros", "description": "Leading zeros lost", "keys": 1200}],
}
sizes = {"format": "csv", "rows": 3, "bytes_read": 1, "bytes_written": 1, "duration_seconds": 1}
print(json.dumps([missing_text(Report(**sizes, mappings=[mapping]), "j1"), missing_text(Report(**sizes), "j2")]))
"""
    done = subprocess.run([FRONTEND_PYTHON, "-c", program], capture_output=True, text=True, timeout=200, check=True)
    some, none = json.loads(done.stdout)
    assert none == []
    assert some[-2:] == [
        r"Not found, for example: V1 (perhaps V-00001), x\`y.",
        "[Review these keys](/?review=j1)",
    ]
    assert r"| vendor\|id | Leading zeros lost | 1,200 |" in some


def test_every_setting_is_in_the_readme() -> None:
    program = "from frontend.settings import Settings; print(*(name.upper() for name in Settings.model_fields))"
    done = subprocess.run([FRONTEND_PYTHON, "-c", program], capture_output=True, text=True, timeout=200, check=True)
    readme = (FRONTEND / "README.md").read_text()
    missing = [name for name in done.stdout.split() if f"`{name}`" not in readme]
    assert done.stdout.split()
    assert not missing
