"""Recipes keep choices under a name; groups share them, and each user applies them with their own rights."""

import csv
import io
import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from services.application.tests.support.client import Answer, Client
from services.application.tests.support.stack import Stack

from application.recipes.store import MOST_OF_OWNER, MOST_VERSIONS

pytestmark = pytest.mark.slow

CONTENT = b"supplier,buyer\nV-00001,E-00001\nV-7,E-00002\n"
CHOICES: dict[str, Any] = {
    "mapping": {"supplier": ["finance.vendors"], "buyer": ["hr.employees"]},
    "columns": {"finance.vendors": ["name", "bank_account"], "hr.employees": ["email"]},
    "options": {"delimiter": ","},
    "approve": ["leading_zeros"],
    "keys": {"finance.vendors": {"V-7": "V-00007"}, "hr.employees": {"boss": "E-00009"}},
}
FINANCE_ONLY = {"mapping": {"supplier": ["finance.vendors"]}, "keys": {"finance.vendors": {"V-7": "V-00007"}}}
HIDDEN = ("hr", "employees", "buyer", "email", "boss", "E-00009", "bank_account")
"""Words of CHOICES that a member of finance must not meet."""


@pytest.fixture
def team() -> str:
    """A group of this test alone."""
    return f"team-{uuid.uuid4().hex}"


@pytest.fixture
def lead(stack: Stack, team: str) -> Client:
    return Client(stack, ("finance", "finance-leads", "hr", team))


@pytest.fixture
def member(stack: Stack, team: str) -> Client:
    return Client(stack, ("finance", team))


def save(client: Client, name: str, **wanted: Any) -> dict[str, Any]:
    answer = client.call("PUT", f"/api/recipes/{name}", document=wanted)
    assert answer.status in (200, 201), answer.body
    return dict(answer.json())


def share(client: Client, name: str, *groups: str) -> Answer:
    return client.call("PUT", f"/api/recipes/{name}/groups", document={"groups": groups})


def enriched(client: Client, content: bytes = CONTENT, **wanted: Any) -> dict[str, Any]:
    job = client.submit(client.upload(content), **wanted)
    done = client.wait(job)
    assert done["status"] == "succeeded", done
    return done


def rows(client: Client, job: dict[str, Any]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(client.result(job["id"]).decode())))


def test_a_recipe_keeps_choices_and_a_job_uses_them_by_its_name(lead: Client) -> None:
    kept = save(lead, "month-end", choices=CHOICES)
    assert (kept["name"], kept["own"], kept["version"], kept["held_back"]) == ("month-end", True, 1, False)
    shown = lead.call("GET", "/api/recipes/month-end").json()
    assert {name: shown["choices"][name] for name in CHOICES if name != "options"} == {
        name: choice for name, choice in CHOICES.items() if name != "options"
    }
    assert shown["choices"]["options"]["delimiter"] == ","
    job = enriched(lead, recipe="month-end")
    assert job["recipe"] == {"id": kept["id"], "name": "month-end", "version": 1}
    assert (job["approve"], job["options"]["delimiter"]) == (["leading_zeros"], ",")
    assert rows(lead, job)[1] == {
        "supplier": "V-7",
        "buyer": "E-00002",
        "supplier.finance.name": "Vendor 7",
        "supplier.finance.bank_account": "NL00000007",
        "supplier.finance.matched_key": "V-00007 (from the recipe month-end)",
        "buyer.hr.email": "p2@x.example",
        "buyer.hr.matched_key": "",
    }


def test_a_recipe_is_made_of_a_reviewed_job_with_all_that_was_chosen_and_approved(member: Client) -> None:
    choices: dict[str, Any] = {"mapping": {"supplier": ["finance.vendors"]}, "columns": {"finance.vendors": ["name"]}}
    first = enriched(member, **choices, options={"delimiter": ","})
    answer = member.call(
        "POST", f"/api/jobs/{first['id']}/review", document={"keys": {"finance.vendors": {"V-7": "V-00007"}}}
    )
    reviewed = member.wait(answer.json()["id"])
    save(member, "of-job", from_job=reviewed["id"])
    kept = member.call("GET", "/api/recipes/of-job").json()["choices"]
    assert {name: kept[name] for name in choices} == choices
    assert kept["keys"] == {"finance.vendors": {"V-7": "V-00007"}}
    assert kept["options"]["delimiter"] == ","
    assert rows(member, enriched(member, recipe="of-job"))[1]["supplier.finance.name"] == "Vendor 7"
    unchosen = enriched(member, mapping={"supplier": ["finance.vendors"]})
    assert save(member, "of-job", from_job=unchosen["id"])["choices"]["columns"] is None


