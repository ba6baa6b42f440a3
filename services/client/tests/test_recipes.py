"""`fileproc recipe`, and recipes in `preview` and `enrich`."""

import json
from pathlib import Path
from typing import Any

import pytest
from services.client.tests.conftest import Command
from services.client.tests.fake_answers import RECIPE
from services.client.tests.fake_service import FakeService, problem


def test_recipes_are_listed_and_shown(command: Command) -> None:
    listed = command("recipe", "list").stdout
    assert "month-end" in listed
    assert "frank" in listed
    shown = command("recipe", "show", "month-end", "--version", "2").stdout
    for text in ("version 2", "vendor → finance.vendors", "delimiter = ;", "leading_zeros", "that you may not use"):
        assert text in shown
    assert "raw" not in shown
    document = json.loads(command("recipe", "show", "month-end", "--json").stdout)
    assert {name: document["choices"][name] for name in RECIPE["choices"]} == RECIPE["choices"]
    assert command("recipe", "show", "nothing").exit_code == 4


@pytest.mark.parametrize(
    ("options", "sent"),
    [(["--job", "job-1"], {"from_job": "job-1"}), (["--version", "2"], {"from_version": 2})],
)
def test_a_recipe_is_saved(command: Command, service: FakeService, options: list[str], sent: dict[str, Any]) -> None:
    done = command("recipe", "save", "month-end", *options)
    assert "--recipe month-end" in done.stderr
    assert service.saved == [sent]


def test_what_show_wrote_is_kept_again(command: Command, service: FakeService, tmp_path: Path) -> None:
    file = tmp_path / "recipe.json"
    file.write_text(command("recipe", "show", "month-end", "--json").stdout)
    assert command("recipe", "save", "month-end", "--choices", file).exit_code == 0
    assert service.saved == [{"choices": RECIPE["choices"]}]
    file.write_text("[]")
    assert command("recipe", "save", "month-end", "--choices", file).exit_code == 4


def test_a_recipe_is_shared_and_deleted(command: Command, service: FakeService) -> None:
    assert "shared with: finance" in command("recipe", "share", "month-end", "-g", "finance", "-g", "hr").stderr
    assert command("recipe", "share", "month-end").exit_code == 0
    assert service.saved == [{"groups": ["finance", "hr"]}, {"groups": []}]
    assert "is deleted" in command("recipe", "delete", "month-end").stderr


@pytest.mark.parametrize("options", [[], ["--job", "1", "--version", "2"]])
def test_a_recipe_has_one_source(command: Command, options: list[str]) -> None:
    assert command("recipe", "save", "month-end", *options).exit_code == 2


def test_a_file_is_enriched_by_a_recipe(command: Command, service: FakeService, invoices: Path, tmp_path: Path) -> None:
    used = ("--recipe", "month-end", "--recipe-version", "2", "--anyway")
    assert command("enrich", invoices, "-o", tmp_path / "out.csv", *used).exit_code == 0
    assert command("preview", invoices, *used).exit_code == 0
    for wish in (service.wishes[-1], service.previews[-1]):
        assert (wish["recipe"], wish["recipe_version"], wish["anyway"]) == ("month-end", 2, True)
    assert command("preview", invoices).exit_code == 0
    assert service.previews[-1].keys() == {"file", "rows"}


def test_a_recipe_that_does_not_fit_says_how_to_use_it_all_the_same(
    command: Command, service: FakeService, invoices: Path, tmp_path: Path
) -> None:
    service.fail("POST", "/api/jobs", lambda _: problem(422, "recipe-does-not-fit", "A column is gone."))
    done = command("enrich", invoices, "-o", tmp_path / "out.csv", "--recipe", "month-end")
    assert done.exit_code == 4
    assert "A column is gone. To use the recipe all the same: --anyway" in done.stderr
