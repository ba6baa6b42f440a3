"""Whoever an alarm wakes finds a page on it, and no page is of an alarm that is no more."""

from pathlib import Path

import pytest

from infrastructure.resources import Plan, resources

pytestmark = pytest.mark.slow

ALARM = "aws_cloudwatch_metric_alarm"


def runbooks(repository: Path) -> dict[str, str]:
    pages = (repository / "docs/runbooks").glob("*.md")
    return {page.stem: page.read_text() for page in pages if page.stem != "README"}


def test_each_alarm_has_a_runbook_and_each_runbook_an_alarm(prod_plan: Plan, dev_plan: Plan, repository: Path) -> None:
    prod = {alarm.values["alarm_name"].removeprefix("prod-") for alarm in resources(prod_plan, ALARM)}
    dev = {alarm.values["alarm_name"].removeprefix("dev-") for alarm in resources(dev_plan, ALARM)}
    assert prod == set(runbooks(repository))
    assert dev <= prod


def test_an_alarm_names_its_runbook_by_its_path(prod_plan: Plan, repository: Path) -> None:
    for alarm in resources(prod_plan, ALARM):
        path = alarm.values["alarm_description"].rpartition("Runbook: ")[2]
        assert path == f"docs/runbooks/{alarm.values['alarm_name'].removeprefix('prod-')}.md"
        assert (repository / path).is_file()


def test_a_runbook_says_what_to_look_at_and_what_it_may_be(repository: Path) -> None:
    index = (repository / "docs/runbooks/README.md").read_text()
    for name, text in runbooks(repository).items():
        assert text.startswith(f"# {name}\n")
        assert "\n## Look\n" in text
        assert "\n## Likely\n" in text
        assert f"]({name}.md)" in index