def test_a_cause_that_a_review_approved_is_in_the_recipe_of_its_owner(member: Client, lead: Client) -> None:
    job = enriched(member, mapping={"supplier": ["finance.vendors"]})
    wanted = {"approve": ["typo"], "keys": {"finance.vendors": {"V-7": "V-00007"}}}
    reviewed = member.call("POST", f"/api/jobs/{job['id']}/review", document=wanted).json()
    again = {"keys": {"finance.vendors": {"V-7": "V-00008"}}}
    member.wait(reviewed["id"])
    reviewed = member.call("POST", f"/api/jobs/{reviewed['id']}/review", document=again).json()
    member.wait(reviewed["id"])
    assert save(member, "causes", from_job=reviewed["id"])["choices"]["approve"] == ["typo"]
    assert lead.call("PUT", "/api/recipes/stolen", document={"from_job": reviewed["id"]}).status == 404


def test_choices_of_the_request_win_over_those_of_the_recipe(lead: Client) -> None:
    save(lead, "wins", choices=CHOICES)
    wanted: dict[str, Any] = {
        "recipe": "wins",
        "mapping": {"supplier": ["finance.vendors"]},
        "options": {"delimiter": None, "quote": "none"},
        "approve": ["typo"],
        "keys": {"finance.vendors": {"V-7": ""}},
    }
    job = enriched(lead, **wanted)
    assert (job["options"]["delimiter"], job["options"]["quote"], job["approve"]) == (None, "none", ["typo"])
    assert set(rows(lead, job)[1]) == {
        "supplier",
        "buyer",
        *(f"supplier.finance.{name}" for name in ("name", "country", "bank_account", "matched_key")),
    }
    assert rows(lead, job)[1]["supplier.finance.name"] == ""


def test_options_that_exclude_each_other_give_way_to_the_request(member: Client) -> None:
    save(member, "rows", choices={**FINANCE_ONLY, "options": {"header_row": 1}})
    asked = {"file": member.upload(b"V-00001\nV-7\n"), "recipe": "rows", "options": {"no_header": True}}
    preview = member.call("POST", "/api/preview", document={**asked, "mapping": {"column_1": ["finance.vendors"]}})
    assert [row[1] for row in preview.json()["rows"]] == ["Vendor 1", "Vendor 7"]


def test_each_save_is_a_version_that_can_be_used_and_restored(member: Client) -> None:
    save(member, "versions", choices=FINANCE_ONLY)
    assert save(member, "versions", choices={"departments": ["finance"]})["version"] == 2
    old = enriched(member, recipe="versions", recipe_version=1)
    assert old["recipe"]["version"] == 1
    assert rows(member, old)[1]["supplier.finance.name"] == "Vendor 7"
    restored = save(member, "versions", from_version=1)
    assert ([each["version"] for each in restored["versions"]], restored["version"]) == ([1, 2, 3], 3)
    assert restored["choices"]["mapping"] == FINANCE_ONLY["mapping"]
    second = member.call("GET", "/api/recipes/versions?version=2").json()
    assert (second["version"], second["choices"]["departments"]) == (2, ["finance"])
    for answer in (
        member.call("GET", "/api/recipes/versions?version=9"),
        member.call("PUT", "/api/recipes/versions", document={"from_version": 9}),
    ):
        assert (answer.status, answer.slug) == (404, "version-not-found")


def test_the_oldest_of_too_many_versions_is_forgotten(member: Client) -> None:
    for _ in range(MOST_VERSIONS + 1):
        recipe = save(member, "many", choices={"departments": ["finance"]})
    assert [each["version"] for each in recipe["versions"]] == list(range(2, MOST_VERSIONS + 2))
    assert member.call("GET", "/api/recipes/many?version=1").slug == "version-not-found"
    assert member.stack.item(f"RECIPE#{recipe['id']}", "VERSION#0000001") is None


def test_two_saves_at_once_make_two_versions_and_if_match_lets_one_pass(member: Client) -> None:
    with ThreadPoolExecutor(6) as threads:
        made = list(threads.map(lambda _: save(member, "race", choices=FINANCE_ONLY)["version"], range(4)))
    assert sorted(made) == [1, 2, 3, 4]
    etag = member.call("GET", "/api/recipes/race").headers["etag"]
    answers = [
        member.call("PUT", "/api/recipes/race", document={"from_version": 1}, headers={"if-match": etag})
        for _ in range(2)
    ]
    assert [answer.status for answer in answers] == [200, 412]
    assert member.call("DELETE", "/api/recipes/race", headers={"if-match": etag}).status == 412


