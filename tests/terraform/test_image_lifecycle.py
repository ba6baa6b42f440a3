"""Which images ECR removes, by AWS's rules of lifecycle policies and by the policy in the plan.

The rules: https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html
and https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final

import pytest

from infrastructure.resources import resources

pytestmark = pytest.mark.slow

BUILDS: Final = 400
ARTIFACTS: Final = ("signature", "parts", "provenance")
Rule = dict[str, Any]
BEFORE: Final[list[Rule]] = [
    {"rulePriority": 1, "selection": {"tagStatus": "untagged", "countType": "sinceImagePushed", "countNumber": 7}},
    {"rulePriority": 2, "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 200}},
]
"""The policy that this repository had: it counted signatures, and lost what prod ran."""


@dataclass
class Image:
    """One manifest.

    Attributes:
        pushed: Time of the push, in days.
        subject: The image that this one refers to, as OCI 1.1 signatures do.
    """

    digest: str
    pushed: float
    tags: set[str] = field(default_factory=set)
    subject: str | None = None


def selects(selection: Rule, image: Image) -> bool:
    """Whether a rule is about an image: by all of its patterns, each matched by some tag."""
    if selection["tagStatus"] == "any":
        return True
    if selection["tagStatus"] == "untagged":
        return not image.tags
    patterns = [*selection.get("tagPatternList", []), *(f"{each}*" for each in selection.get("tagPrefixList", []))]
    return all(any(fnmatchcase(tag, pattern) for tag in image.tags) for pattern in patterns)


def expire(rules: Sequence[Rule], images: list[Image], now: float) -> list[Image]:
    """The images that stay.

    A rule counts all that it selects, but does not expire what a rule before it selects. With an image go the artifacts
    that refer to it.
    """
    gone: set[str] = set()
    claimed: set[str] = set()
    for rule in sorted(rules, key=lambda each: int(each["rulePriority"])):
        selection = rule["selection"]
        selected = sorted((image for image in images if selects(selection, image)), key=lambda image: -image.pushed)
        if selection["countType"] == "imageCountMoreThan":
            over = selected[selection["countNumber"] :]
        else:
            over = [image for image in selected if now - image.pushed > selection["countNumber"]]
        gone |= {image.digest for image in over} - claimed
        claimed |= {image.digest for image in selected}
    return [image for image in images if not {image.digest, image.subject} & gone]


@pytest.fixture(scope="module")
def policies(shared_plan: dict[str, Any]) -> list[list[Rule]]:
    return [json.loads(each.values["policy"])["rules"] for each in resources(shared_plan, "aws_ecr_lifecycle_policy")]


def lost(rules: Sequence[Rule], promoted: set[int], *, tagged_signatures: bool, tagging_is_a_push: bool) -> list[str]:
    """What is missing of the images that dev and prod run, and of their artifacts, during 400 builds, four a day.

    Args:
        promoted: The builds that prod gets, each just after it was pushed.
        tagged_signatures: Artifacts are tags (`sha256-….sig`, cosign 2), not referrers without a tag (cosign 3).
        tagging_is_a_push: One more tag counts as a push of the image; AWS does not say.
    """
    images: list[Image] = []
    missing = []
    prod = 0
    for build in range(BUILDS):
        now = build / 4
        image = f"build {build}"
        images.append(Image(image, now, {f"{build}", f"build-{build}"}))
        for artifact in ARTIFACTS:
            of = {"tags": {f"sha256-{build}.{artifact}"}} if tagged_signatures else {"subject": image}
            images.append(Image(f"{artifact} of {build}", now, **of))
        if build in promoted:
            prod = build
            (found,) = (each for each in images if each.digest == image)
            found.tags.add(f"prod-{build}")
            found.pushed = now + 0.1 if tagging_is_a_push else found.pushed
        if build % 4 == 0:
            images = expire(rules, images, now + 0.2)  # "within 24 hours"
        there = {each.digest for each in images}
        runs = {f"{part} of {each}" for each in (build, prod) for part in ARTIFACTS}
        runs |= {f"build {build}", f"build {prod}"}
        missing += [f"after {build}: {name}" for name in sorted(runs - there)]
    return missing


@pytest.mark.parametrize("tagging_is_a_push", [True, False])
@pytest.mark.parametrize("tagged_signatures", [True, False])
@pytest.mark.parametrize("promoted", [{0}, {0, 150}, set(range(BUILDS))], ids=len)
def test_what_prod_and_dev_run_stays_with_its_signatures(
    policies: list[list[Rule]], promoted: set[int], tagged_signatures: bool, tagging_is_a_push: bool
) -> None:
    assert len(policies) == 5
    assert all(rules == policies[0] for rules in policies)
    found = lost(policies[0], promoted, tagged_signatures=tagged_signatures, tagging_is_a_push=tagging_is_a_push)
    assert found == []


@pytest.mark.parametrize(("tagged_signatures", "first"), [(True, "after 52: build 0"), (False, "after 28: parts of 0")])
def test_a_policy_that_counts_every_image_loses_what_prod_runs(tagged_signatures: bool, first: str) -> None:
    assert lost(BEFORE, {0}, tagged_signatures=tagged_signatures, tagging_is_a_push=False)[0] == first


def test_old_builds_that_prod_never_ran_are_removed_with_their_artifacts(policies: list[list[Rule]]) -> None:
    images = [Image(f"{build}", build, {f"{build}", f"build-{build}"}) for build in range(BUILDS)]
    signatures = [Image(f"signature {build}", build, subject=f"{build}") for build in range(BUILDS)]
    stay = expire(policies[0], images + signatures, BUILDS)
    assert [image.digest for image in stay if image.tags] == [f"{build}" for build in range(200, BUILDS)]
    assert len(stay) == 400


def test_a_policy_is_one_that_ecr_takes(policies: list[list[Rule]]) -> None:
    """Priorities are unique; at most one rule is about untagged images and one about any; that one comes last."""
    for rules in policies:
        priorities = [rule["rulePriority"] for rule in rules]
        assert len(set(priorities)) == len(priorities)
        statuses = [rule["selection"]["tagStatus"] for rule in rules]
        assert statuses.count("untagged") <= 1
        assert statuses.count("any") <= ("any" in statuses[-1:])
        patterns = [pattern for rule in rules for pattern in rule["selection"].get("tagPatternList", [])]
        assert all(pattern.count("*") <= 4 for pattern in patterns)
