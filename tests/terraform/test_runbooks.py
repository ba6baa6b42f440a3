"""Whoever an alarm wakes finds a page on it, and no page is of an alarm that is no more."""

from pathlib import Path

import pytest

from infrastructure.resources import Plan, resources

pytestmark = pytest.mark.slow


def alarms(plan: Plan) -> dict[str, str]:
    """What wakes somebody, without the environment, and its description."""
    found = [*resources(plan, "aws_cloudwatch_metric_alarm"), *resources(plan, "aws_cloudwatch_composite_alarm")]
    told = [alarm.values for alarm in found if alarm.values["alarm_actions"]]
    return {values["alarm_name"].partition("-")[2]: values["alarm_description"] for values in told}


def runbooks(repository: Path) -> dict[str, str]:
    pages = (repository / "docs/runbooks").glob("*.md")
    return {page.stem: page.read_text() for page in pages if page.stem != "README"}


def test_each_alarm_has_a_runbook_and_each_runbook_an_alarm(prod_plan: Plan, dev_plan: Plan, repository: Path) -> None:
    assert alarms(prod_plan).keys() == runbooks(repository).keys()
    assert alarms(dev_plan).keys() <= alarms(prod_plan).keys()


def test_an_alarm_names_its_runbook_by_its_path(prod_plan: Plan, repository: Path) -> None:
    for name, description in alarms(prod_plan).items():
        path = description.rpartition("Runbook: ")[2]
        assert path == f"docs/runbooks/{name}.md"
        assert (repository / path).is_file()


def test_a_runbook_says_what_to_look_at_and_what_it_may_be(repository: Path) -> None:
    index = (repository / "docs/runbooks/README.md").read_text()
    for name, text in runbooks(repository).items():
        assert text.startswith(f"# {name}\n")
        assert "\n## Look\n" in text
        assert "\n## Likely\n" in text
        assert f"]({name}.md)" in index