def test_a_shared_recipe_is_read_and_used_by_members_and_changed_by_its_owner_alone(
    lead: Client, member: Client, team: str, stack: Stack
) -> None:
    recipe = save(lead, "shared", choices=FINANCE_ONLY)
    assert member.call("GET", "/api/recipes/shared").slug == "recipe-not-found"
    assert share(lead, "shared", team, "finance").json()["groups"] == ["finance", team]
    outsider = Client(stack, ("legal",))
    seen = Client(stack, (team, "finance"), member.subject).call("GET", "/api/recipes/shared").json()
    assert (seen["own"], seen["owner"], seen["choices"]["keys"]) == (False, "somebody", FINANCE_ONLY["keys"])
    assert Client(stack, (team,)).call("GET", "/api/recipes").json()["recipes"][0]["groups"] == [team]
    assert rows(member, enriched(member, recipe="shared"))[1]["supplier.finance.name"] == "Vendor 7"
    for name in ("shared", recipe["id"]):
        assert outsider.call("GET", f"/api/recipes/{name}").slug == "recipe-not-found"
        assert member.call("DELETE", f"/api/recipes/{name}").slug == "recipe-not-yours"
        assert share(member, name).slug == "recipe-not-yours"
    changed = member.call("PUT", f"/api/recipes/{recipe['id']}", document={"from_version": 1})
    assert changed.slug == "recipe-not-yours"
    assert share(lead, "shared").json()["groups"] == []
    assert member.call("GET", f"/api/recipes/{recipe['id']}").slug == "recipe-not-found"
    assert member.call("GET", "/api/recipes").json() == {"recipes": []}


def test_a_recipe_is_shared_with_groups_of_its_owner_alone(member: Client) -> None:
    save(member, "own-groups", choices=FINANCE_ONLY)
    assert share(member, "own-groups", "hr").slug == "not-your-group"


def test_of_a_shared_recipe_nothing_is_seen_or_used_that_its_reader_may_not_use(
    lead: Client, member: Client, team: str
) -> None:
    options = {"add_only": ["supplier.finance.name", "finance.vendors.bank_account", "buyer.hr.email"]}
    recipe = save(lead, "mixed", choices={**CHOICES, "options": options})
    share(lead, "mixed", team)
    answers = [
        member.call("GET", "/api/recipes"),
        member.call("GET", "/api/recipes/mixed"),
        member.call("GET", f"/api/recipes/{recipe['id']}?version=1"),
    ]
    shown = answers[1].json()
    assert shown["held_back"] is True
    assert (shown["choices"]["mapping"], shown["choices"]["columns"]) == (
        {"supplier": ["finance.vendors"]},
        {"finance.vendors": ["name"]},
    )
    assert shown["choices"]["options"]["add_only"] == ["supplier.finance.name"]
    file = member.upload(b"supplier\nV-7\n")
    answers.append(member.call("POST", "/api/preview", document={"file": file, "recipe": "mixed"}))
    assert answers[-1].json()["warnings"] == [
        "The recipe 'mixed' names data that you may not use, too. That part was left out."
    ]
    job = member.wait(member.submit(file, recipe="mixed"))
    answers += [member.call("GET", f"/api/jobs/{job['id']}{path}") for path in ("", "/report", "/misses")]
    said = b"".join(answer.body for answer in answers).decode()
    assert [word for word in HIDDEN if f'"{word}' in said or f".{word}" in said or f"'{word}" in said] == []
    assert "That part was left out." in answers[-2].json()["warnings"][0]
    assert rows(member, job) == [
        {
            "supplier": "V-7",
            "supplier.finance.name": "Vendor 7",
            "supplier.finance.matched_key": "V-00007 (from the recipe mixed)",
        }
    ]


