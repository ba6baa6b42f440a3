"""The page in a real browser, where each request goes to any of three replicas: all works as with one."""

import re
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import expect
from tests.frontend.expected import SAMPLES, is_right
from tests.frontend.gate import LONG_ROWS, long_file
from tests.frontend.person import People
from tests.frontend.site import START_SECONDS, Site
from tests.helpers.data import DataSet
from tests.helpers.files import read_table
from tests.helpers.stack import ROOT, wait_for
from tests.replicas.replica import REPLICAS, replica

from local import names
from local.stack import is_ready

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.mark.parametrize(
    ("user", "sample", "others"),
    [
        ("alice", "invoices.csv", "employee_id\nE-00001\n"),
        ("frank", "invoices.csv", "contract_id\nC-00001\n"),
        ("bob", "employees.jsonl", "vendor_id\nV-00017\n"),
        ("carol", "contracts.parquet", "employee_id\nE-00001\n"),
        ("dana", "invoices.xlsx", ""),
    ],
)
def test_a_user_gets_a_file_back_cell_by_cell_and_a_polite_refusal_of_anothers_on_the_page_and_in_the_chat(
    people: People, site_data: dict[str, DataSet], tmp_path: Path, user: str, sample: str, others: str
) -> None:
    file = tmp_path / "others.csv"
    file.write_text(others)
    person = people(user)
    is_right(sample, user, person.enrich(SAMPLES / sample), site_data)
    if others:
        person.choose(file)
        expect(person.page.get_by_role("alert")).to_contain_text("fit a data set that you may use")
        person.forget_refusals()
    person.open_chat()
    is_right(sample, user, person.enrich_in_chat(SAMPLES / sample), site_data)
    if others:
        person.attach(file)
        person.write()
        person.is_told("data set that you may use")
    person.look("chat")


def test_two_users_at_once_never_see_each_others_files_flows_or_messages(
    people: People, site_data: dict[str, DataSet]
) -> None:
    alice, bob = people("alice"), people("bob")
    for person, sample in ((alice, "invoices.csv"), (bob, "employees.jsonl")):
        person.open_chat()
        person.attach(SAMPLES / sample)
        person.write()
    for person, other, sample in ((alice, bob, "invoices.csv"), (bob, alice, "employees.jsonl")):
        person.is_answered(sample)
        assert sample not in other.page.inner_text("body")
        stem, _, extension = sample.partition(".")
        is_right(sample, person.user, person.download(f"Download {stem}.enriched.{extension}"), site_data)
        link = person.page.get_by_role("link", name=f"Download {stem}").first.get_attribute("href")
        assert other.page.request.get(f"{other.url}{link}").status == 404
    flow = re.search(r"/flow/([0-9a-f-]+)", alice.page.url)
    assert flow
    # Often enough that every replica is asked.
    for _ in range(3 * len(REPLICAS)):
        assert bob.page.request.get(f"{bob.url}/api/v1/flows/{flow[1]}").status == 404
        assert not bob.page.request.get(f"{bob.url}/api/v1/monitor/messages?flow_id={flow[1]}").json()
        assert alice.page.request.get(f"{alice.url}/api/v1/flows/{flow[1]}").status == 200


def test_who_signs_out_is_signed_out_at_every_replica(people: People, site: Site) -> None:
    with replica(site, REPLICAS[2]) as client:
        leaving = client.get("/fileproc/sign-out")
    # The load balancer's session is ended by its application, and by nobody else: Cognito's logout leaves it.
    assert leaving.headers["location"].startswith(f"{site.addresses.login}/logout?")
    ended = [cookie for cookie in leaving.headers.get_list("set-cookie") if "Max-Age=0" in cookie]
    assert [cookie.partition("=")[0] for cookie in ended] == [f"AWSELBAuthSessionCookie-{part}" for part in range(4)]
    person = people("dana")
    person.page.get_by_role("link", name="Sign out").click()
    expect(person.page.get_by_label("Username")).to_be_visible()
    for _ in range(3 * len(REPLICAS)):
        answer = person.page.request.get(f"{person.url}/api/v1/flows/", max_redirects=0)
        assert answer.status == 302
        assert answer.headers["location"].startswith(site.addresses.login)


def test_a_file_on_a_canvas_is_in_the_bucket_and_at_every_replica(site: Site) -> None:
    content = (SAMPLES / "invoices.csv").read_bytes()
    with replica(site, REPLICAS[0], "alice") as first:
        sent = first.post("/api/v2/files", files={"file": ("canvas.csv", content)})
        assert sent.status_code == 201, sent.text
        path = sent.json()["path"]
    [key] = [
        each["Key"]
        for each in site.client("s3").list_objects_v2(Bucket=names.FILES_BUCKET, Prefix="frontend/")["Contents"]
        if each["Key"].endswith(path.rpartition("/")[2])
    ]
    policy = (ROOT / "infra-terraform/modules/workload-identity/policies_services.tf").read_text()
    assert f'resources = ["${{var.files_bucket_arn}}/{key.partition("/")[0]}/*"]' in policy
    assert site.client("s3").get_object(Bucket=names.FILES_BUCKET, Key=key)["Body"].read() == content
    for name in REPLICAS:
        with replica(site, name, "alice") as mine, replica(site, name, "bob") as others:
            assert mine.get(f"/api/v2/files/{sent.json()['id']}").content == content
            assert others.get(f"/api/v2/files/{sent.json()['id']}").status_code in {403, 404}


def test_one_replica_is_killed_in_the_middle_and_requests_go_on_at_the_others(
    people: People, site: Site, site_data: dict[str, DataSet], tmp_path: Path
) -> None:
    person = people("alice")
    with site.gate.shut() as held:
        person.choose(long_file(tmp_path, "survivor.csv"))
        expect(person.page.get_by_role("progressbar", name="Enriching survivor.csv")).to_be_visible()
        held()
        site.kill(REPLICAS[1])
    try:
        expect(person.page.get_by_role("heading", name="survivor.csv is ready")).to_be_visible()
        assert len(read_table("csv", person.download(re.compile("^Download survivor")).read_bytes())) == LONG_ROWS
        person.open_chat()
        is_right("invoices.csv", "alice", person.enrich_in_chat(SAMPLES / "invoices.csv"), site_data)
        cookies = {each["name"]: each["value"] for each in person.page.context.cookies()}
        with httpx2.Client(base_url=site.app, cookies=cookies, timeout=60) as client:
            assert {client.get("/api/v1/flows/").status_code for _ in range(3 * len(REPLICAS))} == {200}
    finally:
        site.start_service(REPLICAS[1], wait=False)
        again = next(service for service in site.services if service.name == REPLICAS[1])
        wait_for(f"{REPLICAS[1]} is ready again", lambda: is_ready(again), seconds=START_SECONDS)
    with replica(site, REPLICAS[1], "alice") as client:
        assert client.get("/api/v1/flows/").status_code == 200