@pytest.mark.parametrize(
    "choices",
    [
        pytest.param({"mapping": {"buyer": ["hr.employees"]}}, id="the mapping"),
        pytest.param({"departments": ["hr"]}, id="the departments"),
        pytest.param({"columns": {"finance.vendors": ["bank_account"]}}, id="the columns"),
        pytest.param(
            {
                "mapping": {"supplier": ["finance.vendors"]},
                "columns": {"finance.vendors": ["bank_account"]},
            },
            id="the columns of the mapping",
        ),
        pytest.param({"options": {"add_only": ["buyer.hr.email"]}}, id="the columns to add"),
    ],
)
def test_a_recipe_of_which_nothing_is_left_is_refused_rather_than_used_without_it(
    choices: dict[str, Any], lead: Client, member: Client, team: str
) -> None:
    save(lead, "all-hidden", choices=choices)
    share(lead, "all-hidden", team)
    for path in ("/api/preview", "/api/jobs"):
        wanted = {"file": member.upload(CONTENT), "recipe": "all-hidden"}
        answer = member.call("POST", path, document=wanted)
        assert (answer.status, answer.slug) == (403, "recipe-not-permitted")
        assert not any(word in answer.body.decode() for word in ("hr", "bank_account", "employees", "buyer"))


def test_an_owner_who_lost_access_uses_what_is_left_and_has_all_again_with_it(lead: Client, team: str) -> None:
    save(lead, "moved", choices=CHOICES)
    moved = lead.with_groups("finance", team)
    assert moved.call("GET", "/api/recipes/moved").json()["held_back"] is True
    assert save(moved, "moved", from_version=1)["held_back"] is True
    assert lead.call("GET", "/api/recipes/moved").json()["choices"]["mapping"] == CHOICES["mapping"]


def test_of_two_shared_recipes_of_one_name_the_id_says_which(
    lead: Client, member: Client, team: str, stack: Stack
) -> None:
    ids = []
    for owner in (lead, Client(stack, (team, "finance"))):
        ids.append(save(owner, "twice", choices=FINANCE_ONLY)["id"])
        share(owner, "twice", team)
    answer = member.call("GET", "/api/recipes/twice")
    assert (answer.status, answer.slug) == (409, "several-recipes")
    assert all(each in answer.json()["detail"] for each in ids)
    assert enriched(member, recipe=ids[0])["recipe"]["id"] == ids[0]
    save(member, "twice", choices=FINANCE_ONLY)
    assert member.call("GET", "/api/recipes/twice").json()["own"] is True


def test_a_deleted_recipe_leaves_nothing_and_its_name_is_free(lead: Client, member: Client, team: str) -> None:
    recipe = save(lead, "gone", choices=FINANCE_ONLY)
    save(lead, "gone", from_version=1)
    share(lead, "gone", team)
    assert lead.call("DELETE", "/api/recipes/gone").status == 204
    for client in (lead, member):
        assert client.call("GET", "/api/recipes/gone").slug == "recipe-not-found"
        assert client.call("GET", "/api/recipes").json() == {"recipes": []}
    scanned = lead.stack.dynamodb.scan(TableName=lead.stack.table)["Items"]
    assert [item for item in scanned if recipe["id"] in json.dumps(item, default=str)] == []
    assert save(lead, "gone", choices=FINANCE_ONLY)["version"] == 1
    assert lead.call("DELETE", "/api/recipes/nothing").slug == "recipe-not-found"


def test_an_owner_has_so_many_recipes_and_no_more(member: Client) -> None:
    save(member, "r1", choices=FINANCE_ONLY)
    place = {"pk": {"S": f"OWNER#{member.subject}"}, "sk": {"S": "RECIPES"}}
    counted = {"recipes": {"N": str(MOST_OF_OWNER)}}
    assert member.stack.item(place["pk"]["S"], "RECIPES") == {**place, "recipes": {"N": "1"}}
    member.stack.dynamodb.put_item(TableName=member.stack.table, Item={**place, **counted})
    more = member.call("PUT", "/api/recipes/one-more", document={"choices": FINANCE_ONLY})
    assert (more.status, more.slug) == (409, "too-many-recipes")
    assert save(member, "r1", choices=FINANCE_ONLY)["version"] == 2
    assert member.call("DELETE", "/api/recipes/r1").status == 204
    save(member, "one-more", choices=FINANCE_ONLY)


def test_a_column_that_is_gone_is_said_before_the_run_and_can_be_left_out(lead: Client) -> None:
    save(lead, "columns", choices=CHOICES)
    file = lead.upload(b"buyer\nE-00001\n")
    wanted = {"file": file, "recipe": "columns"}
    for path in ("/api/preview", "/api/jobs"):
        answer = lead.call("POST", path, document=wanted)
        assert (answer.status, answer.slug) == (422, "recipe-does-not-fit")
        problem = answer.json()
        assert (problem["column"], problem["field"]) == ("supplier", "recipe")
        assert problem["detail"] == (
            "The recipe maps the column 'supplier'. The file has no column 'supplier'. Its columns are: buyer."
        )
    warned = lead.call("POST", "/api/preview", document={**wanted, "anyway": True}).json()
    assert warned["warnings"] == ["The recipe maps the column 'supplier', which this file does not have."]
    job = lead.wait(lead.submit(file, recipe="columns", anyway=True))
    assert rows(lead, job)[0]["buyer.hr.email"] == "p1@x.example"
    report = lead.call("GET", f"/api/jobs/{job['id']}/report").json()
    assert report["warnings"] == warned["warnings"]
    answer = lead.call("POST", "/api/jobs", document={**wanted, "file": lead.upload(b"x\n1\n"), "anyway": True})
    assert answer.slug == "recipe-does-not-fit"


def test_many_more_misses_than_in_the_last_job_are_said_before_the_run(member: Client) -> None:
    save(member, "misses", choices={"mapping": {"supplier": ["finance.vendors"]}})
    bad = b"supplier\nV-00001\nx1\nx2\nx3\n"
    enriched(member, bad, recipe="misses")  # nothing is known of a last job
    enriched(member, b"supplier\n" + b"V-00001\n" * 20 + b"x1\n", recipe="misses")
    wanted = {"file": member.upload(bad), "recipe": "misses"}
    told = (
        "In the first rows, 75% of the keys of finance.vendors are not found. In the last job with this recipe it "
        "was 5%."
    )
    assert member.call("POST", "/api/preview", document=wanted).json()["warnings"] == [told]
    answer = member.call("POST", "/api/jobs", document=wanted)
    assert (answer.status, answer.slug, answer.json()["detail"]) == (422, "recipe-does-not-fit", told)
    assert member.wait(member.submit(wanted["file"], recipe="misses", anyway=True))["status"] == "succeeded"


@pytest.mark.parametrize(
    ("wanted", "slug"),
    [
        pytest.param({}, "invalid-request", id="nothing"),
        pytest.param({"from_version": 1, "choices": {}}, "invalid-request", id="two sources"),
        pytest.param({"choices": {"file": "x"}}, "invalid-request", id="a member that is not known"),
        pytest.param({"choices": {"departments": ["hr"]}}, "unknown-department", id="a department of others"),
        pytest.param({"choices": {"mapping": {"a": ["hr.employees"]}}}, "unknown-dataset", id="a data set of others"),
        pytest.param({"choices": {"mapping": {"a": ["no"]}}}, "unknown-dataset", id="no name of a data set"),
        pytest.param({"choices": {"keys": {"hr.employees": {"1": "2"}}}}, "unknown-dataset", id="keys of others"),
        pytest.param(
            {"choices": {"columns": {"finance.vendors": ["bank_account"]}}}, "unknown-column", id="a hidden column"
        ),
        pytest.param({"from_version": 1}, "recipe-not-found", id="a version of no recipe"),
        pytest.param({"from_job": "0" * 32}, "job-not-found", id="no job"),
    ],
)
def test_what_cannot_be_kept_is_refused_in_words(wanted: dict[str, Any], slug: str, member: Client) -> None:
    assert member.call("PUT", "/api/recipes/wrong", document=wanted).slug == slug


@pytest.mark.parametrize("name", ["Month", "-a", "a" * 65, "a.b", "m%C3%B6", "0" * 32])
def test_a_name_that_a_recipe_cannot_have_is_refused(name: str, member: Client) -> None:
    answer = member.call("PUT", f"/api/recipes/{name}", document={"choices": FINANCE_ONLY})
    assert answer.slug in {"invalid-name", "recipe-not-found"}


def test_a_request_sent_twice_with_one_key_makes_one_job_though_the_recipe_is_gone(member: Client) -> None:
    save(member, "once", choices=FINANCE_ONLY)
    wanted = {"file": member.upload(CONTENT), "recipe": "once"}
    headers = {"idempotency-key": uuid.uuid4().hex}
    first = member.call("POST", "/api/jobs", document=wanted, headers=headers).json()["id"]
    member.call("DELETE", "/api/recipes/once")
    assert member.call("POST", "/api/jobs", document=wanted, headers=headers).json()["id"] == first
    assert member.wait(first)["status"] == "succeeded", "a job does not need its recipe"
